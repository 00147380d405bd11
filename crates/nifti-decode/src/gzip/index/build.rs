//! Builds an index while a stream is unpacked for the first time.
//!
//! With `Z_BLOCK`, zlib-rs stops at the beginning of every DEFLATE block and reports how many bits of the last byte are
//! unused. Only its C interface reports that number, so this file calls it.

use std::mem::MaybeUninit;

use libz_rs_sys as z;

use super::{Index, MOST_PART, Part, WINDOW};
use crate::{
    Limits, NiftiError,
    gzip::{
        Deflater, GzipFault, Level,
        deflate::crc32,
        member::{MAGIC, Member, TRAILER},
    },
};

/// Unpacked bytes between points: unpacking them takes about a millisecond, and they stay in L2.
const SPACING: usize = 1 << 20;
/// More than any chunk of input or output that zlib counts.
const MOST_STEP: usize = 1 << 30;

/// Unpacks a packed file in memory and records its access points.
#[derive(Debug)]
pub(crate) struct Builder<'a> {
    packed: &'a [u8],
    identity: u64,
}

/// One raw DEFLATE stream, stopped at block boundaries.
struct Blocks(Box<z::z_stream>);

/// The result of a step of [`Blocks`].
struct Step {
    taken: usize,
    given: usize,
    /// Bits of the last consumed byte that are not used yet; only at a block's beginning.
    boundary: Option<u32>,
    is_end: bool,
}

impl Blocks {
    fn new() -> Option<Self> {
        let mut stream = Box::new(MaybeUninit::<z::z_stream>::zeroed());
        let size = size_of::<z::z_stream>() as i32;
        // SAFETY: a zeroed stream asks for the default allocator, as zlib documents; -15 means raw DEFLATE.
        let result = unsafe { z::inflateInit2_(stream.as_mut_ptr(), -15, z::zlibVersion(), size) };
        // SAFETY: zeroed is a valid state of all its fields (null pointers, `None`, numbers), and it was initialized.
        (result == z::Z_OK).then(|| Self(unsafe { stream.assume_init() }))
    }

    fn step(&mut self, packed: &[u8], out: &mut [u8]) -> Option<Step> {
        let (input, room) = (packed.len().min(MOST_STEP), out.len().min(MOST_STEP));
        let stream = &mut *self.0;
        stream.next_in = packed.as_ptr();
        stream.avail_in = input as u32;
        stream.next_out = out.as_mut_ptr();
        stream.avail_out = room as u32;
        // SAFETY: initialized in `new`; both ranges are slices of at least the counts given.
        let result = unsafe { z::inflate(stream, z::Z_BLOCK) };
        if !matches!(result, z::Z_OK | z::Z_STREAM_END | z::Z_BUF_ERROR) {
            return None;
        }
        let (taken, given) = (input - stream.avail_in as usize, room - stream.avail_out as usize);
        // Bit 7: at the end of a block. Bit 6: it was the last. Bits 0 to 5: unused bits.
        let data_type = stream.data_type;
        let is_end = result == z::Z_STREAM_END;
        let is_boundary = data_type & 128 != 0 && data_type & 64 == 0 && !is_end;
        (is_end || is_boundary || taken > 0 || given > 0).then_some(Step {
            taken,
            given,
            boundary: is_boundary.then_some((data_type & 7) as u32),
            is_end,
        })
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        // SAFETY: initialized in `new`, ended once.
        unsafe { z::inflateEnd(&mut *self.0) };
    }
}

impl<'a> Builder<'a> {
    pub(crate) fn new(packed: &'a [u8], identity: u64) -> Self {
        Self { packed, identity }
    }

    /// Fills `out` from the beginning of the stream and returns the index of what was unpacked. The index ends at the
    /// first block boundary at or after the end of `out`, or at the end of that member. Members that end before are
    /// verified.
    ///
    /// Points need the 32 KiB before them. In addition to `out`, only the rest of its last block is kept in memory.
    pub(crate) fn build(&self, out: &mut [u8], limits: &Limits) -> Result<Index, NiftiError> {
        let mut points = Points { parts: Vec::new(), deflater: Deflater::new(Level::new(1)) };
        let (mut at, mut filled) = (0, 0);
        while filled < out.len() {
            let start = at;
            let fault = |fault| NiftiError::Gzip { offset: start as u64, fault };
            let cut = || fault(GzipFault::Truncated { unpacked: filled as u64 });
            let rest = &self.packed[at..];
            if at > 0 && !rest.starts_with(&MAGIC) {
                return Err(cut());
            }
            let member = Member::parse(rest).map_err(fault)?.ok_or_else(cut)?;
            at += member.header;
            (at, filled) = self.member(&mut points, start, at, filled, out, limits)?;
        }
        Ok(Index { identity: self.identity, parts: points.parts })
    }

