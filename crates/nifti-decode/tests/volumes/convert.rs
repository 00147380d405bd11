//! Conversion: values, rounding, and the same bits from scalar and vector kernels.

use machine::isa::Isa;
use nifti_decode::{
    Clip, Datatype, Decoder, Endian, NiftiError, Normalize, Orientation, Output, Pack, Plan, Version, VolumeFile,
    Voxels, Watch, bf16, encode, f16, write,
};

use crate::made::{TWO, as_f64, header, open, reals, voxels};

fn file(datatype: Datatype, endian: Endian, n: usize, scale: Option<(f64, f64)>) -> (VolumeFile, Vec<f64>) {
    let stored = voxels(datatype, n, 17, true);
    let mut h = header(Version::Nifti2, endian, datatype, &[n, 1, 1]);
    if let Some((slope, inter)) = scale {
        h = h.with_scale(slope, inter);
    }
    (open(&encode(&h, &[], &stored, Pack::Plain).unwrap()).unwrap(), as_f64(datatype, &stored))
}

fn run<D: Output>(file: &VolumeFile, plan: &Plan, isa: Isa) -> Vec<D> {
    file.decode(&mut Decoder::new().with_isa(isa), plan).unwrap().into_voxels()
}

const SCALES: [Option<(f64, f64)>; 4] = [None, Some((0.5, -3.25)), Some((0.1, 7.0)), Some((-1e-3, 1e6))];

#[test]
fn values_are_scaled_in_double_precision_and_rounded_once() {
    for datatype in reals() {
        for scale in SCALES {
            let (file, stored) = file(datatype, Endian::Big, 3001, scale);
            let got: Vec<f32> = run(&file, &Plan::scaled(), Isa::best());
            for (i, (&got, &stored)) in got.iter().zip(&stored).enumerate() {
                let expected = scale.map_or(stored as f32, |(slope, inter)| (stored * slope + inter) as f32);
                // A fused multiply-add rounds once, not twice: a difference of at most one unit in the last place.
                let is_near = got.to_bits().abs_diff(expected.to_bits()) <= u32::from(datatype.bytes() <= 2);
                assert!(is_near || (got.is_nan() && expected.is_nan()), "{datatype:?} {scale:?} {i}: {got} {expected}");
            }
        }
    }
}

#[test]
fn scalar_and_vector_kernels_give_the_same_bits() {
    let plans = [
        Plan::stored(),
        Plan::scaled(),
        Plan::scaled().clipped(Clip::Values { low: -100.0, high: 500.5 }),
        Plan::scaled().clipped(Clip::Percentiles { low: 5.0, high: 95.0 }).zscored(Voxels::NonZero),
    ];
    for datatype in reals() {
        for endian in [Endian::Little, Endian::Big] {
            for scale in SCALES {
                // Odd lengths, shorter and longer than a block.
                for n in [1, 7, 100, 2049, 5003] {
                    let (file, _) = file(datatype, endian, n, scale);
                    for plan in &plans {
                        let place = format!("{datatype:?} {endian:?} {scale:?} {n} {plan:?}");
                        let bits = |isa| run::<f32>(&file, plan, isa).iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                        assert!(bits(Isa::Scalar) == bits(Isa::best()), "{place}");
                        let halves = |isa| run::<f16>(&file, plan, isa).iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                        assert!(halves(Isa::Scalar) == halves(Isa::best()), "f16 {place}");
                        let brains =
                            |isa| run::<bf16>(&file, plan, isa).iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                        assert!(brains(Isa::Scalar) == brains(Isa::best()), "bf16 {place}");
                    }
                }
            }
        }
    }
}

/// Every 16-bit pattern and its neighbors, against the crate `half`.
#[test]
fn halves_round_to_nearest_even() {
    let values: Vec<f32> = (0..=u16::MAX)
        .flat_map(|high| [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff].map(|low| f32::from_bits(u32::from(high) << 16 | low)))
        .chain((0..=u16::MAX).map(|bits| f16::from_bits(bits).to_f32()))
        .collect();
    let stored: Vec<u8> = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
    let h = header(Version::Nifti2, Endian::Little, Datatype::Float32, &[values.len(), 1, 1]);
    let file = open(&encode(&h, &[], &stored, Pack::Plain).unwrap()).unwrap();
    for isa in [Isa::Scalar, Isa::best()] {
        for (&value, got) in values.iter().zip(run::<f16>(&file, &Plan::stored(), isa)) {
            let expected = f16::from_f32_const(value);
            assert!(got == expected || got.is_nan() && expected.is_nan(), "{value:e}: {got} {expected}");
        }
        for (&value, got) in values.iter().zip(run::<bf16>(&file, &Plan::stored(), isa)) {
            let expected = bf16::from_f32_const(value);
            assert!(got == expected || got.is_nan() && expected.is_nan(), "{value:e}: {got} {expected}");
        }
    }
}

