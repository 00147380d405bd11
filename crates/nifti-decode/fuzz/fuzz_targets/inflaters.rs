//! libdeflate in one shot and zlib-rs block by block give the same voxels, or both refuse.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nifti_decode::{Decoder, Limits, Plan, VolumeFile};

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = VolumeFile::from_bytes(bytes, Limits::default().with_data_bytes(1 << 22)) else { return };
    if !file.datatype().is_real() {
        return;
    }
    let (mut shot, mut blocks) = (vec![0.0_f32; file.voxels()], vec![0.0_f32; file.voxels()]);
    let by_shot = file.decode_into(&mut Decoder::new(), &Plan::stored(), &mut shot);
    let by_block = file.decode_and_index(&mut Decoder::new(), &Plan::stored(), &mut blocks);
    assert_eq!(by_shot.is_ok(), by_block.is_ok());
    assert!(by_shot.is_err() || shot.iter().map(|v| v.to_bits()).eq(blocks.iter().map(|v| v.to_bits())));
});
