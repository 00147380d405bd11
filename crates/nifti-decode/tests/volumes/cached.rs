//! Unpacked copies: made once, tied to their source, read like any file.

use nifti_decode::{Datatype, Decoder, Endian, Kind, Orientation, Pack, Phantom, Plan, Version, VolumeFile, write};

use crate::made::{header, voxels};

#[test]
fn a_copy_is_made_once_and_again_when_its_source_changes() {
    let directory = tempfile::tempdir().unwrap();
    let (source, cache) = (directory.path().join("v.nii.gz"), directory.path().join("cache"));
    let save = |seed| {
        let phantom = Phantom::new(Kind::Fmri, Some(&[20, 20, 10, 3]), Orientation::LPS, seed).unwrap();
        write(&source, &phantom.header, &[], &phantom.voxels, Pack::Gzip { level: 6 }).unwrap();
        VolumeFile::open(&source).unwrap()
    };
    let mut decoder = Decoder::new();
    let file = save(1);
    let copy = file.cached(&mut decoder, &cache).unwrap();
    let made = std::fs::metadata(&copy).unwrap().modified().unwrap();
    assert_eq!(file.cached(&mut decoder, &cache).unwrap(), copy);
    assert_eq!(std::fs::metadata(&copy).unwrap().modified().unwrap(), made);

    let opened = VolumeFile::open(&copy).unwrap();
    assert_eq!(opened.header().vox_offset % 4096.0, 0.0);
    assert_eq!(opened.affine(), file.affine());
    assert_eq!(opened.cached_stats(), Some(file.stats(&mut decoder).unwrap()));
    assert_eq!(file.cached_stats(), None);
    let plan = Plan::scaled().oriented(Orientation::RAS);
    let from_copy = opened.decode::<f32>(&mut decoder, &plan).unwrap();
    assert_eq!(from_copy.voxels(), file.decode::<f32>(&mut decoder, &plan).unwrap().into_voxels());

    let changed = save(2).cached(&mut decoder, &cache).unwrap();
    assert_ne!(changed, copy);
    // A truncated copy is made again.
    std::fs::write(&changed, &std::fs::read(&changed).unwrap()[..5000]).unwrap();
    let again = VolumeFile::open(&source).unwrap().cached(&mut decoder, &cache).unwrap();
    assert_eq!(again, changed);
    assert!(VolumeFile::open(&again).is_ok());
    assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 2);
}

#[test]
fn the_statistics_of_a_copy_are_those_of_its_source_in_either_byte_order() {
    let directory = tempfile::tempdir().unwrap();
    let mut decoder = Decoder::new();
    for (at, (endian, datatype)) in [Endian::Little, Endian::Big]
        .into_iter()
        .flat_map(|endian| [(endian, Datatype::Int16), (endian, Datatype::Float32), (endian, Datatype::Rgb24)])
        .enumerate()
    {
        let header = header(Version::Nifti1, endian, datatype, &[9, 8, 7]).with_scale(0.5, -3.0);
        let source = directory.path().join(format!("{at}.nii"));
        write(&source, &header, &[], &voxels(datatype, 9 * 8 * 7, 5, false), Pack::Plain).unwrap();
        let file = VolumeFile::open(&source).unwrap();
        let copy = VolumeFile::open(file.cached(&mut decoder, &directory.path().join("cache")).unwrap()).unwrap();
        assert_eq!(copy.cached_stats(), file.stats(&mut decoder).ok(), "{endian:?} {datatype:?}");
        assert_eq!(copy.cached_stats().is_some(), datatype != Datatype::Rgb24);
    }
}
