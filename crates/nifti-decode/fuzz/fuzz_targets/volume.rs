//! Whole files, plain and packed: decode, view, regions, statistics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nifti_decode::{Decoder, Limits, Orientation, Plan, VolumeFile, Voxels};

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = VolumeFile::from_bytes(bytes, Limits::default().with_data_bytes(1 << 22)) else { return };
    let mut decoder = Decoder::new();
    let plan = Plan::scaled().oriented(Orientation::RAS).with_stats().zscored(Voxels::NonZero);
    let _ = file.decode::<f32>(&mut decoder, &plan);
    let _ = file.view(&mut decoder).map(|view| view.len());
    let region: Vec<_> = file.shape().iter().map(|&extent| extent / 3..extent).collect();
    let _ = file.read_region::<f32>(&mut decoder, &region, &Plan::stored());
});
