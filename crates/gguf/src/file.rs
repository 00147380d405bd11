//! Files on disk: read into memory, or mapped.
//!
//! # Files that change
//!
//! [`File::read`] owns a copy: whatever happens to the file afterward, the bytes stay. It is the choice for files that somebody
//! else may write to.
//!
//! [`File::map`] copies nothing. The mapping is private and read-only, so that this process cannot change the file, but a change by
//! another one shows: that is why it is `unsafe`. What holds nevertheless:
//!
//! - Names, values and ranges are read through checked cursors each time, and never trusted from one time to the next: bytes
//!   that change give other values or `None`, never an address outside the mapping.
//! - A file that has become **shorter** is noticed where its data are asked for: [`File::data`] compares its length with the one
//!   at opening (one `fstat`) and returns [`Error::Shrunk`] instead of a slice, and paging in looks before it begins.
//! - What nobody can rule out is a file that is cut while its bytes are being read. The operating system then ends the process
//!   with SIGBUS; it never delivers wrong bytes. Replacing a file by `rename`, as [`Writer::create`](crate::Writer::create)
//!   does, is harmless: the mapping keeps the old one.

use std::{
    fs, io,
    num::NonZeroUsize,
    ops::Deref,
    path::{Path, PathBuf},
};

use memmap2::Mmap;
use serde::{Serialize, Serializer};
use thiserror::Error as ThisError;

use crate::{Error, Gguf, Options, Tensor};

mod pages;
mod residency;

pub use pages::{PageIn, evict};
pub use residency::Residency;

/// A GGUF file from disk. Dereferences to the [`Gguf`] in it.
#[derive(Debug)]
pub struct File {
    gguf: Gguf<Bytes>,
}

/// Why a file could not be opened; the reason is the error's source. Serialised, it is a map with `file` and the fields of the [`Error`]; `rule` is `Io` where the
/// operating system says no.
#[derive(Debug, ThisError, Serialize)]
#[serde(tag = "rule")]
#[non_exhaustive]
pub enum OpenError {
    /// The operating system says no.
    #[error("failed to read {}", path.display())]
    Io {
        /// The file.
        #[serde(rename = "file", serialize_with = "as_text")]
        path: PathBuf,
        /// What it says.
        #[serde(skip)]
        source: io::Error,
    },
    /// The file is no GGUF file, or breaks a rule.
    #[error("{} is refused", path.display())]
    #[serde(untagged)]
    Refused {
        /// The file.
        #[serde(rename = "file", serialize_with = "as_text")]
        path: PathBuf,
        /// The rule.
        #[serde(flatten)]
        source: Error,
    },
}

/// What of a path is not UTF-8 is replaced.
pub(crate) fn as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// The bytes of a file, in memory or mapped.
#[derive(Debug)]
pub struct Bytes(Memory);

#[derive(Debug)]
enum Memory {
    Owned(Vec<u8>),
    Mapped { map: Mmap, file: fs::File },
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Memory::Owned(bytes) => bytes,
            Memory::Mapped { map, .. } => map,
        }
    }
}

impl File {
    /// Reads the whole file into memory.
    ///
    /// # Errors
    /// [`OpenError`], with the rule that the file breaks.
    pub fn read(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        Self::of(Memory::Owned(bytes), path, options)
    }

    /// Maps the file. Only its header is read.
    ///
    /// # Safety
    /// While the `File` lives, nobody writes to the file or shortens it. See the [module](self) for what holds if somebody
    /// does.
    ///
    /// # Errors
    /// [`OpenError`], with the rule that the file breaks.
    pub unsafe fn map(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let refused = |source| OpenError::Io { path: path.to_owned(), source };
        let file = fs::File::open(path).map_err(refused)?;
        // SAFETY: the caller promises that the file stays as it is.
        let map = unsafe { Mmap::map(&file) }.map_err(refused)?;
        Self::of(Memory::Mapped { map, file }, path, options)
    }

    /// The file that these bytes are. `path` is what it is called in errors; nothing is read from there.
    ///
    /// # Errors
    /// [`OpenError::Refused`], with the rule that the file breaks.
    pub fn from_bytes(bytes: Vec<u8>, path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        Self::of(Memory::Owned(bytes), path.as_ref(), options)
    }

    fn of(memory: Memory, path: &Path, options: Options) -> Result<Self, OpenError> {
        let gguf = Gguf::parse_with(Bytes(memory), options);
        let gguf = gguf.map_err(|source| OpenError::Refused { path: path.to_owned(), source })?;
        Ok(Self { gguf })
    }

    /// The data of a tensor of this file.
    ///
    /// # Errors
    /// [`Error::Shrunk`] if a mapped file has become shorter, [`Error::ForeignTensor`] if the tensor is of a larger file.
    pub fn data(&self, tensor: &Tensor<'_>) -> Result<&[u8], Error> {
        self.check_length()?;
        self.gguf.data(tensor)
    }

    /// Copies the data of a tensor to `out`, little-endian whatever the order of the file: [`Gguf::read_data`].
    ///
    /// # Errors
    /// [`Error::Shrunk`] if a mapped file has become shorter, and those of [`Gguf::read_data`].
    pub fn read_data(&self, tensor: &Tensor<'_>, out: &mut [u8]) -> Result<(), Error> {
        self.check_length()?;
        self.gguf.read_data(tensor, out)
    }

    /// Compares the length of a mapped file with the one at opening.
    ///
    /// # Errors
    /// [`Error::Shrunk`]; a file that cannot be asked counts as empty.
    pub fn check_length(&self) -> Result<(), Error> {
        let Memory::Mapped { file, .. } = &self.gguf.as_bytes().0 else { return Ok(()) };
        let need = self.gguf.bytes().len() as u64;
        let got = file.metadata().map_or(0, |metadata| metadata.len());
        if got < need { Err(Error::Shrunk { got, need }) } else { Ok(()) }
    }

    /// Whether the file is mapped, not copied.
    pub fn is_mapped(&self) -> bool {
        matches!(self.gguf.as_bytes().0, Memory::Mapped { .. })
    }

    /// Brings all pages of a mapped file into memory and into this process's page table, `threads` ranges at a time. What was
    /// read into memory is there already.
    ///
    /// # Errors
    /// What the operating system says; a file that has become shorter is [`io::ErrorKind::UnexpectedEof`].
    pub fn page_in(&self, threads: NonZeroUsize) -> io::Result<PageIn> {
        match &self.gguf.as_bytes().0 {
            Memory::Owned(_) => Ok(PageIn::NONE),
            Memory::Mapped { map, file } => {
                self.check_length().map_err(|error| io::Error::new(io::ErrorKind::UnexpectedEof, error))?;
                pages::page_in(map, file, threads)
            }
        }
    }

    /// How much of the file lies in memory. What was read into memory does.
    ///
    /// # Errors
    /// What the operating system says; [`io::ErrorKind::Unsupported`] where it cannot be asked.
    pub fn residency(&self) -> io::Result<Residency> {
        match &self.gguf.as_bytes().0 {
            Memory::Owned(bytes) => Ok(Residency { bytes: bytes.len() as u64, resident_bytes: bytes.len() as u64 }),
            Memory::Mapped { map, .. } => residency::residency(map),
        }
    }
}

impl Deref for File {
    type Target = Gguf<Bytes>;

    fn deref(&self) -> &Gguf<Bytes> {
        &self.gguf
    }
}