    /// Unpacks the member at byte `start`, whose data begin at `at`; returns the positions in both streams.
    fn member(
        &self,
        points: &mut Points,
        start: usize,
        mut at: usize,
        begin: usize,
        out: &mut [u8],
        limits: &Limits,
    ) -> Result<(usize, usize), NiftiError> {
        let fault = |fault| NiftiError::Gzip { offset: start as u64, fault };
        let mut blocks = Blocks::new().ok_or_else(|| fault(GzipFault::Data { unpacked: begin as u64 }))?;
        // Bytes that no longer fit `out`: the rest of the last block, or of the member if its checksum is verified.
        let mut spill = Spill { bytes: Vec::new(), crc: None, dropped: 0 };
        let (mut filled, mut open) = (begin, Open { bit: at as u64 * 8, start: begin, window: begin..begin });
        loop {
            let unpacked = (filled + spill.bytes.len()) as u64;
            let room = if filled < out.len() { &mut out[filled..] } else { spill.room() };
            let Some(step) = blocks.step(&self.packed[at..], room) else {
                let is_cut = at == self.packed.len();
                return Err(fault(if is_cut {
                    GzipFault::Truncated { unpacked }
                } else {
                    GzipFault::Data { unpacked }
                }));
            };
            at += step.taken;
            if filled < out.len() {
                filled += step.given
            } else {
                spill.keep(step.given)
            }
            let bit = at as u64 * 8 - u64::from(step.boundary.unwrap_or(0));
            let is_full = filled == out.len();
            let is_point = step.boundary.is_some() && (filled - open.start >= SPACING || is_full);
            if (is_point || step.is_end) && !points.is_covered(out.len()) {
                points.close(&open, bit, out, filled, &spill.bytes)?;
                open = Open { bit, start: filled, window: filled.saturating_sub(WINDOW).max(begin)..filled };
            }
            if step.is_end {
                self.trailer(start, at, begin, &out[..filled], &spill, limits)?;
                return Ok((at + TRAILER, filled));
            }
            if is_full && points.is_covered(out.len()) {
                if !limits.verify {
                    return Ok((at, filled));
                }
                spill.start_dropping(&out[begin..filled]);
            }
            let (got, limit) = (spill.dropped + spill.bytes.len() as u64, limits.trailing_bytes);
            if got > limit {
                return Err(NiftiError::TooLarge { what: "what follows the voxels", got, limit });
            }
        }
    }

    fn trailer(
        &self,
        start: usize,
        at: usize,
        begin: usize,
        out: &[u8],
        spill: &Spill,
        limits: &Limits,
    ) -> Result<(), NiftiError> {
        let unpacked = (out.len() - begin) as u64 + spill.dropped + spill.bytes.len() as u64;
        let fault = |fault| Err(NiftiError::Gzip { offset: start as u64, fault });
        let Some(&[a, b, c, d, e, f, g, h]) = self.packed.get(at..at + TRAILER) else {
            return fault(GzipFault::Truncated { unpacked: out.len() as u64 });
        };
        let crc = crc32(spill.crc.unwrap_or_else(|| crc32(0, &out[begin..])), &spill.bytes);
        let (need, size) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        match () {
            () if !limits.verify => Ok(()),
            () if crc != need => fault(GzipFault::Crc { got: crc, need }),
            () if unpacked as u32 != size => fault(GzipFault::Size { got: unpacked as u32, need: size }),
            () => Ok(()),
        }
    }
}

/// A part whose end is not known yet.
struct Open {
    bit: u64,
    start: usize,
    /// The window before it, as a range of the output.
    window: std::ops::Range<usize>,
}

struct Points {
    parts: Vec<Part>,
    deflater: Deflater,
}

impl Points {
    fn is_covered(&self, need: usize) -> bool {
        self.parts.last().is_some_and(|part| part.end() >= need as u64)
    }

    /// Ends a part at `bit`. Its bytes are in `out`, the last ones in `spill`.
    fn close(&mut self, open: &Open, bit: u64, out: &[u8], filled: usize, spill: &[u8]) -> Result<(), NiftiError> {
        let bytes = &out[open.start..filled];
        let got = bytes.len() + spill.len();
        if got == 0 {
            return Ok(());
        }
        let fits = u32::try_from(got).ok().filter(|&unpacked| unpacked <= MOST_PART);
        let Some(unpacked) = fits else {
            return Err(NiftiError::TooLarge { what: "a DEFLATE block", got: got as u64, limit: MOST_PART.into() });
        };
        let mut window = Vec::new();
        if !open.window.is_empty() {
            self.deflater.raw(&out[open.window.clone()], &mut window);
        }
        let crc = crc32(crc32(0, bytes), spill);
        self.parts.push(Part { bit: open.bit, end_bit: bit, start: open.start as u64, unpacked, crc, window });
        Ok(())
    }
}

/// Bytes after the voxels: kept up to the end of the block, then only counted and included in the checksum.
struct Spill {
    bytes: Vec<u8>,
    /// CRC-32 of the member's bytes before `bytes`, once they are no longer kept.
    crc: Option<u32>,
    dropped: u64,
}

impl Spill {
    const ROOM: usize = 32 << 10;

    fn room(&mut self) -> &mut [u8] {
        let start = self.bytes.len();
        self.bytes.resize(start + Self::ROOM, 0);
        &mut self.bytes[start..]
    }

    fn keep(&mut self, given: usize) {
        self.bytes.truncate(self.bytes.len() - Self::ROOM + given);
    }

    /// Starts to keep only the checksum. `member` has the member's bytes before these.
    fn start_dropping(&mut self, member: &[u8]) {
        let before = self.crc.unwrap_or_else(|| crc32(0, member));
        self.crc = Some(crc32(before, &self.bytes));
        self.dropped += self.bytes.len() as u64;
        self.bytes.clear();
    }
}
