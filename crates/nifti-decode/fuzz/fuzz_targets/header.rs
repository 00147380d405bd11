//! Headers: every accepted header can be written, and reads back as the corrected header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nifti_decode::{Affine, Header, Version};

fuzz_target!(|bytes: &[u8]| {
    let Ok((header, _)) = Header::parse(bytes) else { return };
    let _ = Affine::of(&header).0.orientation();
    if header.version == Version::Analyze {
        return;
    }
    let encoded = header.encode().expect("what was read fits its own version");
    let (again, _) = Header::parse(&encoded).expect("what was mended is sound");
    assert_eq!(again.dim, header.dim);
    assert_eq!(again.datatype, header.datatype);
    assert_eq!(again.vox_offset, header.vox_offset);
});
