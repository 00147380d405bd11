//! Files that appear whole or not at all.
//!
//! [`write()`] gives its caller a new file, and gives the file its name once the caller is done. It takes the place of
//! what was there before: of a file, with its permissions and, where the system allows it, its owner; of a symbolic
//! link, the link itself. What a link pointed to stays as it is, for it often lies in an archive that must not change
//! (git-annex, DataLad).
//!
//! On Linux, the new file has no name while it is written (`O_TMPFILE`): whatever ends the process, the system frees
//! it. File systems without such files, and other systems, get a file with a temporary name in the same directory. So
//! does, for the moment between a link and a rename, an unnamed file that replaces another one.
//!
//! Temporary names are listed while they exist, so that a program that ends on a signal can remove them
//! ([`abandon_unfinished`]). Whoever writes a file holds a lock on it. A process that was killed holds none any more,
//! so the next one that needs a temporary name in the directory removes what it left, and so does [`sweep`].
//!
//! The content is on the disk before the file has its name: after a crash of the system a reader finds the old bytes or
//! the new ones.

mod permissions;
mod temporary;
#[cfg(target_os = "linux")]
mod unnamed;

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use temporary::Temporary;
pub use temporary::{abandon_unfinished, sweep};

/// Calls `fill` with a new, empty file and gives it the name `path` once `fill` returns. If anything fails, nothing is
/// left of the new file, and what was at `path` stays.
///
/// The new file has the permissions of the file that it replaces, and its owner and group where the process may set
/// them; the group's permissions are dropped where the group cannot be kept. Until it is complete, it is its owner's
/// alone. If `path` is a symbolic link, the link is replaced, and the file that it points to stays: the new file has
/// that file's permissions, and may be written by its owner. Extended attributes and access control lists are not
/// carried over.
///
/// # Errors
/// Those of `fill`, and what the system reports. What is no regular file is not replaced:
/// [`io::ErrorKind::IsADirectory`] for a directory, [`io::ErrorKind::InvalidInput`] for a device, a pipe or a socket.
pub fn write<T, E: From<io::Error>>(path: &Path, fill: impl FnOnce(&File) -> Result<T, E>) -> Result<T, E> {
    let (complete, result) = Complete::new(path, fill)?;
    complete.appear()?;
    Ok(result)
}

/// [`write()`] of content that is in memory already.
///
/// # Errors
/// As [`write()`].
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    write(path, |mut file| file.write_all(content))
}

/// A file that is complete and has not got its name yet, for several files that appear together. Dropped, it is gone.
#[derive(Debug)]
pub struct Complete {
    file: New,
    path: PathBuf,
}

impl Complete {
    /// The file that is to appear at `path`, filled by `fill`.
    ///
    /// # Errors
    /// As [`write()`].
    pub fn new<T, E: From<io::Error>>(path: &Path, fill: impl FnOnce(&File) -> Result<T, E>) -> Result<(Self, T), E> {
        // Found out before the work: no file can take the name of a directory, and none should take that of a device.
        let replaced = match fs::metadata(path) {
            Ok(replaced) => Some(replaced),
            // Nothing, or a link to nothing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        match &replaced {
            Some(replaced) if replaced.is_dir() => return Err(io::Error::from(io::ErrorKind::IsADirectory).into()),
            Some(replaced) if !replaced.is_file() => {
                let message = "it is not a regular file and cannot be replaced by one";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message).into());
            }
            _ => {}
        }
        let file = New::create(directory(path), replaced.is_some())?;
        let result = fill(file.as_file())?;
        if let Some(replaced) = replaced {
            permissions::keep(file.as_file(), &replaced, path.is_symlink());
        }
        file.as_file().sync_all()?;
        Ok((Self { file, path: path.to_owned() }, result))
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// What the system reports; nothing is left of the file then.
    pub fn appear(self) -> io::Result<()> {
        match self.file {
            #[cfg(target_os = "linux")]
            New::Unnamed(file) => unnamed::name(&file, &self.path),
            New::Named(_, temporary) => temporary.rename(&self.path),
        }
    }
}

/// A file that is not visible under its name yet.
#[derive(Debug)]
enum New {
    #[cfg(target_os = "linux")]
    Unnamed(File),
    Named(File, Temporary),
}

impl New {
    /// A new file in `directory`; `is_private` for one that replaces another, whose permissions are not known yet.
    fn create(directory: &Path, is_private: bool) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        if let Some(file) = unnamed::create(directory, is_private)? {
            return Ok(Self::Unnamed(file));
        }
        Self::named(directory, is_private)
    }

    fn named(directory: &Path, is_private: bool) -> io::Result<Self> {
        let (temporary, file) = Temporary::create(directory, is_private)?;
        Ok(Self::Named(file, temporary))
    }

    fn as_file(&self) -> &File {
        match self {
            #[cfg(target_os = "linux")]
            Self::Unnamed(file) => file,
            Self::Named(file, _) => file,
        }
    }
}

/// The directory of a file.
fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The permissions of a new file: of its owner alone, or what the user's mask leaves.
#[cfg(unix)]
fn mode(is_private: bool) -> u32 {
    if is_private { 0o600 } else { 0o666 }
}

#[cfg(test)]
mod tests;

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
