//! Headers as other programs write them: extents, transforms and units in special cases. Headers are made byte by byte,
//! so that nothing here depends on our writer.

use nifti_decode::{AffineSource, Got, Header, Limits, NiftiError, SpaceUnit, TimeUnit, Version, VolumeFile, Warning};

/// A little-endian NIfTI-1 file of int16 with the axes `dim` and the fields of `edits`. Its voxels are zeros.
fn file(dim: &[i16], edits: &[(usize, &[u8])], voxels: usize) -> Vec<u8> {
    let mut bytes = vec![0; 352 + 2 * voxels];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &348_i32.to_le_bytes());
    put(40, &(dim.len() as i16).to_le_bytes());
    for (axis, extent) in dim.iter().enumerate() {
        put(42 + 2 * axis, &extent.to_le_bytes());
    }
    put(70, &[4, 0, 16, 0]);
    put(76, floats(&[1.0, 2.0, 2.0, 2.0]).as_slice());
    put(108, &352_f32.to_le_bytes());
    put(344, b"n+1\0");
    for (at, value) in edits {
        put(*at, value);
    }
    bytes
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn open(bytes: Vec<u8>) -> VolumeFile {
    VolumeFile::from_bytes(bytes, Limits::default()).unwrap()
}

const GLMIN: usize = 144;
const QFORM_CODE: usize = 252;
const SFORM_CODE: usize = 254;
const QUATERNION: usize = 256;
const QOFFSET: usize = 268;
const SROWS: usize = 280;

#[test]
fn vectors_of_freesurfer_have_their_length_in_glmin() {
    let length = 40_000_i32.to_le_bytes();
    for (dim, shape) in [
        (&[-1, 1, 1][..], &[40_000, 1, 1][..]),
        (&[-1, 1, 1, 3], &[40_000, 1, 1, 3]),
        (&[-1, 1, 1, 1, 2], &[40_000, 1, 1, 1, 2]),
        (&[27_307, 1, 6], &[163_842, 1, 1]),
        (&[27_307, 1, 6, 2], &[163_842, 1, 1, 2]),
    ] {
        let n = shape.iter().product();
        let volume = open(file(dim, &[(GLMIN, &length)], n));
        assert_eq!(volume.shape(), shape);
        // The same after our own writer stores it.
        let header = Header::new(Version::Nifti1, volume.datatype(), shape).unwrap();
        assert_eq!(header.dim[1..=dim.len()], dim.iter().map(|&extent| i64::from(extent)).collect::<Vec<_>>());
        assert_eq!(header.shape().unwrap(), shape);
        let wide = volume.header().to_version(Version::Nifti2).unwrap();
        assert_eq!(wide.dim[1..=dim.len()], shape.iter().map(|&extent| extent as i64).collect::<Vec<_>>());
    }
}

#[test]
fn a_negative_extent_is_a_vector_in_one_place_only() {
    let length = 40_000_i32.to_le_bytes();
    for dim in [&[-1, 1, 2][..], &[-1, 1], &[1, -1, 1], &[-2, 1, 1], &[27_307, 6, 1, -1]] {
        let error = VolumeFile::from_bytes(file(dim, &[(GLMIN, &length)], 0), Limits::default()).unwrap_err();
        assert!(matches!(error, NiftiError::Field { need: "at least 1", got: Got::Int(..0), .. }), "{dim:?}: {error}");
    }
    for glmin in [0_i32, -5] {
        let error = VolumeFile::from_bytes(file(&[-1, 1, 1], &[(GLMIN, &glmin.to_le_bytes())], 0), Limits::default());
        assert!(matches!(error.unwrap_err(), NiftiError::Field { field: "glmin", offset: 144, .. }));
    }
    // Other extents are unchanged.
    assert_eq!(open(file(&[27_307, 6, 1], &[], 163_842)).shape(), [27_307, 6, 1]);
}

#[test]
fn lengths_and_times_have_units() {
    let scan = |units: u8| {
        let edits: [(usize, &[u8]); 2] = [(123, &[units]), (76, &floats(&[1.0, 400.0, 400.0, 400.0, 1500.0]))];
        let volume = open(file(&[2, 2, 2, 2], &edits, 16));
        let header = volume.header();
        let step = header.time_unit().and_then(|unit| unit.to_seconds(header.pixdim[4]));
        (header.space_unit(), header.to_mm(volume.affine().spacing()[0]), header.time_unit(), step)
    };
    assert_eq!(scan(3 + 16), (Some(SpaceUnit::Micrometer), 0.4, Some(TimeUnit::Millisecond), Some(1.5)));
    assert_eq!(scan(1 + 24), (Some(SpaceUnit::Meter), 400_000.0, Some(TimeUnit::Microsecond), Some(0.0015)));
    assert_eq!(scan(2 + 8), (Some(SpaceUnit::Millimeter), 400.0, Some(TimeUnit::Second), Some(1500.0)));
    assert_eq!(scan(2 + 32), (Some(SpaceUnit::Millimeter), 400.0, Some(TimeUnit::Hertz), None));
    assert_eq!(scan(0), (None, 400.0, None, None));
}

