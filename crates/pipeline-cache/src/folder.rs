//! The folder: whose it is, what may be read from it, and how much it may hold.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

use crate::{
    entry::{ENDING, MOST_HEADER},
    reject::Reject,
};

/// Ending of a file that was set aside, after its own.
const ASIDE: &str = ".bad";
/// The file whose lock writers hold.
const LOCK: &str = ".lock";
/// How often and how long a writer waits for another one, which takes milliseconds. No lock is worth more: a writer
/// that was stopped would stop all others.
const LOCK_TRIES: u32 = 50;
const LOCK_WAIT: Duration = Duration::from_millis(10);

/// Why a folder is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// It cannot be made or looked at.
    #[error("{}: {message}", path.display())]
    Io {
        /// The folder, or the one above it, at fault.
        path: PathBuf,
        /// What the system says.
        message: String,
    },
    /// It is no folder.
    #[error("{} is not a folder", path.display())]
    NotAFolder {
        /// What there is.
        path: PathBuf,
    },
    /// It, or a folder above it, belongs to another user, who could plant files.
    #[error("{} belongs to user {owner}, not to user {user}", path.display())]
    Foreign {
        /// The folder at fault.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who this process runs as.
        user: u32,
    },
    /// It, or a folder above it, lets other users write, who could plant files.
    #[error("other users may write to {} (mode {mode:03o}); `chmod go-w` it", path.display())]
    Writable {
        /// The folder at fault.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

/// The folder of a user's caches, for [`Cache::open`](crate::Cache::open): that which `ASSAY_PIPELINE_CACHE` names, or
/// the system's place for caches (`XDG_CACHE_HOME`, `~/.cache`, `~/Library/Caches`, `%LOCALAPPDATA%`) with
/// `assay/pipelines` below it. `None` if there is no such place, or the variable is empty or `off`.
///
/// A library does not read the environment: a program's main function passes `|name| std::env::var_os(name)`.
pub fn folder_of_user(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(chosen) = variable("ASSAY_PIPELINE_CACHE") {
        return (!chosen.is_empty() && chosen != "off").then(|| PathBuf::from(chosen));
    }
    caches_of_user(variable).map(|caches| caches.join("pipelines"))
}

/// The folder of everything that this project keeps for a user: `assay` below the system's place for caches. `None` if
/// there is no such place. `variable` as in [`folder_of_user`].
pub fn caches_of_user(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // Relative paths would mean another folder in each current directory.
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = if cfg!(windows) {
        absolute("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        absolute("HOME").map(|home| home.join("Library/Caches"))
    } else {
        absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))
    };
    base.map(|base| base.join("assay"))
}

/// A folder that this user alone writes to.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder if it is missing, for its owner alone, checks whose it is, and removes what killed processes
    /// left in it.
    pub(crate) fn open(path: &Path) -> Result<Self, FolderError> {
        let io = |error: io::Error| FolderError::Io { path: path.to_owned(), message: error.to_string() };
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(path) {
            // What is there is no folder.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(FolderError::NotAFolder { path: path.to_owned() });
            }
            made => made.map_err(io)?,
        }
        check_owner(path, &fs::symlink_metadata(path).map_err(io)?)?;
        let path = path.canonicalize().map_err(io)?;
        check_all(&path)?;
        whole_file::sweep(&path);
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The bytes of a file, if it has at most `most` beside a header; `None` if there is none. Notes that it was used.
    pub(crate) fn read(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>, Reject> {
        let path = self.0.join(name);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Reject::Io(error)),
            Ok(metadata) if !metadata.is_file() => return Err(Reject::NotAFile),
            Ok(_) => {}
        }
        let file = match open_plain(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(Reject::Io)?,
        };
        // Of what was opened: the name may have got another file in between.
        let metadata = file.metadata().map_err(Reject::Io)?;
        if !metadata.is_file() {
            return Err(Reject::NotAFile);
        }
        if !is_own(&metadata) {
            return Err(Reject::Foreign);
        }
        let most = most.saturating_add(MOST_HEADER as u64);
        if metadata.len() > most {
            return Err(Reject::TooLarge { got: metadata.len(), most });
        }
        let mut bytes = Vec::with_capacity(metadata.len() as usize);
        // It may grow while it is read.
        (&file).take(most + 1).read_to_end(&mut bytes).map_err(Reject::Io)?;
        if bytes.len() as u64 > most {
            return Err(Reject::TooLarge { got: bytes.len() as u64, most });
        }
        // A folder that cannot be written to loses only the order of use.
        let _ = file.set_modified(SystemTime::now());
        Ok(Some(bytes))
    }

    /// Writes a file, whole or not at all.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        whole_file::write(&self.0.join(name), |mut file| {
            #[cfg(unix)]
            file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
            file.write_all(bytes)
        })
    }

    /// Takes a file that was refused out of the way. One that is too large is removed; of others one is kept, to be
    /// looked at. What the system could not read is left alone.
    pub(crate) fn set_aside(&self, name: &str, why: &Reject) {
        let path = self.0.join(name);
        let removed = match why {
            Reject::Io(_) => return,
            Reject::TooLarge { .. } => fs::remove_file(&path),
            _ => fs::rename(&path, self.0.join(format!("{name}{ASIDE}"))),
        };
        if removed.is_err() {
            // Whatever it was is a miss now and the next time.
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
        }
    }

    /// The lock of writers, until it is dropped; `None` if another one keeps it. Readers take none: files appear whole.
    pub(crate) fn lock(&self) -> io::Result<Option<File>> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
        }
        let file = options.open(self.0.join(LOCK))?;
        for attempt in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) if attempt + 1 < LOCK_TRIES => thread::sleep(LOCK_WAIT),
                Err(TryLockError::WouldBlock) => {}
                // A file system without locks: the last writer wins, which is sound for a cache.
                Err(TryLockError::Error(_)) => return Ok(Some(file)),
            }
        }
        Ok(None)
    }

    /// Removes files until the others have at most `most` bytes: first what was set aside, then what was used longest
    /// ago; never the file `kept`. Returns the bytes removed.
    pub(crate) fn trim(&self, most: u64, kept: &str) -> u64 {
        let Ok(entries) = fs::read_dir(&self.0) else { return 0 };
        let mut files: Vec<(bool, SystemTime, u64, OsString)> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                let is_aside = kind_of(&name)?;
                let metadata = entry.metadata().ok().filter(Metadata::is_file)?;
                let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                Some((!is_aside, used, metadata.len(), name))
            })
            .collect();
        files.sort();
        let mut total: u64 = files.iter().map(|(_, _, len, _)| len).sum();
        let mut removed = 0;
        for (_, _, len, name) in files {
            if total <= most {
                break;
            }
            if name != kept && fs::remove_file(self.0.join(&name)).is_ok() {
                total -= len;
                removed += len;
            }
        }
        removed
    }
}

