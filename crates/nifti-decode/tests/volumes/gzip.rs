//! gzip: every method of reading reads every packing; the two inflaters agree.

use std::sync::Arc;

use nifti_decode::{
    Access, Datatype, Decoder, Endian, Index, Kind, Limits, NiftiError, Orientation, Pack, Packing, Phantom, Plan,
    Threads, Version, VolumeFile, encode,
};
use op::random::SplitMix64;

use crate::made::{PACKS, TWO, counting, decode, header, open, small, voxels};

/// `bytes` as one gzip member by zlib.
pub(crate) fn member(bytes: &[u8], level: i32) -> Vec<u8> {
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut deflate = zlib_rs::Deflate::new(level, false, 15);
    let mut out = vec![0; bytes.len() + bytes.len() / 100 + 1000];
    deflate.compress(bytes, &mut out, zlib_rs::DeflateFlush::Finish).unwrap();
    packed.extend(&out[..deflate.total_out() as usize]);
    packed.extend(zlib_rs::crc32::crc32(0, bytes).to_le_bytes());
    packed.extend((bytes.len() as u32).to_le_bytes());
    packed
}

fn brain() -> Phantom {
    Phantom::new(Kind::Brain, Some(&[61, 50, 40]), Orientation::RAS, 3).unwrap()
}

#[test]
fn every_packing_gives_the_same_voxels_with_one_thread_and_several() {
    let phantom = brain();
    for pack in PACKS {
        let file = open(&encode(&phantom.header, &[], &phantom.voxels, pack).unwrap()).unwrap();
        let expected = match pack {
            Pack::Plain => Packing::Plain,
            Pack::Bgzf { .. } => Packing::Bgzf,
            Pack::Mgzip { .. } => Packing::Mgzip,
            _ => Packing::Gzip,
        };
        assert_eq!(file.packing(), expected, "{pack:?}");
        for threads in [Threads::SERIAL, TWO] {
            for verify in [false, true] {
                let limits = Limits::default().with_verify(verify);
                let bytes = encode(&phantom.header, &[], &phantom.voxels, pack).unwrap();
                let file = VolumeFile::from_bytes(bytes, limits).unwrap();
                let mut copy = vec![0; phantom.voxels.len()];
                let mut decoder = Decoder::new().with_threads(threads);
                file.copy_into(&mut decoder, None, &mut copy).unwrap();
                assert!(copy == phantom.voxels, "{pack:?} {threads} {verify}");
            }
        }
    }
}

