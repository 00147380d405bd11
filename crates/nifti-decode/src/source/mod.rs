//! Sources of bytes: a file, memory, or a map; plain or packed by gzip, which their content shows.

mod bytes;
mod pair;
mod scratch;

use std::{
    fs::{self, File},
    path::Path,
    sync::Arc,
};

use crate::{Irregular, NiftiError, gzip};

pub(crate) use bytes::Bytes;
pub(crate) use pair::{header_beside, image_beside, without_header};
pub(crate) use scratch::Scratch;

/// How a file is packed; detected by content, never by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// Not packed.
    Plain,
    /// One gzip member, or several without their sizes.
    Gzip,
    /// gzip members that carry their sizes in a `BC` field: BGZF, as bgzip writes it.
    Bgzf,
    /// gzip members that carry their sizes in an `SZ` field, as mgzip and pgzip write it.
    Mgzip,
}

impl Packing {
    /// Lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Bgzf => "bgzf",
            Self::Mgzip => "mgzip",
        }
    }

    /// Whether the members can be found without unpacking them.
    pub fn is_blocked(self) -> bool {
        matches!(self, Self::Bgzf | Self::Mgzip)
    }
}

/// Opens a regular file. Anything else is refused before it is opened: opening a named pipe waits for a writer, and
/// opening a device can act on it.
pub(crate) fn open_regular(path: &Path) -> Result<File, NiftiError> {
    let io = |source| NiftiError::Io { path: path.to_owned(), source };
    if let Some(kind) = Irregular::of(fs::metadata(path).map_err(io)?.file_type()) {
        return Err(NiftiError::NotRegular { path: path.to_owned(), kind });
    }
    File::open(path).map_err(io)
}

/// Bytes and how they are packed.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) bytes: Bytes,
    pub(crate) packing: Packing,
}

impl Source {
    pub(crate) fn open(path: &Path) -> Result<Self, NiftiError> {
        Self::of_file(open_regular(path)?, path)
    }

    /// The bytes of an open regular file, from its beginning; `path` names it in errors.
    pub(crate) fn of_file(file: File, path: &Path) -> Result<Self, NiftiError> {
        let metadata = file.metadata().map_err(|source| NiftiError::Io { path: path.to_owned(), source })?;
        if let Some(kind) = Irregular::of(metadata.file_type()) {
            return Err(NiftiError::NotRegular { path: path.to_owned(), kind });
        }
        Self::new(Bytes::file(file, metadata.len(), path))
    }

    /// # Safety
    /// As [`Bytes::map`].
    pub(crate) unsafe fn map(path: &Path) -> Result<Self, NiftiError> {
        // SAFETY: the caller promises that nobody changes or truncates the file while the map is alive.
        Self::new(unsafe { Bytes::map(path) }?)
    }

    pub(crate) fn memory(bytes: Arc<[u8]>) -> Result<Self, NiftiError> {
        Self::new(Bytes::Memory(bytes))
    }

    fn new(bytes: Bytes) -> Result<Self, NiftiError> {
        let packing = gzip::packing(&bytes)?;
        Ok(Self { bytes, packing })
    }

    /// The first `want` unpacked bytes, or all where there are fewer.
    pub(crate) fn prefix(&self, want: usize) -> Result<Vec<u8>, NiftiError> {
        if self.packing == Packing::Plain {
            let len = want.min(usize::try_from(self.bytes.len()).unwrap_or(usize::MAX));
            let mut prefix = vec![0; len];
            self.bytes.read_at(0, &mut prefix)?;
            return Ok(prefix);
        }
        // The buffer grows with the bytes that are there, not with what a header claims.
        let mut unpacker = gzip::Unpacker::new(&self.bytes);
        let mut prefix = Vec::new();
        while prefix.len() < want {
            let start = prefix.len();
            let step = want - start;
            prefix.resize(start + step.min(start.max(gzip::FIRST_BYTES)), 0);
            let got = unpacker.read(&mut prefix[start..])?;
            prefix.truncate(start + got);
            if got == 0 {
                break;
            }
        }
        Ok(prefix)
    }

    /// Upper bound of the unpacked bytes.
    pub(crate) fn most_unpacked(&self) -> u64 {
        match self.packing {
            Packing::Plain => self.bytes.len(),
            _ => crate::limits::most_unpacked(self.bytes.len()),
        }
    }
}
