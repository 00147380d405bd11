//! The reader reads back what the writer wrote, for every type, byte order, version and packing.

use nifti_decode::{
    Affine, AffineSource, Datatype, Decoder, Endian, Extension, Limits, Orientation, Version, VolumeFile, encode,
};

use crate::made::{PACKS, header, open, voxels};

#[test]
fn every_type_order_version_and_packing() {
    let shape = [13, 11, 7];
    for datatype in Datatype::ALL {
        let stored = voxels(datatype, shape.iter().product(), datatype.code() as u64, true);
        for endian in [Endian::Little, Endian::Big] {
            for version in [Version::Nifti1, Version::Nifti2] {
                for pack in PACKS {
                    let header = header(version, endian, datatype, &shape).with_scale(2.0, -1.0);
                    let bytes = encode(&header, &[], &stored, pack).unwrap();
                    let file = open(&bytes).unwrap();
                    let place = format!("{datatype:?} {endian:?} {version:?} {pack:?}");
                    assert_eq!(file.warnings(), [], "{place}");
                    assert_eq!(file.header().version, version);
                    assert_eq!(file.header().endian, endian);
                    assert_eq!((file.datatype(), file.shape()), (datatype, &shape[..]), "{place}");
                    let mut copy = vec![0; stored.len()];
                    file.copy_into(&mut Decoder::new(), None, &mut copy).unwrap();
                    assert!(copy == stored, "{place}");
                }
            }
        }
    }
}

#[test]
fn every_field_of_the_header() {
    for version in [Version::Nifti1, Version::Nifti2] {
        for endian in [Endian::Little, Endian::Big] {
            let mut h = header(version, endian, Datatype::Float32, &[2, 3, 4, 5, 1, 2, 1]);
            h.dim_info = 0x39;
            (h.intent_p1, h.intent_p2, h.intent_p3, h.intent_code) = (1.5, -2.5, 3.5, 1002);
            (h.slice_start, h.slice_end, h.slice_code, h.slice_duration) = (1, 30, 3, 0.0625);
            h.pixdim = [-1.0, 0.5, 0.75, 1.25, 2.0, 1.0, 3.0, 4.0];
            (h.toffset, h.xyzt_units, h.cal_max, h.cal_min) = (12.5, 10, 1000.0, -50.0);
            h.descrip[..5].copy_from_slice(b"hello");
            h.aux_file[..4].copy_from_slice(b"none");
            h.intent_name[..4].copy_from_slice(b"what");
            (h.qform_code, h.sform_code) = (1, 4);
            (h.quatern_b, h.quatern_c, h.quatern_d) = (0.5, -0.5, 0.5);
            (h.qoffset_x, h.qoffset_y, h.qoffset_z) = (-90.5, 126.25, -72.0);
            (h.srow_x, h.srow_y, h.srow_z) = ([1.0, 0.5, 0.25, -9.0], [0.0, 2.0, 0.0, 3.0], [0.125, 0.0, 1.0, 7.0]);
            if version == Version::Nifti1 {
                (h.glmax, h.glmin) = (32767, -5);
            }
            let stored = vec![0; 4 * 240];
            let extension = Extension { ecode: 6, content: vec![9; 8] };
            let file = open(&encode(&h, &[extension], &stored, nifti_decode::Pack::Plain).unwrap()).unwrap();
            assert_eq!(file.header().vox_offset, version.least_vox_offset() as f64 + 16.0);
            h.vox_offset = file.header().vox_offset;
            assert_eq!(*file.header(), h);
            assert_eq!(file.header().description(), "hello");
            assert_eq!(file.affine_source(), AffineSource::Sform);
        }
    }
}

#[test]
fn a_header_that_its_version_cannot_hold_is_refused() {
    assert!(nifti_decode::Header::new(Version::Nifti1, Datatype::Uint8, &[40_000, 1, 2]).is_err());
    assert!(nifti_decode::Header::new(Version::Nifti2, Datatype::Uint8, &[40_000, 1, 1]).is_ok());
    assert!(nifti_decode::Header::new(Version::Nifti1, Datatype::Uint8, &[]).is_err());
    let mut h = header(Version::Nifti1, Endian::Little, Datatype::Uint8, &[2, 2, 2]);
    h.slice_end = 70_000;
    let error = h.encode().unwrap_err();
    assert_eq!(error.to_string(), "slice_end = 70000 cannot be stored: need -32768 to 32767");
    let wrong_length =
        encode(&header(Version::Nifti1, Endian::Little, Datatype::Uint8, &[2, 2, 2]), &[], &[0; 7], PACKS[0]);
    assert!(matches!(wrong_length, Err(nifti_decode::NiftiError::Buffer { got: 7, need: 8 })));
}

#[test]
fn freesurfers_long_vectors() {
    let mut h = header(Version::Nifti1, Endian::Little, Datatype::Uint8, &[1, 1, 1]);
    h.dim[1] = -1;
    h.glmin = 100_000;
    let file = open(&encode(&h, &[], &vec![3; 100_000], PACKS[2]).unwrap()).unwrap();
    assert_eq!(file.shape(), [100_000, 1, 1]);
}

#[test]
fn files_appear_whole_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("v.nii.gz");
    let h = header(Version::Nifti1, Endian::Little, Datatype::Uint8, &[2, 2, 2]).with_affine(&Affine::IDENTITY);
    nifti_decode::write(&path, &h, &[], &[5; 8], PACKS[3]).unwrap();
    let file = VolumeFile::open_with(&path, Limits::default()).unwrap();
    assert_eq!(file.path(), Some(path.as_path()));
    assert_eq!(file.affine().orientation(), Orientation::RAS.codes().map(Some));
    let before = std::fs::read(&path).unwrap();
    let failed = nifti_decode::atomically(&path, |file| {
        std::io::Write::write_all(file, b"half")?;
        Err(std::io::Error::other("no more"))
    });
    assert!(failed.unwrap_err().to_string().ends_with("v.nii.gz: no more"));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    // Neither file of a pair appears: here the header cannot be written, because its name is taken.
    let (taken, image) = (directory.path().join("p.hdr"), directory.path().join("p.img"));
    std::fs::create_dir(&taken).unwrap();
    std::fs::write(&image, "of another").unwrap();
    let pair = nifti_decode::Header { is_pair: true, vox_offset: 0.0, ..h };
    let error = nifti_decode::write(&taken, &pair, &[], &[5; 8], PACKS[0]).unwrap_err();
    assert!(matches!(error, nifti_decode::NiftiError::NotRegular { .. }), "{error}");
    assert_eq!(std::fs::read(&image).unwrap(), b"of another");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 3);
}
