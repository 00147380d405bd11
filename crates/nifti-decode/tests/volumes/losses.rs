//! Values that an output type cannot represent: counted for float types, refused for integer types, never lost
//! silently.

use machine::isa::Isa;
use nifti_decode::{
    Datatype, Decoder, Endian, Losses, NiftiError, Orientation, Output, Pack, Plan, Value, Version, VolumeFile, bf16,
    encode, f16,
};

use crate::made::{TWO, as_f64, header, open, reals, voxels};

fn file(datatype: Datatype, shape: &[usize], stored: &[u8], scale: Option<(f64, f64)>) -> VolumeFile {
    let h = header(Version::Nifti2, Endian::Big, datatype, shape);
    let h = scale.map_or(h.clone(), |(slope, inter)| h.with_scale(slope, inter));
    open(&encode(&h, &[], stored, Pack::Plain).unwrap()).unwrap()
}

fn of<T: bytemuck::NoUninit>(datatype: Datatype, numbers: &[T], scale: Option<(f64, f64)>) -> VolumeFile {
    file(datatype, &[numbers.len()], bytemuck::cast_slice(numbers), scale)
}

fn losses<D: Output>(file: &VolumeFile) -> Losses {
    file.decode::<D>(&mut Decoder::new(), &Plan::scaled()).unwrap().decoded().losses
}

fn counts(losses: &Losses) -> [u64; 3] {
    [losses.whole, losses.overflowed, losses.underflowed]
}

#[test]
fn label_ids_above_the_significand_are_counted() {
    let ids = [0, 997, 576_073_732, 614_454_277, 16_777_217, 2_147_483_647_u32];
    let file = of(Datatype::Uint32, &ids, None);
    let lost = losses::<f32>(&file);
    // 576073732 is a multiple of 4 below 2^30, and its significand is 4 bits too long; the others are odd.
    let expected = ids.iter().filter(|&&id| (id as f32) as u32 != id).count() as u64;
    assert_eq!(
        (counts(&lost), lost.first.map(|first| (first.index, first.value))),
        ([expected, 0, 0], {
            let index = ids.iter().position(|&id| (id as f32) as u32 != id).unwrap();
            Some((index, Value::Int(ids[index].into())))
        })
    );
    assert!(losses::<f64>(&file).is_empty());
    // float16 holds 997 and 0; the others are beyond its range.
    assert_eq!(counts(&losses::<f16>(&file)), [0, 4, 0]);
    assert_eq!(counts(&losses::<bf16>(&file)), [5, 0, 0]);
    // Ids that a program stored as floats have the same losses.
    let as_floats = of(Datatype::Float64, &ids.map(f64::from), None);
    assert_eq!(counts(&losses::<f32>(&as_floats)), [expected, 0, 0]);
}

#[test]
fn values_beyond_the_range_are_counted() {
    let file = of(Datatype::Float64, &[0.1, 1e300, -1e300, 1e-310, f64::INFINITY, f64::NAN, 1e-40], None);
    let lost = losses::<f32>(&file);
    assert_eq!(counts(&lost), [0, 2, 2]);
    assert_eq!(lost.to_string(), "4 values changed: 2 to infinity, 2 near zero; the first is 1e300 at index 1");
    assert_eq!(counts(&losses::<f64>(&file)), [0; 3]);
    assert_eq!(counts(&losses::<bf16>(&file)), [0, 2, 2]);
    // Scaling alone can exceed the range of f64.
    let scaled = of(Datatype::Float64, &[1.0, 1e300, f64::NEG_INFINITY], Some((1e20, 0.0)));
    assert_eq!(counts(&losses::<f64>(&scaled)), [0, 1, 0]);
    assert_eq!(counts(&losses::<f32>(&of(Datatype::Int16, &[0_i16, 1, -7], Some((1e-42, 0.0))))), [0, 0, 2]);
}

/// Counts the losses one by one, from the scaled values as f64. `least` is the smallest normal number of the output
/// type.
fn naive<D: Output>(file: &VolumeFile, values: &[f64], back: fn(D) -> f64, least: f64) -> [u64; 3] {
    let output = file.decode::<D>(&mut Decoder::new(), &Plan::scaled()).unwrap().into_voxels();
    let mut counts = [0; 3];
    for (&value, &output) in values.iter().zip(&output) {
        let got = back(output);
        if got == value || !value.is_finite() {
        } else if got.is_infinite() {
            counts[1] += 1;
        } else if value.abs() < least {
            counts[2] += 1;
        } else if value.fract() == 0.0 && value.abs() <= f64::exp2(53.0) {
            counts[0] += 1;
        }
    }
    counts
}

