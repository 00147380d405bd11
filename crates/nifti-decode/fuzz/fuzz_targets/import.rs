//! Indexes of indexed_gzip for one file: refused, or equivalent to the valid one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nifti_decode::{Decoder, Limits, Plan, Threads, VolumeFile};

const VOLUME: &[u8] = include_bytes!("../../tests/data/two-members.nii.gz");

fuzz_target!(|bytes: &[u8]| {
    let file = VolumeFile::from_bytes(VOLUME, Limits::default()).expect("a sound file");
    let Ok(Some(index)) = file.import_gzidx(bytes) else { return };
    let file = file.with_index(index.into()).expect("the index of this file");
    let through = file.decode::<f32>(&mut Decoder::new().with_threads(Threads::available()), &Plan::stored()).expect("what was verified");
    let straight = file.decode::<f32>(&mut Decoder::new(), &Plan::stored()).expect("a sound file");
    assert!(through.voxels() == straight.voxels());
});
