//! Formats that the writer packs a file in.

use std::io::{self, Write};

use rayon::prelude::*;
use zlib_rs::{Deflate, DeflateFlush, Status};

use super::Unpacked;
use crate::gzip::{Deflater, Level, bgzf_header, crc32, mgzip_header, plain_header};

/// Unpacked bytes of a BGZF member, as bgzip has them: packed, they fit 64 KiB whatever they are.
const BGZF_BYTES: usize = 0xff00;
/// The empty member that ends a BGZF file, byte for byte as the SAM specification (section 4.1.2) has it: readers
/// compare the last bytes of a file with these to find out whether it was cut.
const BGZF_END: [u8; 28] = *b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0\x1b\0\x03\0\0\0\0\0\0\0\0\0";
/// Pieces that are packed in parallel before they are written.
const BATCH: usize = 64;
/// Unpacked bytes that are passed to zlib at a time.
const STREAM_BYTES: usize = 1 << 20;

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pack {
    /// Not packed.
    Plain,
    /// One gzip member by zlib, as nibabel (level 1), FSL and dcm2niix (level 6) write it. Level 0 stores.
    Gzip {
        /// 0 to 9.
        level: u8,
    },
    /// One gzip member by zlib with a flush every so many bytes, as pigz writes it.
    Flushed {
        /// 1 to 9.
        level: u8,
        /// Unpacked bytes between flushes.
        bytes: usize,
    },
    /// Consecutive gzip members by libdeflate, without their sizes. A single one where `bytes` exceeds the file.
    Members {
        /// 0 to 12.
        level: u8,
        /// Unpacked bytes of a member.
        bytes: usize,
    },
    /// Members of at most 64 KiB with their sizes in a `BC` field, and an empty one at the end: BGZF, as bgzip writes
    /// it. Unpacks in parallel, and in parts.
    Bgzf {
        /// 0 to 12.
        level: u8,
    },
    /// Members with their sizes in an `SZ` field, as mgzip writes it. Unpacks in parallel, and in parts.
    Mgzip {
        /// 0 to 12.
        level: u8,
        /// Unpacked bytes of a member.
        bytes: usize,
    },
}

impl Pack {
    /// Writes `file`, packed, to `out`.
    pub(super) fn write(self, file: &Unpacked<'_>, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Plain => (0..file.len())
                .step_by(STREAM_BYTES)
                .try_for_each(|start| out.write_all(&file.piece(start, STREAM_BYTES))),
            Self::Gzip { level } => stream(file, level, STREAM_BYTES, DeflateFlush::NoFlush, out),
            Self::Flushed { level, bytes } => stream(file, level, bytes.max(1), DeflateFlush::SyncFlush, out),
            Self::Members { level, bytes } => members(file, level, bytes, |_| Some(plain_header()), out),
            Self::Bgzf { level } => {
                members(file, level, BGZF_BYTES, bgzf_header, out)?;
                out.write_all(&BGZF_END)
            }
            Self::Mgzip { level, bytes } => members(file, level, bytes, mgzip_header, out),
        }
    }
}

/// Packs pieces in parallel, each as a member, and writes them in order.
fn members(
    file: &Unpacked<'_>,
    level: u8,
    bytes: usize,
    header: impl Fn(usize) -> Option<Vec<u8>> + Sync,
    out: &mut impl Write,
) -> io::Result<()> {
    let bytes = bytes.max(1);
    let starts: Vec<usize> = (0..file.len().max(1)).step_by(bytes).collect();
    for batch in starts.chunks(BATCH) {
        let deflater = || Deflater::new(Level::new(level));
        let packed: Vec<io::Result<Vec<u8>>> = batch
            .par_iter()
            .map_init(deflater, |deflater, &start| member(deflater, &file.piece(start, bytes), &header))
            .collect();
        for member in packed {
            out.write_all(&member?)?;
        }
    }
    Ok(())
}

fn member(deflater: &mut Deflater, bytes: &[u8], header: &impl Fn(usize) -> Option<Vec<u8>>) -> io::Result<Vec<u8>> {
    let mut packed = Vec::new();
    deflater.raw(bytes, &mut packed);
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "a packed block is too long for its header");
    let mut member = header(packed.len()).ok_or_else(too_long)?;
    member.append(&mut packed);
    member.extend(crc32(0, bytes).to_le_bytes());
    member.extend((bytes.len() as u32).to_le_bytes());
    Ok(member)
}

/// The level of zlib-rs that matches `level` of zlib. Level 1 of zlib-rs differs (fixed codes in blocks of megabytes, a
/// third larger on a CT); its level 2 searches as zlib's level 1 does.
fn zlib_level(level: u8) -> i32 {
    if level == 1 { 2 } else { i32::from(level.min(9)) }
}

/// One member, by zlib.
fn stream(file: &Unpacked<'_>, level: u8, step: usize, flush: DeflateFlush, out: &mut impl Write) -> io::Result<()> {
    out.write_all(&plain_header())?;
    let mut deflate = Deflate::new(zlib_level(level), false, 15);
    let (mut room, mut crc, mut at) = (vec![0; STREAM_BYTES], 0, 0);
    let mut is_open = true;
    while is_open {
        let piece = file.piece(at, step);
        crc = crc32(crc, &piece);
        at += piece.len();
        let flush = if at >= file.len() { DeflateFlush::Finish } else { flush };
        let mut used = 0;
        loop {
            let before = (deflate.total_in(), deflate.total_out());
            let status =
                deflate.compress(&piece[used..], &mut room, flush).map_err(|error| io::Error::other(error.as_str()))?;
            used += (deflate.total_in() - before.0) as usize;
            let given = (deflate.total_out() - before.1) as usize;
            out.write_all(&room[..given])?;
            if status == Status::StreamEnd {
                is_open = false;
                break;
            }
            // Output space that is left over means that nothing is pending.
            if flush != DeflateFlush::Finish && used == piece.len() && given < room.len() {
                break;
            }
        }
    }
    out.write_all(&crc.to_le_bytes())?;
    out.write_all(&(file.len() as u32).to_le_bytes())
}
