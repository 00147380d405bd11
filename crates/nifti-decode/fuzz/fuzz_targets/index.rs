//! Index files: an accepted index is written back byte for byte. Then the checksum and the identity are corrected, so
//! that the parts are used: reading a valid file through them returns a result or an error and does not panic.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use nifti_decode::{Decoder, Index, Kind, Limits, Orientation, Pack, Phantom, Plan, Threads, VolumeFile, encode};

/// A valid file and its identity.
fn sound() -> &'static (Vec<u8>, [u8; 8]) {
    static SOUND: OnceLock<(Vec<u8>, [u8; 8])> = OnceLock::new();
    SOUND.get_or_init(|| {
        let phantom = Phantom::new(Kind::Tiny, None, Orientation::LPS, 1).expect("a shape");
        let pack = Pack::Flushed { level: 6, bytes: 999 };
        let bytes = encode(&phantom.header, &[], &phantom.voxels, pack).expect("a header");
        let file = VolumeFile::from_bytes(bytes.clone(), Limits::default()).expect("a sound file");
        let index = file.index(&mut Decoder::new()).expect("a sound file").expect("ordinary gzip").encode();
        (bytes, *index[8..].first_chunk().expect("an identity"))
    })
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(index) = Index::parse(bytes) {
        let encoded = index.encode();
        assert_eq!(encoded, bytes[..encoded.len()]);
    }
    let (volume, identity) = sound();
    let mut mended = bytes.to_vec();
    if mended.len() < 24 {
        return;
    }
    mended[8..16].copy_from_slice(identity);
    let end = mended.len() - 4;
    let crc = zlib_rs::crc32::crc32(0, &mended[..end]);
    mended[end..].copy_from_slice(&crc.to_le_bytes());
    let Ok(index) = Index::parse(&mended) else { return };
    let file = VolumeFile::from_bytes(volume.clone(), Limits::default()).expect("a sound file");
    let file = file.with_index(index.into()).expect("its identity");
    let _ = file.read_region::<f32>(&mut Decoder::new(), &[0..16, 0..16, 7..9], &Plan::stored());
    let _ = file.decode::<f32>(&mut Decoder::new().with_threads(Threads::available()), &Plan::stored());
});