/// Outputs larger than the caches are written with streaming stores, with the same result for several threads.
#[test]
fn large_outputs_are_streamed_and_threads_change_nothing() {
    let n = 7_000_003;
    let (file, stored) = file(Datatype::Int16, Endian::Little, n, Some((0.5, 1.0)));
    let mut decoder = Decoder::new();
    let mut out = vec![f32::NAN; n + 1];
    // An unaligned address: streaming stores need whole cache lines.
    let decoded = file.decode_into(&mut decoder, &Plan::scaled().with_stats(), &mut out[1..]).unwrap();
    assert!(out[1..].iter().zip(&stored).all(|(&v, &s)| f64::from(v) == s * 0.5 + 1.0));
    if Isa::Avx2.is_supported() {
        assert_eq!(decoded.ran.unwrap().to_string(), "avx2 single streamed");
    }
    let mut parallel = vec![f32::NAN; n];
    let again = file.decode_into(&mut Decoder::new().with_threads(TWO), &Plan::scaled().with_stats(), &mut parallel);
    assert_eq!(again.unwrap().stats, decoded.stats);
    assert!(parallel == out[1..]);
}

#[test]
fn clipped_values_and_scores() {
    let (file, stored) = file(Datatype::Int16, Endian::Big, 4000, Some((0.1, 5.0)));
    let plan = Plan::scaled().clipped(Clip::Values { low: -10.0, high: 20.0 });
    let clipped: Vec<f32> = run(&file, &plan, Isa::best());
    let expected: Vec<f64> = stored.iter().map(|&s| (s * 0.1 + 5.0).clamp(-10.0, 20.0)).collect();
    assert!(clipped.iter().zip(&expected).all(|(&c, &e)| c == e as f32));
    let scores: Vec<f32> = run(&file, &plan.zscored(Voxels::All), Isa::best());
    let n = expected.len() as f64;
    let mean = expected.iter().sum::<f64>() / n;
    let std = (expected.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    for (&score, &value) in scores.iter().zip(&expected) {
        assert!((f64::from(score) - (value - mean) / std).abs() < 1e-6);
    }
}

#[test]
fn a_volume_without_spread_becomes_zero() {
    let h = header(Version::Nifti1, Endian::Little, Datatype::Float64, &[9, 1, 1]);
    let stored: Vec<u8> = [0.1_f64; 9].iter().flat_map(|v| v.to_ne_bytes()).collect();
    let file = open(&encode(&h, &[], &stored, Pack::Plain).unwrap()).unwrap();
    assert_eq!(run::<f32>(&file, &Plan::scaled().zscored(Voxels::All), Isa::best()), [0.0; 9]);
    assert_eq!(Plan::scaled().normalize, Normalize::None);
}

#[test]
fn an_output_of_another_length_is_refused() {
    let (file, _) = file(Datatype::Uint8, Endian::Little, 10, None);
    let error = file.decode_into(&mut Decoder::new(), &Plan::scaled(), &mut [0.0_f32; 9]).unwrap_err();
    assert!(matches!(error, NiftiError::Buffer { got: 9, need: 10 }));
}

#[test]
fn a_watch_sees_every_byte_of_a_volume_that_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("v.nii");
    let (header, stored) =
        (header(Version::Nifti1, Endian::Little, Datatype::Int16, &[300, 200, 5]), 2 * 300 * 200 * 5);
    write(&path, &header, &[], &voxels(Datatype::Int16, stored / 2, 1, false), Pack::Plain).unwrap();
    let file = VolumeFile::open(&path).unwrap();
    for plan in [Plan::stored(), Plan::stored().with_stats(), Plan::stored().oriented(Orientation::LPS)] {
        let watch = Watch::new();
        file.decode::<f32>(&mut Decoder::new().watched(watch.clone()), &plan).unwrap();
        assert_eq!(watch.bytes(), stored as u64, "{plan:?}");
    }
}
