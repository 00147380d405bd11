//! Why a file of the cache was not used.

use std::io;

/// Why a file that is there was not used. Each is counted by its [`name`](Self::name).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reject {
    /// It ends before its header or its stated payload does.
    #[error("it has {got} bytes, fewer than the {need} that it needs")]
    Short {
        /// Bytes of the file.
        got: u64,
        /// Bytes that it needs at least.
        need: u64,
    },
    /// It does not begin as files of the cache do.
    #[error("it is no file of this cache")]
    BadMagic,
    /// It is of another version of the format.
    #[error("its format is version {got}, not {need}")]
    Format {
        /// Version of the file.
        got: u32,
        /// Version that is read.
        need: u32,
    },
    /// Its stated lengths contradict each other or the file's.
    #[error("its header says {header} and {payload} bytes, and it has {got}")]
    Length {
        /// Stated bytes before the payload.
        header: u32,
        /// Stated bytes of the payload.
        payload: u64,
        /// Bytes of the file.
        got: u64,
    },
    /// It is larger than a file may be. It is removed, not set aside.
    #[error("it has {got} bytes, more than the {most} that are allowed")]
    TooLarge {
        /// Bytes of the file.
        got: u64,
        /// Bytes allowed.
        most: u64,
    },
    /// Its content is not what was written.
    #[error("its content does not match its checksum")]
    Checksum,
    /// It is whole, and of another key or layer.
    #[error("it belongs to another key")]
    Key,
    /// It is whole, and its payload is not what its layer holds.
    #[error("its payload cannot be read")]
    Payload,
    /// The driver, or the library above it, refuses the payload.
    #[error("the driver refuses it: {message}")]
    Driver {
        /// What it said.
        message: String,
    },
    /// It is a symbolic link, a directory or a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// It belongs to another user, or others may write to it.
    #[error("others may have written it")]
    Foreign,
    /// The system cannot read it. It is left alone.
    #[error("it cannot be read: {0}")]
    Io(io::Error),
}

impl Reject {
    /// A name to count it by.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Short { .. } => "short",
            Self::BadMagic => "bad_magic",
            Self::Format { .. } => "format",
            Self::Length { .. } => "length",
            Self::TooLarge { .. } => "too_large",
            Self::Checksum => "checksum",
            Self::Key => "key",
            Self::Payload => "payload",
            Self::Driver { .. } => "driver_reject",
            Self::NotAFile => "not_a_file",
            Self::Foreign => "foreign",
            Self::Io(_) => "io",
        }
    }
}
