//! A packed file in memory, unpacked in one shot.

use super::{
    GzipFault, Inflater, Unpacker,
    deflate::Refused,
    member::{MAGIC, Member, TRAILER},
};
use crate::{Limits, NiftiError, source::Bytes};

/// Unpacks the first `out.len()` bytes of `packed`, which are the contents of `bytes`, into `out`.
///
/// libdeflate takes member after member, each with its checksum. It wants room for a whole member, so a stream that holds
/// more than `out` (nobody promises that files end with their voxels) goes through zlib-rs, which stops where it is told;
/// and so does a stream that libdeflate refuses, because zlib-rs says what is wrong with it. Bytes behind the voxels are
/// unpacked and dropped, for their member's checksum covers the voxels too; `limits` says how many of them.
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
                // A truncated file ends here; so does one with padding. The stream below knows which.
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

/// Goes on at the member at `at` with a stream, `filled` bytes being there already.
fn stream(bytes: &Bytes, at: usize, filled: usize, out: &mut [u8], limits: &Limits) -> Result<(), NiftiError> {
    let need = out.len() as u64;
    let mut unpacker = Unpacker::from(bytes, at as u64);
    let got = unpacker.read(&mut out[filled..]).map_err(|error| shortage(error, filled, need))?;
    let there = (filled + got) as u64;
    if there < need {
        return Err(NiftiError::Truncated { what: "gzip stream", offset: 0, got: there, need });
    }
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

/// A stream that ends too early is short of the voxels: says of how many.
pub(super) fn shortage(error: NiftiError, filled: usize, need: u64) -> NiftiError {
    match error {
        NiftiError::Gzip { fault: GzipFault::Truncated { unpacked }, .. } => {
            NiftiError::Truncated { what: "gzip stream", offset: 0, got: filled as u64 + unpacked, need }
        }
        error => error,
    }
}

/// As [`whole`], without a look at checksums, sizes, and what follows the voxels.
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