/// Every real type, scaled in several ways, to every float type: the counts match those of a loop over the voxels.
/// There are voxels for several blocks and a remainder, because block sizes matter.
#[test]
fn counts_match_those_of_each_voxel() {
    let scales = [None, Some((0.5, -24.0)), Some((1e6, 3.0)), Some((1e-42, 0.0)), Some((-3e38, 0.0)), Some((0.1, 1e4))];
    for datatype in reals() {
        let stored = voxels(datatype, 5003, 21, true);
        for scale in scales {
            let is_wide = datatype.bytes() == 8 && !matches!(datatype, Datatype::Float64);
            if is_wide && scale.is_none() {
                // f64 cannot represent every value, so it cannot be the reference.
                continue;
            }
            let file = file(datatype, &[5003], &stored, scale);
            // The scale as the header stores it: NIfTI-2 stores f64.
            let (slope, inter) = scale.unwrap_or((1.0, 0.0));
            let scaled = |v: f64| if scale.is_some() { v * slope + inter } else { v };
            let values: Vec<f64> = as_f64(datatype, &stored).into_iter().map(scaled).collect();
            let place = format!("{datatype:?} {scale:?}");
            let single = naive::<f32>(&file, &values, f64::from, f32::MIN_POSITIVE.into());
            assert_eq!(counts(&losses::<f32>(&file)), single, "{place} to f32");
            let half = naive::<f16>(&file, &values, f16::to_f64, 1.0 / 16384.0);
            assert_eq!(counts(&losses::<f16>(&file)), half, "{place} to f16");
            let brain = naive::<bf16>(&file, &values, bf16::to_f64, f32::MIN_POSITIVE.into());
            assert_eq!(counts(&losses::<bf16>(&file)), brain, "{place} to bf16");
            assert_eq!(counts(&losses::<f64>(&file)), [0; 3], "{place} to f64");
            let double = file.decode::<f64>(&mut Decoder::new(), &Plan::scaled()).unwrap();
            assert!(double.voxels().iter().zip(&values).all(|(a, b)| a == b || a.is_nan() && b.is_nan()), "{place}");
        }
    }
}

#[test]
fn wide_integers_are_compared_as_integers() {
    let exact = (1_i64 << 53) - 1;
    let file = of(Datatype::Int64, &[exact, exact + 2, i64::MIN, i64::MAX, -3], None);
    let lost = losses::<f64>(&file);
    assert_eq!((counts(&lost), lost.first.map(|first| first.value)), ([2, 0, 0], Some(Value::Int((exact + 2).into()))));
    assert_eq!(counts(&losses::<f32>(&file)), [3, 0, 0]);
    let file = of(Datatype::Uint64, &[u64::MAX, 1 << 63, 65_521, 65_519], None);
    assert_eq!(losses::<f64>(&file).first.map(|first| first.value), Some(Value::Int(u64::MAX.into())));
    assert_eq!(counts(&losses::<f64>(&file)), [1, 0, 0]);
    assert_eq!(counts(&losses::<f16>(&file)), [1, 3, 0]);
}

