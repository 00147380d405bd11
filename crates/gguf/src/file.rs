//! Files on disk: read into memory, or mapped.
//!
//! # Files that change
//!
//! [`File::read`] copies the file into memory: later changes to the file do not affect the copy. Use it for files that
//! another process may write to.
//!
//! [`File::map`] copies nothing. The mapping is private and read-only, so this process cannot change the file, but
//! changes by other processes are visible in it. That is why it is `unsafe`. Three properties hold nevertheless:
//!
//! - Names, values and ranges are read through checked cursors every time. Bytes that change yield other values or
//!   `None`, never an address outside the mapping.
//! - A file that has become **shorter** is detected when its data are asked for: [`File::data`] compares the length
//!   with the length at opening (one `fstat`) and returns [`DataError::Shrunk`] instead of a slice. Paging in checks
//!   before it begins.
//! - A file that is truncated while its bytes are being read cannot be detected. The operating system then ends the
//!   process with SIGBUS; it never delivers wrong bytes. Replacing a file by `rename`, as
//!   [`Writer::create`](crate::Writer::create) does, is safe: the mapping keeps the old file.

use std::{
    fs, io,
    ops::Deref,
    path::{Path, PathBuf},
};

use memmap2::Mmap;
use op::Threads;
use serde::{Serialize, Serializer};
use thiserror::Error as ThisError;

use crate::{DataError, Error, Gguf, Options, Tensor};

mod pages;
mod residency;

pub use pages::{PageIn, evict};
pub use residency::Residency;

/// A GGUF file from disk. Dereferences to the [`Gguf`] in it.
#[derive(Debug)]
pub struct File {
    gguf: Gguf<Bytes>,
}

/// Why a file could not be opened; the cause is the error's source. Serialized, it is a map with `file` and the fields
/// of the [`Error`], or with `rule` as `Io` or `NotRegular`.
#[derive(Debug, ThisError, Serialize)]
#[serde(tag = "rule")]
#[non_exhaustive]
pub enum OpenError {
    /// The operating system reports an error.
    #[error("failed to read {}", path.display())]
    Io {
        /// The file.
        #[serde(rename = "file", serialize_with = "as_text")]
        path: PathBuf,
        /// What the operating system reports.
        #[serde(skip)]
        source: io::Error,
    },
    /// A directory, a pipe, a device or a socket, which cannot be mapped.
    #[error("{} is {found}: mapping needs a regular file{}", path.display(), not_regular_advice(found))]
    NotRegular {
        /// The path.
        #[serde(rename = "file", serialize_with = "as_text")]
        path: PathBuf,
        /// What it is, with its article: `a directory`.
        found: &'static str,
    },
    /// The file is not a GGUF file, or breaks a rule.
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

/// What to do about a path that is not a regular file.
fn not_regular_advice(found: &str) -> &'static str {
    if found == "a directory" { "" } else { "; write the stream to a file first" }
}

/// What a path is, with its article; `None` for regular files.
fn not_regular(kind: fs::FileType) -> Option<&'static str> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let special = [
            (kind.is_fifo(), "a pipe"),
            (kind.is_socket(), "a socket"),
            (kind.is_char_device() || kind.is_block_device(), "a device"),
        ];
        if let Some((_, name)) = special.into_iter().find(|(is_kind, _)| *is_kind) {
            return Some(name);
        }
    }
    if kind.is_dir() { Some("a directory") } else { None }
}

/// The path as text; bytes that are not UTF-8 are replaced.
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
    /// While the `File` lives, no process writes to the file or truncates it. See the [module](self) for what holds if
    /// one does.
    ///
    /// # Errors
    /// [`OpenError`], with the rule that the file breaks; [`OpenError::NotRegular`] for a path that is not a regular
    /// file, without opening it: opening a pipe would wait for a writer.
    pub unsafe fn map(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let failed = |source| OpenError::Io { path: path.to_owned(), source };
        let kind = fs::metadata(path).map_err(failed)?.file_type();
        if let Some(found) = not_regular(kind) {
            return Err(OpenError::NotRegular { path: path.to_owned(), found });
        }
        let file = fs::File::open(path).map_err(failed)?;
        // SAFETY: the caller promises that no process changes the file while it is mapped.
        let map = unsafe { Mmap::map(&file) }.map_err(failed)?;
        Self::of(Memory::Mapped { map, file }, path, options)
    }

    /// A file from bytes in memory. Errors name it `path`; nothing is read from there.
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
    /// [`DataError::Shrunk`] if a mapped file has become shorter, [`DataError::ForeignTensor`] if the tensor is of a
    /// larger file.
    pub fn data(&self, tensor: &Tensor<'_>) -> Result<&[u8], DataError> {
        self.check_length()?;
        self.gguf.data(tensor)
    }

    /// Copies the data of a tensor to `out` as little-endian numbers, see [`Gguf::read_data`].
    ///
    /// # Errors
    /// [`DataError::Shrunk`] if a mapped file has become shorter, and those of [`Gguf::read_data`].
    pub fn read_data(&self, tensor: &Tensor<'_>, out: &mut [u8]) -> Result<(), DataError> {
        self.check_length()?;
        self.gguf.read_data(tensor, out)
    }

    /// Compares the length of a mapped file with its length at opening.
    ///
    /// # Errors
    /// [`DataError::Shrunk`]; a file whose length cannot be read counts as empty.
    pub fn check_length(&self) -> Result<(), DataError> {
        let Memory::Mapped { file, .. } = &self.gguf.as_bytes().0 else { return Ok(()) };
        let need = self.gguf.bytes().len() as u64;
        let got = file.metadata().map_or(0, |metadata| metadata.len());
        if got < need { Err(DataError::Shrunk { got, need }) } else { Ok(()) }
    }

    /// Whether the file is mapped, not copied.
    pub fn is_mapped(&self) -> bool {
        matches!(self.gguf.as_bytes().0, Memory::Mapped { .. })
    }

    /// Brings all pages of a mapped file into memory and into this process's page table, on at most `threads` threads:
    /// scoped threads that end before the call returns. For a file that was
    /// read into memory there is nothing to do.
    ///
    /// # Errors
    /// What the operating system reports; [`io::ErrorKind::UnexpectedEof`] for a file that has become shorter.
    pub fn page_in(&self, threads: Threads) -> io::Result<PageIn> {
        match &self.gguf.as_bytes().0 {
            Memory::Owned(_) => Ok(PageIn::NONE),
            Memory::Mapped { map, file } => {
                self.check_length().map_err(|error| io::Error::new(io::ErrorKind::UnexpectedEof, error))?;
                pages::page_in(map, file, threads)
            }
        }
    }

    /// How much of the file is in memory: all of it if it was read into memory.
    ///
    /// # Errors
    /// What the operating system reports; [`io::ErrorKind::Unsupported`] where it does not report residency.
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
