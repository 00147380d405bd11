//! Arbitrary DEFLATE data after a valid header, with a corrected checksum. libdeflate in one shot, zlib-rs stopped at
//! every block, and reads through the index that was built meanwhile all unpack the same voxels, or all refuse.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nifti_decode::{Datatype, Decoder, Header, Limits, Plan, Version, Threads, VolumeFile};
use zlib_rs::{Inflate, InflateFlush, Status};

const MOST: usize = 1 << 20;

/// A member whose first block, stored, is the header of a volume; then `blocks`.
fn member(blocks: &[u8]) -> (Vec<u8>, bool) {
    let header = Header::new(Version::Nifti1, Datatype::Uint8, &[16, 16, 8]).and_then(|header| header.encode());
    let mut plain = header.expect("a header");
    plain.resize(352, 0);
    let length = plain.len() as u16;
    let mut data = vec![0];
    data.extend(length.to_le_bytes());
    data.extend((!length).to_le_bytes());
    data.extend(plain);
    data.extend(blocks);
    let (mut out, mut inflate) = (vec![0; MOST], Inflate::new(false, 15));
    let is_sound = inflate.decompress(&data, &mut out, InflateFlush::Finish) == Ok(Status::StreamEnd);
    let (taken, given) = (inflate.total_in() as usize, inflate.total_out() as usize);
    if is_sound {
        data.truncate(taken);
    }
    let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    member.extend(data);
    member.extend(zlib_rs::crc32::crc32(0, &out[..given]).to_le_bytes());
    member.extend((given as u32).to_le_bytes());
    (member, is_sound && given >= 352 + 16 * 16 * 8)
}

fuzz_target!(|bytes: &[u8]| {
    let (member, is_sound) = member(bytes);
    let Ok(file) = VolumeFile::from_bytes(member, Limits::default()) else { return assert!(!is_sound) };
    let bits = |voxels: &[f32]| voxels.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let mut out = vec![0.0; file.voxels()];
    let shot = file.decode_into(&mut Decoder::new(), &Plan::stored(), &mut out).map(|_| bits(&out));
    let blocks = file.decode_and_index(&mut Decoder::new(), &Plan::stored(), &mut out);
    let blocks = blocks.map(|(_, index)| (bits(&out), index.expect("ordinary gzip")));
    assert_eq!((shot.is_ok(), blocks.is_ok()), (is_sound, is_sound));
    let (Ok(shot), Ok((blocks, index))) = (shot, blocks) else { return };
    let file = file.with_index(index.into()).expect("the index of this file");
    file.decode_into(&mut Decoder::new().with_threads(Threads::available()), &Plan::stored(), &mut out).expect("what was read before");
    assert!(shot == blocks && shot == bits(&out));
});