fn refusal<D: Output + std::fmt::Debug>(file: &VolumeFile) -> (String, usize, u64) {
    match file.decode::<D>(&mut Decoder::new(), &Plan::scaled()) {
        Err(NiftiError::Inexact { to, value, index, count }) => {
            assert_eq!(to, D::NAME);
            (value.to_string(), index, count)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn integers_are_exact_or_refused() {
    let numbers = |file: &VolumeFile| file.decode::<u8>(&mut Decoder::new(), &Plan::scaled()).unwrap().into_voxels();
    let mut decoder = Decoder::new();
    let small = of(Datatype::Int16, &[0_i16, 255, 7], None);
    assert_eq!(numbers(&small), [0, 255, 7]);
    assert_eq!(refusal::<i8>(&small), ("255".into(), 1, 1));
    assert_eq!(refusal::<u8>(&of(Datatype::Int16, &[1_i16, -1, 256], None)), ("-1".into(), 1, 2));
    // Whole floats are valid labels; other floats are not integers.
    assert_eq!(numbers(&of(Datatype::Float32, &[0.0_f32, -0.0, 254.0], None)), [0, 0, 254]);
    assert_eq!(refusal::<i32>(&of(Datatype::Float64, &[1.0, 2.5, f64::NAN], None)), ("2.5".into(), 1, 2));
    assert_eq!(refusal::<i64>(&of(Datatype::Float64, &[9_223_372_036_854_775_808.0_f64], None)).2, 1);
    assert_eq!(refusal::<u64>(&of(Datatype::Float64, &[-1.0_f64], None)).0, "-1");
    // Scaled values are exact where their arithmetic is.
    assert_eq!(numbers(&of(Datatype::Int16, &[4_i16, 6, 10], Some((0.5, 1.0)))), [3, 4, 6]);
    assert_eq!(refusal::<u8>(&of(Datatype::Int16, &[4_i16, 5], Some((0.5, 1.0)))), ("3.5".into(), 1, 1));
    assert_eq!(refusal::<i64>(&of(Datatype::Int64, &[(1_i64 << 53) + 1], Some((1.0, 1.0)))).2, 1);
    // 64-bit values stay exact if they are not scaled.
    let wide = [u64::MAX, 0, (1 << 53) + 1];
    let file = of(Datatype::Uint64, &wide, None);
    assert_eq!(file.decode::<u64>(&mut decoder, &Plan::scaled()).unwrap().voxels(), wide);
    assert_eq!(refusal::<i64>(&file), (u64::MAX.to_string(), 0, 1));
    let wide = [i64::MIN, -1, i64::MAX];
    let file = of(Datatype::Int64, &wide, None);
    assert_eq!(file.decode::<i64>(&mut decoder, &Plan::scaled()).unwrap().voxels(), wide);
    assert_eq!(refusal::<u64>(&file), (i64::MIN.to_string(), 0, 2));
}

/// All integers to all integers, against `TryFrom`.
#[test]
fn every_pair_of_integers_matches_try_from() {
    macro_rules! to {
        ($file:expr, $values:expr, $($type:ty)*) => {$(
            let expected: Vec<Option<$type>> = $values.iter().map(|&v| <$type>::try_from(v).ok()).collect();
            match $file.decode::<$type>(&mut Decoder::new(), &Plan::stored()) {
                Ok(volume) => assert!(volume.voxels().iter().map(|&v| Some(v)).eq(expected)),
                Err(NiftiError::Inexact { value, index, count, .. }) => {
                    assert_eq!(Some(index), expected.iter().position(Option::is_none));
                    assert_eq!(value, Value::Int($values[index]));
                    assert_eq!(count, expected.iter().filter(|v| v.is_none()).count() as u64);
                }
                Err(other) => panic!("{other}"),
            }
        )*};
    }
    macro_rules! from {
        ($($type:ty, $datatype:ident;)*) => {$(
            for numbers in [vec![<$type>::MIN, 0, 1, <$type>::MAX], vec![5; 3000], vec![127; 9], vec![<$type>::MIN]] {
                let values: Vec<i128> = numbers.iter().map(|&v| i128::from(v)).collect();
                let file = of(Datatype::$datatype, &numbers, None);
                to!(file, values, u8 i8 u16 i16 u32 i32 u64 i64);
            }
        )*};
    }
    from!(u8, Uint8; i8, Int8; u16, Uint16; i16, Int16; u32, Uint32; i32, Int32; u64, Uint64; i64, Int64;);
}

/// The index refers to the output and does not depend on the order in which voxels are converted. Threads and
/// instruction sets agree.
#[test]
fn the_first_loss_is_the_first_of_the_output() {
    let shape = [33, 21, 9, 2];
    let n: usize = shape.iter().product();
    let numbers: Vec<u32> = (0..n as u32).map(|i| if i % 1009 == 1000 { (1 << 25) + 1 + 2 * i } else { i }).collect();
    let file = file(Datatype::Uint32, &shape, bytemuck::cast_slice(&numbers), None);
    for orientation in [None, Some(Orientation::RAS), Some("PSR".parse().unwrap()), Some("SAL".parse().unwrap())] {
        let plan = Plan { orientation, ..Plan::scaled() };
        let exact = file.decode::<u32>(&mut Decoder::new(), &plan).unwrap();
        let first = exact.voxels().iter().position(|&v| v > 1 << 25).unwrap();
        for decoder in [Decoder::new(), Decoder::new().with_isa(Isa::Scalar), Decoder::new().with_threads(TWO)] {
            let mut decoder = decoder;
            let volume = file.decode::<f32>(&mut decoder, &plan).unwrap();
            let lost = volume.decoded().losses;
            let found = lost.first.unwrap();
            assert_eq!((found.index, found.value), (first, Value::Int(exact.voxels()[first].into())));
            assert_eq!(lost.total(), numbers.iter().filter(|&&v| v > 1 << 25).count() as u64);
        }
    }
    // A region counts only its own losses.
    let region = file.read_region::<f32>(&mut Decoder::new(), &[0..33, 0..21, 0..1, 0..1], &Plan::scaled()).unwrap();
    assert!(region.decoded().losses.is_empty());
    let mut copy = vec![0; 33 * 21 * 4];
    let decoded = file.copy_region_into(&mut Decoder::new(), &[0..33, 0..21, 4..5, 1..2], None, &mut copy).unwrap();
    assert_eq!((decoded.shape, decoded.ran), (vec![33, 21, 1, 1], None));
    let start = 33 * 21 * (4 + 9);
    assert!(copy == bytemuck::cast_slice::<_, u8>(&numbers[start..start + 33 * 21]));
}

/// A plan that normalizes changes the values anyway.
#[test]
fn normalized_values_are_not_counted() {
    let numbers: Vec<u32> = (0..100_u32).map(|i| (1 << 25) + i).collect();
    let plan = Plan::scaled().zscored(nifti_decode::Voxels::All);
    let volume = of(Datatype::Uint32, &numbers, None).decode::<f32>(&mut Decoder::new(), &plan).unwrap();
    assert!(volume.decoded().losses.is_empty());
}
