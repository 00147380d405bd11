//! Unpacked copies: made once, keyed to their source, read as any file.

use nifti_decode::{Decoder, Kind, Orientation, Pack, Phantom, Plan, VolumeFile, write};

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
    assert_eq!(from_copy.voxels, file.decode::<f32>(&mut decoder, &plan).unwrap().voxels);

    let changed = save(2).cached(&mut decoder, &cache).unwrap();
    assert_ne!(changed, copy);
    // A copy that was cut short is made again.
    std::fs::write(&changed, &std::fs::read(&changed).unwrap()[..5000]).unwrap();
    let again = VolumeFile::open(&source).unwrap().cached(&mut decoder, &cache).unwrap();
    assert_eq!(again, changed);
    assert!(VolumeFile::open(&again).is_ok());
    assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 2);
}
