//! Members found by their stated sizes, and members found one after the other: what the first method reads, the second
//! reads too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nifti_decode::{Decoder, Limits, Plan, Threads, VolumeFile};

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = VolumeFile::from_bytes(bytes, Limits::default().with_data_bytes(1 << 22)) else { return };
    if !file.packing().is_blocked() || !file.datatype().is_real() {
        return;
    }
    let region: Vec<_> = file.shape().iter().map(|&extent| extent / 3..extent).collect();
    let _ = file.read_region::<f32>(&mut Decoder::new(), &region, &Plan::stored());
    let by_blocks = file.decode::<f32>(&mut Decoder::new().with_threads(Threads::available()), &Plan::stored());
    let Ok(by_blocks) = by_blocks else { return };
    let by_stream = file.decode::<f32>(&mut Decoder::new(), &Plan::stored()).expect("what several threads read");
    assert!(by_blocks.voxels().iter().map(|v| v.to_bits()).eq(by_stream.voxels().iter().map(|v| v.to_bits())));
});
