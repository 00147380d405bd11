//! Where bytes come from: a file, memory, or a map; plain or packed by gzip, as their content says.

mod bytes;
mod pair;
mod scratch;

use std::{fs::File, path::Path, sync::Arc};

use crate::{NiftiError, gzip};

pub(crate) use bytes::Bytes;
pub(crate) use pair::{header_beside, image_beside};
pub(crate) use scratch::Scratch;

/// How a file is packed. Found out by content, never by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// Not at all.
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

/// Bytes and how they are packed.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) bytes: Bytes,
    pub(crate) packing: Packing,
}

impl Source {
    pub(crate) fn open(path: &Path) -> Result<Self, NiftiError> {
        let io = |source| NiftiError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_dir() {
            return Err(io(std::io::ErrorKind::IsADirectory.into()));
        }
        Self::new(Bytes::file(file, metadata.len(), path))
    }

    /// # Safety
    /// As [`Bytes::map`].
    pub(crate) unsafe fn map(path: &Path) -> Result<Self, NiftiError> {
        // SAFETY: the caller promises it.
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
        // Grows with what is really there, not with what a header says is.
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

    /// Most bytes that this can unpack to.
    pub(crate) fn most_unpacked(&self) -> u64 {
        match self.packing {
            Packing::Plain => self.bytes.len(),
            _ => crate::limits::most_unpacked(self.bytes.len()),
        }
    }
}
