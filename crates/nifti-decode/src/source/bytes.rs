//! Bytes at offsets.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use memmap2::Mmap;

use crate::NiftiError;

/// Read-only bytes of known length.
#[derive(Debug)]
pub(crate) enum Bytes {
    /// Read by offset, never mapped: a file that shrinks is an error instead of a signal.
    File { file: File, len: u64, path: PathBuf },
    /// In memory already.
    Memory(Arc<[u8]>),
    /// Mapped, by a caller who promises that the file does not change.
    Map(Mmap),
}

impl Bytes {
    pub(crate) fn file(file: File, len: u64, path: &Path) -> Self {
        Self::File { file, len, path: path.to_owned() }
    }

    /// # Safety
    /// Until this value is dropped, nobody may change or truncate the file.
    pub(crate) unsafe fn map(path: &Path) -> Result<Self, NiftiError> {
        let io = |source| NiftiError::Io { path: path.to_owned(), source };
        let file = super::open_regular(path)?;
        // SAFETY: the caller promises that the file stays as it is.
        unsafe { Mmap::map(&file) }.map(Self::Map).map_err(io)
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::File { len, .. } => *len,
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Map(map) => map.len() as u64,
        }
    }

    /// All bytes, where they are in memory.
    pub(crate) fn slice(&self) -> Option<&[u8]> {
        match self {
            Self::File { .. } => None,
            Self::Memory(bytes) => Some(bytes),
            Self::Map(map) => Some(map),
        }
    }

    /// Fills `out` from `offset` on.
    pub(crate) fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), NiftiError> {
        let need = out.len() as u64;
        let truncated = |got| NiftiError::Truncated { what: "file", offset, got, need };
        if let Some(slice) = self.slice() {
            let rest = usize::try_from(offset).ok().and_then(|offset| slice.get(offset..)).unwrap_or_default();
            let Some(bytes) = rest.get(..out.len()) else { return Err(truncated(rest.len() as u64)) };
            out.copy_from_slice(bytes);
            return Ok(());
        }
        let Self::File { file, len, path } = self else { return Err(truncated(0)) };
        read_exact_at(file, offset, out).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => truncated(len.saturating_sub(offset).min(need)),
            _ => NiftiError::Io { path: path.clone(), source },
        })
    }

    /// Fills `out` with the bytes from `offset` on, as many as there are; returns their number.
    pub(crate) fn read_some(&self, offset: u64, out: &mut [u8]) -> Result<usize, NiftiError> {
        let there = self.len().saturating_sub(offset);
        let n = usize::try_from(there).unwrap_or(usize::MAX).min(out.len());
        self.read_at(offset, &mut out[..n])?;
        Ok(n)
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, offset: u64, out: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut offset: u64, mut out: &mut [u8]) -> io::Result<()> {
    while !out.is_empty() {
        let got = std::os::windows::fs::FileExt::seek_read(file, out, offset)?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        offset += got as u64;
        out = &mut out[got..];
    }
    Ok(())
}
