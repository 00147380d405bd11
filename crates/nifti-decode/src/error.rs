//! Errors of this crate, as values.

use std::{fmt, fs, io, path::PathBuf};

use thiserror::Error;

use crate::{Datatype, Value, gzip::GzipFault};

/// A file that cannot be read, or a request that cannot be met.
///
/// Every message is complete: none of these has a [`source`](std::error::Error::source) that says the same again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NiftiError {
    /// The operating system reported an error.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system reported. Spelled raw, because `thiserror` would make a field named `source` the error's
        /// source, and whoever prints the chain would print it twice.
        r#source: io::Error,
    },
    /// The path names something other than a regular file; found out without opening it.
    #[error("{} is {kind}, not a regular file", path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
        /// What it names.
        kind: Irregular,
    },
    /// The file begins with neither a header of a known length, in either byte order, nor gzip's magic.
    #[error("the file begins with {}; need sizeof_hdr 348 (NIfTI-1, ANALYZE 7.5) or 540 (NIfTI-2)", Got::Text(*first))]
    NotNifti {
        /// The first four bytes, once unpacked.
        first: [u8; 4],
    },
    /// The file is shorter than the header says.
    #[error("truncated: {what} at byte {offset}: need {need} bytes, got {got}")]
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
    /// A header field has a value that is not allowed.
    #[error("{field} at byte {offset} is {got}; need {need}")]
    Field {
        /// Name, as nifti1.h spells it.
        field: &'static str,
        /// Where it stands.
        offset: u64,
        /// Its value.
        got: Got,
        /// The values that are allowed.
        need: &'static str,
    },
    /// A usable slope with an intercept that is not finite.
    #[error("scl_inter at byte {offset} is {inter} while scl_slope is {}; need a finite intercept", Short(*slope))]
    BadScale {
        /// Where `scl_inter` stands.
        offset: u64,
        /// The slope.
        slope: f64,
        /// The intercept.
        inter: f64,
    },
    /// More than the limits allow, or than the packed file can hold; found before anything was allocated.
    #[error("{what}: {got} bytes; at most {limit} are allowed")]
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
    /// An image of a pair without the other file.
    #[error("{}: no header file beside the image; looked for {}", image.display(), tried.display())]
    NoHeader {
        /// The image.
        image: PathBuf,
        /// The first name tried.
        tried: PathBuf,
    },
    /// Voxels of this type are not real numbers.
    #[error("datatype {} cannot be converted to {to}; read it as it is stored", datatype.name())]
    NotReal {
        /// The type of the stored voxels.
        datatype: Datatype,
        /// What was asked for.
        to: &'static str,
    },
    /// The axes cannot be reordered, because the affine maps one of them to nothing.
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
        /// Its value.
        got: u64,
        /// The value that is needed, or the largest that is allowed.
        need: u64,
    },
    /// A value that an integer type does not have.
    #[error("{value} at index {index} is not exact in {to}; {count} such values: choose a wider type, or a float type")]
    Inexact {
        /// The type that was asked for.
        to: &'static str,
        /// The first of the values.
        value: Value,
        /// Its index in the output, first axis fastest.
        index: usize,
        /// How many there are.
        count: u64,
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

/// What a path names that is not a regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Irregular {
    /// A directory.
    Directory,
    /// A named or anonymous pipe.
    Pipe,
    /// A character or block device.
    Device,
    /// A socket.
    Socket,
}

impl Irregular {
    /// What files of this type are; `None` for regular files.
    pub fn of(file_type: fs::FileType) -> Option<Self> {
        if file_type.is_file() {
            return None;
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileTypeExt;
            if file_type.is_fifo() {
                return Some(Self::Pipe);
            }
            if file_type.is_socket() {
                return Some(Self::Socket);
            }
        }
        Some(if file_type.is_dir() { Self::Directory } else { Self::Device })
    }
}

impl fmt::Display for Irregular {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Directory => "a directory",
            Self::Pipe => "a pipe",
            Self::Device => "a device",
            Self::Socket => "a socket",
        })
    }
}

/// The value of a header field.
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
            Got::Float(value) => write!(f, "{}", Short(*value)),
            Got::Text(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
        }
    }
}

/// A number as text: with an exponent where it would fill the line with zeros.
pub(crate) struct Short(pub(crate) f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value) = *self;
        if value == 0.0 || !value.is_finite() || (1e-5..1e15).contains(&value.abs()) {
            write!(f, "{value}")
        } else {
            write!(f, "{value:e}")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn numbers_stay_short() {
        for (value, text) in [
            (0.0, "0"),
            (-2.5, "-2.5"),
            (352.0, "352"),
            (123_456_789_012_345.0, "123456789012345"),
            (1e300, "1e300"),
            (-1.5e-310, "-1.5e-310"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(Got::Float(value).to_string(), text);
        }
    }

    /// A chain of causes that is printed link by link must not repeat what the message says.
    #[test]
    fn a_message_is_complete_and_has_no_source() {
        let missing = NiftiError::Io { path: "a.nii".into(), source: io::Error::other("it is not there") };
        assert_eq!(missing.to_string(), "a.nii: it is not there");
        assert!(missing.source().is_none());
    }
}
