//! Unpacks a packed file in memory in one shot.

use super::{
    GzipFault, Inflater, Unpacker,
    deflate::Refused,
    member::{MAGIC, Member, TRAILER},
};
use crate::{Limits, NiftiError, source::Bytes};

/// Unpacks `packed`, the contents of `bytes`, into `out`, up to the first `out.len()` unpacked bytes.
///
/// libdeflate unpacks member after member and verifies each checksum. It needs room for a whole member, so zlib-rs
/// unpacks a stream that holds more than `out`: a file need not end with its voxels. zlib-rs also unpacks what
/// libdeflate refuses, because it reports what is wrong. Bytes after the voxels are unpacked and dropped, because the
/// checksum of their member covers the voxels too; `limits` bounds their number.
pub(crate) fn whole(
    inflater: &mut Inflater,
    packed: &[u8],
    bytes: &Bytes,
    out: &mut [u8],
    limits: &Limits,
) -> Result<(), NiftiError> {
    if !limits.verify {
        return unverified(inflater, packed, bytes, out);
    }
    let (mut at, mut filled) = (0, 0);
    while filled < out.len() {
        match inflater.member(&packed[at..], &mut out[filled..]) {
            Ok(moved) => {
                at += moved.packed;
                filled += moved.unpacked;
                // A truncated file ends here, and so does one with padding. The stream below finds out which.
                if !packed[at..].starts_with(&MAGIC) {
                    break;
                }
            }
            Err(Refused::Long | Refused::Bad) => return stream(bytes, at, filled, out, limits),
        }
    }
    if filled == out.len() && at == packed.len() {
        return Ok(());
    }
    stream(bytes, at, filled, out, limits)
}

/// Continues as a stream from the member at `at`, after `filled` bytes.
fn stream(bytes: &Bytes, at: usize, filled: usize, out: &mut [u8], limits: &Limits) -> Result<(), NiftiError> {
    let need = out.len() as u64;
    let mut unpacker = Unpacker::from(bytes, at as u64);
    let got = unpacker.read(&mut out[filled..]).map_err(|error| shortage(error, filled, need))?;
    let there = (filled + got) as u64;
    if there < need {
        return Err(NiftiError::Truncated { what: "gzip stream", offset: 0, got: there, need });
    }
    finish(&mut unpacker, filled, need, limits)
}

/// Unpacks the first `need` bytes, passes them on in pieces of `step` bytes, and then continues like [`whole`]. Takes
/// constant memory.
pub(crate) fn streamed(
    bytes: &Bytes,
    need: u64,
    step: usize,
    limits: &Limits,
    each: &mut dyn FnMut(&[u8]),
) -> Result<(), NiftiError> {
    let mut unpacker = Unpacker::new(bytes);
    let mut piece = vec![0; step];
    while unpacker.unpacked() < need {
        let want = (need - unpacker.unpacked()).min(step as u64) as usize;
        let got = unpacker.read(&mut piece[..want]).map_err(|error| shortage(error, 0, need))?;
        if got < want {
            let got = unpacker.unpacked();
            return Err(NiftiError::Truncated { what: "gzip stream", offset: 0, got, need });
        }
        each(&piece[..got]);
    }
    finish(&mut unpacker, 0, need, limits)
}

/// Unpacks and drops the bytes after the voxels, if checksums are to be verified.
fn finish(unpacker: &mut Unpacker<'_>, filled: usize, need: u64, limits: &Limits) -> Result<(), NiftiError> {
    if !limits.verify {
        return Ok(());
    }
    let most = limits.trailing_bytes;
    match unpacker.drain(most).map_err(|error| shortage(error, filled, need))? {
        true => Ok(()),
        false => {
            Err(NiftiError::TooLarge { what: "what follows the voxels", got: most.saturating_add(1), limit: most })
        }
    }
}

/// The error for a stream that ends too early, with the number of missing bytes unless all voxels are present.
pub(super) fn shortage(error: NiftiError, filled: usize, need: u64) -> NiftiError {
    match error {
        NiftiError::Gzip { offset, fault: GzipFault::Truncated { unpacked } } => {
            let got = filled as u64 + unpacked;
            if got < need {
                NiftiError::Truncated { what: "gzip stream", offset: 0, got, need }
            } else {
                NiftiError::Gzip { offset, fault: GzipFault::Truncated { unpacked: got } }
            }
        }
        error => error,
    }
}

