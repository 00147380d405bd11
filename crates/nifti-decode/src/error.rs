//! What this crate refuses, as values.

use std::{fmt, io, path::PathBuf};

use thiserror::Error;

use crate::{Datatype, gzip::GzipFault};

/// A file that cannot be read, or a request that cannot be met.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NiftiError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The file begins with neither a header of a known length, in either byte order, nor gzip's magic.
    #[error("sizeof_hdr at byte 0 is {got}; need 348 (NIfTI-1, ANALYZE 7.5) or 540 (NIfTI-2) in either byte order")]
    NotNifti {
        /// The first four bytes as a little-endian number.
        got: i32,
    },
    /// Less is there than the header promises.
    #[error("{what} is truncated: {got} bytes from byte {offset}, need {need}")]
    Truncated {
        /// What ends too early.
        what: &'static str,
        /// Where it begins, in the file once it is unpacked.
        offset: u64,
        /// Bytes that are there.
        got: u64,
        /// Bytes that should be.
        need: u64,
    },
    /// A header field holds what it must not.
    #[error("{field} at byte {offset} is {got}; need {need}")]
    Field {
        /// Name, as nifti1.h spells it.
        field: &'static str,
        /// Where it stands.
        offset: u64,
        /// What it holds.
        got: Got,
        /// What it may hold.
        need: &'static str,
    },
    /// A usable slope with an intercept that is not finite.
    #[error("scl_inter at byte {offset} is {inter} while scl_slope is {slope}; need a finite intercept")]
    BadScale {
        /// Where `scl_inter` stands.
        offset: u64,
        /// The slope.
        slope: f64,
        /// The intercept.
        inter: f64,
    },
    /// More than the limits allow, or than the packed file can hold; found before anything was allocated.
    #[error("{what} needs {got} bytes; at most {limit} are allowed")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Bytes asked for, saturated.
        got: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// A gzip stream is damaged.
    #[error("gzip stream at byte {offset}: {fault}")]
    Gzip {
        /// Where the member begins, in the packed file.
        offset: u64,
        /// What is wrong with it.
        fault: GzipFault,
    },
    /// A header of a pair without the other file.
    #[error("{}: no image file beside the header; looked for {}", header.display(), tried.display())]
    NoImage {
        /// The header.
        header: PathBuf,
        /// The last name tried.
        tried: PathBuf,
    },
    /// Values of this type are no real numbers.
    #[error("datatype {} cannot be converted to {to}; read it as it is stored", datatype.name())]
    NotReal {
        /// What is stored.
        datatype: Datatype,
        /// What was asked for.
        to: &'static str,
    },
    /// The axes cannot be brought into an order, for the affine drops one.
    #[error("the affine maps a voxel axis to nothing, so the volume has no orientation")]
    NoOrientation,
    /// The caller's buffer does not have the length of the result.
    #[error("the output buffer has {got} elements; need {need}")]
    Buffer {
        /// Elements of the buffer.
        got: usize,
        /// Elements of the result.
        need: usize,
    },
    /// A region that is empty or reaches beyond the volume.
    #[error("region {start}..{end} on axis {axis}; need a range within 0..{extent}")]
    Region {
        /// Axis, 0 for x.
        axis: usize,
        /// First index.
        start: u64,
        /// One past the last.
        end: u64,
        /// Extent of the volume.
        extent: u64,
    },
    /// An index or a cached copy that belongs to another file, or to another version of this one.
    #[error("{what} does not belong to this file: identity {got:016x}, need {need:016x}")]
    Stale {
        /// What does not belong.
        what: &'static str,
        /// Identity that it carries.
        got: u64,
        /// Identity of the file.
        need: u64,
    },
    /// An access-point index that contradicts itself.
    #[error("index: {field} at byte {offset} is {got}; need {need}")]
    Index {
        /// The part that is wrong.
        field: &'static str,
        /// Where it stands in the index.
        offset: u64,
        /// What it holds.
        got: u64,
        /// What it may hold at most, or must.
        need: u64,
    },
    /// A header that its own version cannot hold.
    #[error("{field} = {got} cannot be stored: need {need}")]
    Unstorable {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        got: i64,
        /// What the version can hold.
        need: &'static str,
    },
}

/// What a header field held.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Got {
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// Four bytes of text.
    Text([u8; 4]),
}

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Got::Int(value) => write!(f, "{value}"),
            Got::Float(value) => write!(f, "{value}"),
            Got::Text(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
        }
    }
}