#[test]
fn members_may_be_padded_with_zeros_and_by_nothing_else() {
    let mut packed = member(&small(), 6);
    packed.extend([0; 700]);
    assert_eq!(decode::<f32>(&packed).unwrap(), counting());
    packed.extend([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert!(matches!(decode::<f32>(&packed).unwrap_err(), NiftiError::Gzip { .. }));
}

#[test]
fn the_suffix_of_a_file_is_ignored() {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in [("plain.nii.gz", small()), ("packed.nii", member(&small(), 6))] {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let file = VolumeFile::open(&path).unwrap();
        let volume = file.decode::<f32>(&mut Decoder::new(), &Plan::scaled()).unwrap();
        assert_eq!(volume.voxels(), counting());
    }
}

/// libdeflate (whole streams) and zlib-rs (while an index is made) unpack the same bytes or both refuse, on whole and
/// on damaged files.
#[test]
fn both_inflaters_agree() {
    let phantom = brain();
    let mut random = SplitMix64::new(11);
    let mut refused = 0;
    for pack in PACKS.into_iter().filter(|pack| *pack != Pack::Plain) {
        let whole = encode(&phantom.header, &[], &phantom.voxels, pack).unwrap();
        for round in 0..40 {
            let mut bytes = whole.clone();
            for _ in 0..round.min(2) {
                // The first header is left alone, because it determines how the file is read.
                let at = 30 + random.below(bytes.len() - 30);
                bytes[at] ^= 1 << random.below(8);
            }
            let Ok(file) = open(&bytes) else { continue };
            let n = file.voxels();
            let mut by_shot = vec![0.0_f32; n];
            let shot = file.decode_into(&mut Decoder::new(), &Plan::scaled(), &mut by_shot);
            let mut by_stream = vec![0.0_f32; n];
            let stream = file.decode_and_index(&mut Decoder::new(), &Plan::scaled(), &mut by_stream);
            assert_eq!(shot.is_ok(), stream.is_ok(), "{pack:?} {round}: {:?} {:?}", shot.err(), stream.err());
            refused += usize::from(shot.is_err());
            assert!(shot.is_err() || by_shot.iter().map(|v| v.to_bits()).eq(by_stream.iter().map(|v| v.to_bits())));
        }
    }
    assert!(refused > 100, "{refused}");
}

fn indexed(pack: Pack, phantom: &Phantom) -> (VolumeFile, Index) {
    let bytes: Arc<[u8]> = encode(&phantom.header, &[], &phantom.voxels, pack).unwrap().into();
    let file = VolumeFile::from_bytes(bytes.clone(), Limits::default()).unwrap();
    let index = file.index(&mut Decoder::new()).unwrap().expect("ordinary gzip");
    assert_eq!(Index::parse(&index.encode()).unwrap(), index);
    let file = VolumeFile::from_bytes(bytes, Limits::default()).unwrap().with_index(Arc::new(index.clone())).unwrap();
    (file, index)
}

#[test]
fn an_index_covers_the_file_and_gives_the_same_voxels() {
    let phantom = Phantom::new(Kind::Ct, Some(&[128, 128, 160]), Orientation::RAS, 5).unwrap();
    let packs = [
        Pack::Gzip { level: 1 },
        Pack::Gzip { level: 6 },
        Pack::Flushed { level: 6, bytes: 128 << 10 },
        Pack::Members { level: 6, bytes: 3 << 20 },
        Pack::Members { level: 0, bytes: usize::MAX },
    ];
    for pack in packs {
        let (file, index) = indexed(pack, &phantom);
        assert!(index.parts() >= 4, "{pack:?}: {}", index.parts());
        assert!(index.unpacked_bytes() >= 352 + phantom.voxels.len() as u64);
        let mut copy = vec![0; phantom.voxels.len()];
        let decoded = file.copy_into(&mut Decoder::new().with_threads(TWO), None, &mut copy).unwrap();
        assert_eq!(decoded.access, Access::GzipInParallel);
        assert!(copy == phantom.voxels, "{pack:?}");
    }
}

#[test]
fn an_index_of_another_file_is_refused() {
    let (_, index) = indexed(Pack::Gzip { level: 6 }, &brain());
    let other = Phantom::new(Kind::Brain, Some(&[61, 50, 40]), Orientation::RAS, 4).unwrap();
    let file = open(&encode(&other.header, &[], &other.voxels, Pack::Gzip { level: 6 }).unwrap()).unwrap();
    assert!(matches!(file.with_index(Arc::new(index)).unwrap_err(), NiftiError::Stale { .. }));
}

#[test]
fn damage_is_found_through_an_index_too() {
    let phantom = Phantom::new(Kind::Ct, Some(&[128, 128, 160]), Orientation::RAS, 5).unwrap();
    let mut bytes = encode(&phantom.header, &[], &phantom.voxels, Pack::Gzip { level: 6 }).unwrap();
    let index = open(&bytes).unwrap().index(&mut Decoder::new()).unwrap().unwrap();
    // Damage in the middle, because the identity covers both ends only.
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    let file = open(&bytes).unwrap().with_index(Arc::new(index)).unwrap();
    let mut copy = vec![0; phantom.voxels.len()];
    let error = file.copy_into(&mut Decoder::new().with_threads(TWO), None, &mut copy).unwrap_err();
    assert!(matches!(error, NiftiError::Gzip { .. }), "{error}");
}

#[test]
fn blocked_files_need_no_index() {
    let phantom = brain();
    for pack in [Pack::Bgzf { level: 1 }, Pack::Mgzip { level: 1, bytes: 9999 }] {
        let file = open(&encode(&phantom.header, &[], &phantom.voxels, pack).unwrap()).unwrap();
        assert!(file.index(&mut Decoder::new()).unwrap().is_none());
    }
}

#[test]
fn a_block_with_a_wrong_size_is_refused() {
    let header = header(Version::Nifti1, Endian::Little, Datatype::Uint8, &[60, 60, 60]);
    let stored = voxels(Datatype::Uint8, 216_000, 2, false);
    let whole = encode(&header, &[], &stored, Pack::Bgzf { level: 6 }).unwrap();
    let first = usize::from(u16::from_le_bytes([whole[16], whole[17]])) + 1;
    for (at, what) in [(16, "packed size"), (first - 4, "unpacked size"), (first - 8, "checksum")] {
        let mut bytes = whole.clone();
        bytes[at] ^= 5;
        for threads in [Threads::SERIAL, TWO] {
            let decoded = open(&bytes).and_then(|file| {
                file.decode::<f32>(&mut Decoder::new().with_threads(threads), &Plan::scaled()).map(|v| v.into_voxels())
            });
            // A member's stated size is ignored when members are unpacked one by one.
            assert!(decoded.is_err() || at == 16 && threads.is_serial(), "{what} {threads}");
        }
    }
}

/// The size that a member states must be correct, so that one thread and several read the same.
#[test]
fn a_block_that_states_more_bytes_than_it_has_is_refused() {
    let header = header(Version::Nifti1, Endian::Little, Datatype::Uint8, &[60, 60, 60]);
    let mut bytes = encode(&header, &[], &voxels(Datatype::Uint8, 216_000, 2, false), Pack::Bgzf { level: 6 }).unwrap();
    let first = u16::from_le_bytes([bytes[16], bytes[17]]);
    let end = usize::from(first) + 1;
    // The four bytes before the stated end are again the correct unpacked size.
    let size: Vec<u8> = bytes[end - 4..end].to_vec();
    bytes.splice(end..end, size);
    bytes[16..18].copy_from_slice(&(first + 4).to_le_bytes());
    for threads in [Threads::SERIAL, TWO] {
        for verify in [false, true] {
            let file = VolumeFile::from_bytes(bytes.clone(), Limits::default().with_verify(verify)).unwrap();
            let decoded = file.decode::<f32>(&mut Decoder::new().with_threads(threads), &Plan::scaled());
            let error = decoded.map(|volume| volume.into_parts().1).unwrap_err();
            assert!(matches!(error, NiftiError::Gzip { .. }), "{threads} {verify}: {error}");
        }
    }
}

/// The 28 bytes that samtools and bgzip look for at the end of a file.
#[test]
fn a_blocked_file_ends_as_other_tools_expect() {
    let bytes = encode(&brain().header, &[], &brain().voxels, Pack::Bgzf { level: 6 }).unwrap();
    let end = [31, 139, 8, 4, 0, 0, 0, 0, 0, 255, 6, 0, 66, 67, 2, 0, 27, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert!(bytes.ends_with(&end), "{:?}", &bytes[bytes.len() - 31..]);
}

/// Found by fuzzing: damage after the voxels is an error with any number of threads.
#[test]
fn a_damaged_block_after_the_voxels_is_refused_if_verified() {
    let whole = encode(&brain().header, &[], &brain().voxels, Pack::Bgzf { level: 6 }).unwrap();
    let mut damaged = whole.clone();
    // The checksum of the empty member at the end.
    let crc = whole.len() - 8;
    damaged[crc] ^= 0xf0;
    for (bytes, is_sound) in [(&whole, true), (&damaged, false)] {
        for threads in [Threads::SERIAL, TWO] {
            for verify in [false, true] {
                let file = VolumeFile::from_bytes(bytes.clone(), Limits::default().with_verify(verify)).unwrap();
                let stats = file.stats(&mut Decoder::new().with_threads(threads));
                assert_eq!(stats.is_ok(), is_sound || !verify, "{threads} {verify}: {stats:?}");
            }
        }
    }
}
