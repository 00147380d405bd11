//! Files that claim to be the unpacked copy of a source: their extra data is read or ignored, and the voxels are their
//! own.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nifti_decode::{Decoder, Limits, VolumeFile};

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = VolumeFile::from_bytes(bytes, Limits::default().with_data_bytes(1 << 22)) else { return };
    let _ = file.cached_stats();
    let view = file.view(&mut Decoder::new()).map(|view| view.len());
    assert!(view.is_ok_and(|n| n == file.voxels()) || file.packing() != nifti_decode::Packing::Plain);
});
