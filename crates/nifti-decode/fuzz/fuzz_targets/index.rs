//! Index files: what is accepted is written back byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nifti_decode::Index;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(index) = Index::parse(bytes) {
        let encoded = index.encode();
        assert_eq!(encoded, bytes[..encoded.len()]);
    }
});
