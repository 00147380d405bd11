//! Header and image in two files, and ANALYZE 7.5.

use std::path::Path;

use nifti_decode::{
    AffineSource, Datatype, Decoder, Endian, Header, NiftiError, Pack, Plan, Version, VolumeFile, write,
};

use crate::made::{counting, header};

fn voxels() -> Vec<u8> {
    (0..24_i16).flat_map(i16::to_ne_bytes).collect()
}

fn read(path: &Path) -> Vec<f32> {
    VolumeFile::open(path).unwrap().decode(&mut Decoder::new(), &Plan::scaled()).unwrap().into_voxels()
}

#[test]
fn a_pair_is_opened_by_either_name_packed_or_not() {
    for version in [Version::Nifti1, Version::Nifti2] {
        for (name, image, pack) in [("v.hdr", "v.img", Pack::Plain), ("v.hdr.gz", "v.img.gz", Pack::Gzip { level: 6 })]
        {
            let directory = tempfile::tempdir().unwrap();
            let h =
                Header { is_pair: true, vox_offset: 0.0, ..header(version, Endian::Big, Datatype::Int16, &[4, 3, 2]) };
            write(&directory.path().join(name), &h, &[], &voxels(), pack).unwrap();
            assert_eq!(read(&directory.path().join(name)), counting());
            assert_eq!(read(&directory.path().join(image)), counting());
            std::fs::remove_file(directory.path().join(image)).unwrap();
            let error = VolumeFile::open(directory.path().join(name)).unwrap_err();
            assert!(matches!(error, NiftiError::NoImage { .. }), "{error}");
        }
    }
}

#[test]
fn header_and_image_may_be_packed_differently() {
    let directory = tempfile::tempdir().unwrap();
    let h = Header {
        is_pair: true,
        vox_offset: 16.0,
        ..header(Version::Nifti1, Endian::Little, Datatype::Int16, &[4, 3, 2])
    };
    write(&directory.path().join("v.hdr"), &h, &[], &voxels(), Pack::Plain).unwrap();
    let image = std::fs::read(directory.path().join("v.img")).unwrap();
    assert_eq!(image.len(), 16 + 48);
    std::fs::write(directory.path().join("v.img.gz"), crate::gzip::member(&image, 6)).unwrap();
    std::fs::remove_file(directory.path().join("v.img")).unwrap();
    assert_eq!(read(&directory.path().join("v.hdr")), counting());
}

/// The header of an ANALYZE file, as SPM writes it: slope, intercept and origin in fields that ANALYZE leaves unused.
fn analyze(endian: Endian) -> Vec<u8> {
    let mut h = header(Version::Nifti1, endian, Datatype::Int16, &[4, 3, 2]).with_scale(2.0, 1.0).encode().unwrap();
    h[252..348].fill(0);
    let number = |v: i16| if endian == Endian::Little { v.to_le_bytes() } else { v.to_be_bytes() };
    for (i, v) in [2_i16, 2, 1].into_iter().enumerate() {
        h[253 + 2 * i..255 + 2 * i].copy_from_slice(&number(v));
    }
    h[108..112].fill(0);
    h
}

#[test]
fn analyze_files_are_read_as_spm_reads_them() {
    for endian in [Endian::Little, Endian::Big] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.hdr");
        std::fs::write(&path, analyze(endian)).unwrap();
        assert!(matches!(VolumeFile::open(&path).unwrap_err(), NiftiError::Field { field: "magic", .. }));
        let image: Vec<u8> = (0..24_i16)
            .flat_map(|v| if endian == Endian::Little { v.to_le_bytes() } else { v.to_be_bytes() })
            .collect();
        std::fs::write(directory.path().join("a.img"), image).unwrap();
        let file = VolumeFile::open(&path).unwrap();
        assert_eq!(file.header().version, Version::Analyze);
        assert_eq!(file.affine_source(), AffineSource::Origin);
        assert_eq!(file.affine().0.map(|row| row[3])[..3], [1.0, -1.0, 0.0]);
        assert_eq!(read(&path), counting().iter().map(|v| v * 2.0 + 1.0).collect::<Vec<_>>());
    }
}

#[test]
fn analyze_without_a_slope_scales_by_its_ranges() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.hdr");
    let mut h = analyze(Endian::Little);
    h[112..120].fill(0);
    h[124..128].copy_from_slice(&0.8_f32.to_le_bytes());
    h[128..132].copy_from_slice(&0.2_f32.to_le_bytes());
    h[140..144].copy_from_slice(&110_i32.to_le_bytes());
    h[144..148].copy_from_slice(&10_i32.to_le_bytes());
    std::fs::write(&path, h).unwrap();
    std::fs::write(directory.path().join("a.img"), voxels()).unwrap();
    let scale = VolumeFile::open(&path).unwrap().scale().unwrap();
    // The numbers in nibabel's documentation of Spm2AnalyzeHeader.
    assert!((scale.slope - 0.6 / 100.0).abs() < 1e-9 && (scale.inter - (0.2 - 0.06)).abs() < 1e-7, "{scale:?}");
}