/// Like [`whole`], but does not check checksums and sizes, and does not unpack the bytes after the voxels.
fn unverified(inflater: &mut Inflater, packed: &[u8], bytes: &Bytes, out: &mut [u8]) -> Result<(), NiftiError> {
    let limits = Limits::default().with_verify(false);
    let (mut at, mut filled) = (0, 0);
    while filled < out.len() {
        let Ok(Some(member)) = Member::parse(&packed[at..]) else { return stream(bytes, at, filled, out, &limits) };
        match inflater.raw(&packed[at + member.header..], &mut out[filled..]) {
            Ok(moved) => {
                filled += moved.unpacked;
                at = (at + member.header + moved.packed).saturating_add(TRAILER).min(packed.len());
            }
            Err(_) => return stream(bytes, at, filled, out, &limits),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use op::random::SplitMix64;

    use super::*;
    use crate::gzip::deflate::crc32;

    /// A member of text-like bytes, by zlib.
    fn member(level: i32, contents: &[u8]) -> Vec<u8> {
        let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        let mut deflate = zlib_rs::Deflate::new(level, false, 15);
        let mut out = vec![0; contents.len() + contents.len() / 100 + 1000];
        deflate.compress(contents, &mut out, zlib_rs::DeflateFlush::Finish).unwrap();
        packed.extend(&out[..deflate.total_out() as usize]);
        packed.extend(crc32(0, contents).to_le_bytes());
        packed.extend((contents.len() as u32).to_le_bytes());
        packed
    }

    /// Compares libdeflate and zlib-rs directly: what both accept unpacks to the same bytes, and libdeflate refuses
    /// nothing that zlib-rs accepts. In about one of a hundred damaged members, zlib finds an invalid code of a length
    /// or a distance and libdeflate continues. Then only the checksum would reveal the damage; here it is recomputed,
    /// so that only the data matter.
    #[test]
    fn the_two_inflaters_agree_on_damaged_members() {
        let mut random = SplitMix64::new(5);
        let contents: Vec<u8> = (0..40_000).map(|i| (random.bits() % 9 * (1 + i / 9000)) as u8).collect();
        let (mut refused, mut accepted, mut by_one) = (0, 0, 0);
        for level in [0, 1, 6, 9] {
            let sound = member(level, &contents);
            for _ in 0..2_000 {
                let mut packed = sound.clone();
                let end = packed.len() - TRAILER;
                for _ in 0..1 + random.bits() % 2 {
                    let at = 10 + random.bits() as usize % (end - 10);
                    packed[at] ^= 1 << (random.bits() % 8);
                }
                // Computes the checksum of the unpacked raw data and appends it.
                let mut out = vec![0; 1 << 20];
                let raw = Inflater::new().raw(&packed[10..], &mut out);
                if let Ok(moved) = raw {
                    packed.truncate(10 + moved.packed);
                    packed.extend(crc32(0, &out[..moved.unpacked]).to_le_bytes());
                    packed.extend((moved.unpacked as u32).to_le_bytes());
                }
                let shot = Inflater::new().member(&packed, &mut out);
                let bytes = Bytes::Memory(packed.as_slice().into());
                let mut streamed = vec![0; 1 << 20];
                let mut unpacker = Unpacker::new(&bytes);
                let stream = unpacker.read(&mut streamed).and_then(|got| Ok((got, unpacker.drain(0)?)));
                match (shot, stream) {
                    (Ok(moved), Ok((got, true))) => {
                        assert!(out[..moved.unpacked] == streamed[..got]);
                        accepted += 1;
                    }
                    (Err(_), Err(_)) => refused += 1,
                    (Ok(_), Err(_)) => by_one += 1,
                    (shot, stream) => panic!("level {level}: libdeflate {shot:?}, zlib-rs {stream:?}"),
                }
            }
        }
        assert!(
            refused > 500 && accepted > 500 && by_one < 150,
            "{refused} refused, {accepted} accepted, {by_one} by libdeflate alone"
        );
    }
}
