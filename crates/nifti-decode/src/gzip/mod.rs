//! gzip (RFC 1952) over DEFLATE (RFC 1951), with three methods:
//!
//! - [`whole`]: libdeflate unpacks the packed file in memory in one shot, member after member. The fastest on one core.
//! - [`Unpacker`]: zlib-rs unpacks a stream in constant memory: for headers, first slices and checks, and to identify
//!   faults.
//! - [`blocks`] and [`Index`]: parts that can be unpacked without the bytes before them, in parallel if wanted.
//!   libdeflate sees complete streams here too: the members of BGZF and mgzip are complete, and a part between two
//!   access points is made into one.

pub(crate) mod blocks;
mod deflate;
pub(crate) mod index;
mod member;
mod parallel;
mod stream;
mod whole;

use thiserror::Error;

use crate::{
    NiftiError,
    source::{Bytes, Packing},
};

pub(crate) use deflate::{Deflater, Inflater, Level, crc32};
pub use index::Index;
pub(crate) use index::build::Builder;
pub(crate) use member::bgzf_header;
pub(crate) use member::mgzip_header;
pub(crate) use member::plain_header;
pub(crate) use parallel::{Parts, unpack_parts};
pub(crate) use stream::Unpacker;
pub(crate) use whole::{streamed, whole};

/// Number of bytes that are unpacked first, enough to read a header.
pub(crate) const FIRST_BYTES: usize = 1 << 10;

/// What is wrong with a gzip member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GzipFault {
    /// Bytes after a member that begin no other member: neither gzip's magic nor zeros.
    #[error("{got:02x?} is not gzip's magic 1f 8b")]
    Magic {
        /// The two bytes.
        got: [u8; 2],
    },
    /// A compression method other than DEFLATE.
    #[error("compression method {got}; need 8")]
    Method {
        /// The method.
        got: u8,
    },
    /// Flags that RFC 1952 reserves.
    #[error("reserved flags {got:#04x} are set")]
    Flags {
        /// All flags.
        got: u8,
    },
    /// The packed data is not DEFLATE.
    #[error("invalid DEFLATE data after {unpacked} unpacked bytes")]
    Data {
        /// Bytes that were unpacked before.
        unpacked: u64,
    },
    /// The packed data ends in the middle of a member.
    #[error("the stream ends after {unpacked} unpacked bytes")]
    Truncated {
        /// Bytes that were unpacked before.
        unpacked: u64,
    },
    /// The checksum of the unpacked bytes differs from the stored one.
    #[error("CRC-32 is {got:08x}; need {need:08x}")]
    Crc {
        /// Of the bytes.
        got: u32,
        /// As stored.
        need: u32,
    },
    /// The number of unpacked bytes differs from the stored one.
    #[error("the member unpacks to {got} bytes (modulo 2^32); its trailer says {need}")]
    Size {
        /// Of the bytes.
        got: u32,
        /// As stored.
        need: u32,
    },
    /// The size that a member states for itself is impossible.
    #[error("the member says that it has {got} bytes; need {need} to {most}")]
    BlockSize {
        /// As stored.
        got: u64,
        /// Minimum number of bytes of a member.
        need: u64,
        /// Bytes that are left in the file.
        most: u64,
    },
}

/// How `bytes` are packed.
pub(crate) fn packing(bytes: &Bytes) -> Result<Packing, NiftiError> {
    let mut first = [0; 64];
    let n = bytes.read_some(0, &mut first)?;
    if !first[..n].starts_with(&member::MAGIC) {
        return Ok(Packing::Plain);
    }
    Ok(match member::Member::parse(&first[..n]) {
        Ok(Some(member)) => member.packing,
        _ => Packing::Gzip,
    })
}