/// Whether a name is that of a file that was set aside; `None` if it is none of ours.
fn kind_of(name: &OsStr) -> Option<bool> {
    let name = name.to_str()?;
    match name.strip_suffix(ASIDE) {
        Some(name) => name.ends_with(ENDING).then_some(true),
        None => name.ends_with(ENDING).then_some(false),
    }
}

/// Opens what is no symbolic link, without waiting for the other end of a pipe.
fn open_plain(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options.open(path)
}

/// What the system reports as the owner of what is not of the namespace that a container runs in.
#[cfg(unix)]
const UNMAPPED: u32 = 65534;

#[cfg(unix)]
fn user() -> u32 {
    // SAFETY: it takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// That a folder, or a link to one, was made by this user.
#[cfg(unix)]
fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), FolderError> {
    let (owner, user) = (std::os::unix::fs::MetadataExt::uid(metadata), user());
    if owner == user { Ok(()) } else { Err(FolderError::Foreign { path: path.to_owned(), owner, user }) }
}

/// That nobody else can put files into the folder, nor another folder in its place. Above it, the system's own folders
/// are fine, and those in which only the owner of a file may replace it (`/tmp`).
#[cfg(unix)]
fn check_all(path: &Path) -> Result<(), FolderError> {
    use std::os::unix::fs::MetadataExt;
    const STICKY: u32 = 0o1000;
    for (above, folder) in path.ancestors().enumerate() {
        let metadata = fs::metadata(folder)
            .map_err(|error| FolderError::Io { path: folder.to_owned(), message: error.to_string() })?;
        if !metadata.is_dir() {
            return Err(FolderError::NotAFolder { path: folder.to_owned() });
        }
        let is_of_system = above > 0 && [0, UNMAPPED].contains(&metadata.uid());
        if !is_of_system {
            check_owner(folder, &metadata)?;
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o022 != 0 && (above == 0 || mode & STICKY == 0) {
            return Err(FolderError::Writable { path: folder.to_owned(), mode });
        }
    }
    Ok(())
}

/// Whether a file belongs to this user, and only this user may write to it.
#[cfg(unix)]
fn is_own(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.uid() == user() && metadata.mode() & 0o022 == 0
}

// Other systems keep a user's caches below a folder that only the user may enter.
#[cfg(not(unix))]
fn check_owner(_: &Path, _: &Metadata) -> Result<(), FolderError> {
    Ok(())
}

#[cfg(not(unix))]
fn check_all(path: &Path) -> Result<(), FolderError> {
    if path.is_dir() { Ok(()) } else { Err(FolderError::NotAFolder { path: path.to_owned() }) }
}

#[cfg(not(unix))]
fn is_own(_: &Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(all(unix, not(target_os = "macos")))]
    fn the_user_chooses_the_place() {
        let of = |pairs: &[(&str, &str)]| {
            folder_of_user(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
        };
        let path = |path: &str| Some(PathBuf::from(path));
        assert_eq!(of(&[("HOME", "/h")]), path("/h/.cache/assay/pipelines"));
        assert_eq!(of(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/var/c")]), path("/var/c/assay/pipelines"));
        assert_eq!(of(&[("HOME", "/h"), ("XDG_CACHE_HOME", "c")]), path("/h/.cache/assay/pipelines"));
        assert_eq!(of(&[("ASSAY_PIPELINE_CACHE", "/x"), ("HOME", "/h")]), path("/x"));
        for none in [&[][..], &[("HOME", "a")], &[("ASSAY_PIPELINE_CACHE", "off"), ("HOME", "/h")]] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }

    #[test]
    fn only_our_files_are_counted() {
        for (name, kind) in [
            ("driver-blob-1.cache", Some(false)),
            ("driver-blob-1.cache.bad", Some(true)),
            (".lock", None),
            ("notes.bad", None),
            ("notes.txt", None),
        ] {
            assert_eq!(kind_of(OsStr::new(name)), kind, "{name}");
        }
    }
}