#[test]
fn an_sform_that_maps_no_volume_is_ignored() {
    let plane = floats(&[2.0, 0.0, 2.0, 0.0, 0.0, 2.0, 2.0, 0.0, 2.0, 2.0, 4.0, 0.0]);
    let mut nan = floats(&[2.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0]);
    nan[12..16].copy_from_slice(&f32::NAN.to_le_bytes());
    let offset = floats(&[-5.0, -6.0, -7.0]);
    for (rows, is_finite) in [(&vec![0; 48], true), (&plane, true), (&nan, false)] {
        for (qform, used) in [(1_u8, AffineSource::Qform), (0, AffineSource::Base)] {
            let edits: [(usize, &[u8]); 4] =
                [(QFORM_CODE, &[qform]), (SFORM_CODE, &[4]), (QOFFSET, &offset), (SROWS, rows)];
            let volume = open(file(&[4, 4, 4], &edits, 64));
            assert_eq!(volume.warnings(), [Warning::Sform { code: 4, is_finite, used }]);
            assert_eq!((volume.affine_source(), volume.header().sform_code), (used, 0));
            assert_eq!(volume.affine().spacing(), [2.0; 3]);
            let text = volume.warnings()[0].to_string();
            assert!(text.starts_with("sform_code is 4, but srow_x, y, z"), "{text}");
            assert!(text.ends_with(&format!("used instead: {used}")), "{text}");
        }
    }
}

#[test]
fn a_qform_that_maps_no_volume_is_ignored() {
    let quaternion = floats(&[0.9, 0.9, 0.0]);
    let long = open(file(&[4, 4, 4], &[(QFORM_CODE, &[1]), (QUATERNION, &quaternion)], 64));
    assert!(matches!(long.warnings(), [Warning::Quaternion { got }] if *got > 1.6), "{:?}", long.warnings());
    let offset = floats(&[0.0, f32::INFINITY, 0.0]);
    let lost = open(file(&[4, 4, 4], &[(QFORM_CODE, &[1]), (QOFFSET, &offset)], 64));
    assert_eq!(lost.warnings(), [Warning::QformOffset { got: f64::INFINITY }]);
    assert_eq!((lost.affine_source(), long.affine_source()), (AffineSource::Base, AffineSource::Base));
}

#[test]
fn distances_that_disagree_are_reported() {
    let rows = |x: f32, y: f32, z: f32| floats(&[x, 0.0, 0.0, 0.0, 0.0, y, 0.0, 0.0, 0.0, 0.0, z, 0.0]);
    let warnings = |dim: &[i16], rows: &[u8]| {
        let voxels = dim.iter().map(|&extent| extent as usize).product();
        open(file(dim, &[(SFORM_CODE, &[1]), (SROWS, rows)], voxels)).warnings().to_vec()
    };
    let x = Warning::Spacing { axis: 1, pixdim: 2.0, sform: 1.0 };
    let z = Warning::Spacing { axis: 3, pixdim: 2.0, sform: 2.5 };
    assert_eq!(warnings(&[4, 4, 4], &rows(1.0, 2.0, -2.5)), [x, z]);
    // An axis that does not exist has no distance.
    assert_eq!(warnings(&[4, 4], &rows(1.0, 2.0, -2.5)), [x]);
    // Differences from rounding and from few digits are ignored.
    assert_eq!(warnings(&[4, 4, 4], &rows(2.001, -2.0, 1.9999)), []);
    assert!(x.to_string().contains("pixdim[1] is 2, but a step of the sform has length 1"), "{x}");
}

#[test]
fn transforms_that_disagree_are_reported() {
    let sform = |shift: f32| floats(&[2.0, 0.0, 0.0, shift, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0]);
    let warnings = |codes: [u8; 2], rows: &[u8], quaternion: &[u8]| {
        let [qform, sform] = codes;
        let edits: [(usize, &[u8]); 4] =
            [(QFORM_CODE, &[qform]), (SFORM_CODE, &[sform]), (SROWS, rows), (QUATERNION, quaternion)];
        let volume = open(file(&[4, 4, 4], &edits, 64));
        assert_eq!(volume.affine_source(), if sform > 0 { AffineSource::Sform } else { AffineSource::Qform });
        volume.warnings().to_vec()
    };
    let straight = floats(&[0.0; 3]);
    let shifted = Warning::Transforms { sform_code: 4, qform_code: 1, distance: 1.25 };
    assert_eq!(warnings([1, 4], &sform(1.25), &straight), [shifted]);
    let text = "sform (mni) and qform (scanner) place a corner 1.25 apart; the sform is used";
    assert_eq!(shifted.to_string(), text);
    // Half a voxel is not more than half a voxel; and one transform alone contradicts nothing.
    assert_eq!(warnings([1, 4], &sform(1.0), &straight), []);
    assert_eq!(warnings([1, 0], &sform(9.0), &straight), []);
    assert_eq!(warnings([0, 4], &sform(9.0), &straight), []);
    // Half a turn about z takes the last corner of x and y from 6 to -6.
    let turned = warnings([2, 2], &sform(0.0), &floats(&[0.0, 0.0, 1.0]));
    let [Warning::Transforms { sform_code: 2, qform_code: 2, distance }] = turned[..] else { panic!("{turned:?}") };
    assert!((distance - 12.0 * 2.0_f64.sqrt()).abs() < 1e-5, "{distance}");
}
