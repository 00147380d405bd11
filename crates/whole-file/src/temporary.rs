//! Temporary names: listed while they exist, and swept where a killed process left them.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions, TryLockError},
    io, mem,
    path::{Path, PathBuf},
    process,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// What temporary names begin with. The id of the process and a serial number follow.
pub(crate) const PREFIX: &str = ".unfinished-";

/// Temporary names of this process that exist.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

pub(crate) fn lock_unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes all files that this process has begun to write and not completed, and blocks every thread that begins,
/// completes or gives up another: for a program that ends on a signal.
pub fn abandon_unfinished() {
    let unfinished = lock_unfinished();
    for path in unfinished.iter() {
        // There is nobody left to report to.
        let _ = fs::remove_file(path);
    }
    mem::forget(unfinished);
}

/// A temporary name in the directory of the file that it becomes. Dropped, its file is removed.
#[derive(Debug)]
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    /// A new file in `directory` that this process holds the lock of.
    pub(crate) fn create(directory: &Path, is_private: bool) -> io::Result<(Self, File)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, crate::mode(is_private));
        #[cfg(not(unix))]
        let _ = is_private;
        Self::make(directory, |name| {
            let file = options.open(name)?;
            if is_locked(&file) { Ok(file) } else { Err(io::ErrorKind::AlreadyExists.into()) }
        })
    }

    /// The first name in `directory` that `make` makes a file of; it reports [`io::ErrorKind::AlreadyExists`] for a
    /// name that another process has.
    pub(crate) fn make<T>(directory: &Path, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<(Self, T)> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        const MOST_TRIES: usize = 1 << 10;
        sweep_once(directory);
        // Held while the name is chosen: from the moment that it exists, it is listed.
        let mut unfinished = lock_unfinished();
        let mut outcome = Err(io::ErrorKind::AlreadyExists.into());
        for _ in 0..MOST_TRIES {
            let name = directory.join(format!("{PREFIX}{}-{}", process::id(), COUNTER.fetch_add(1, Relaxed)));
            match make(&name) {
                Ok(made) => {
                    unfinished.push(name.clone());
                    return Ok((Self(name), made));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => outcome = Err(error),
                Err(error) => return Err(error),
            }
        }
        outcome
    }

    /// Gives the file the name `path`, whatever has it now.
    pub(crate) fn rename(mut self, path: &Path) -> io::Result<()> {
        let mut unfinished = lock_unfinished();
        let renamed = fs::rename(&self.0, path);
        if renamed.is_ok() {
            unfinished.retain(|listed| *listed != self.0);
            self.0 = PathBuf::new();
        }
        // Dropping `self` takes the lock.
        drop(unfinished);
        renamed
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // An empty name has become the file's own.
        if self.0.as_os_str().is_empty() {
            return;
        }
        let mut unfinished = lock_unfinished();
        unfinished.retain(|listed| *listed != self.0);
        // The error that led here is the one to report.
        let _ = fs::remove_file(&self.0);
    }
}

/// Takes the lock of a file that was just created. It is not this process's if another one swept it in between.
fn is_locked(file: &File) -> bool {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => false,
        // A file system without locks has no sweep either.
        Ok(()) | Err(TryLockError::Error(_)) => has_name(file),
    }
}

#[cfg(unix)]
fn has_name(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| std::os::unix::fs::MetadataExt::nlink(&metadata) > 0)
}

#[cfg(not(unix))]
fn has_name(_: &File) -> bool {
    true
}

/// Sweeps a directory the first time that this process asks for it.
fn sweep_once(directory: &Path) {
    static SWEPT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    if SWEPT.lock().unwrap_or_else(PoisonError::into_inner).insert(directory.to_owned()) {
        sweep(directory);
    }
}

/// Removes files in `directory` that have temporary names and that no process writes any more. What cannot be read or
/// removed stays.
///
/// A process that writes a file holds a lock on it. A lock ends with its process, also on another machine of
/// a shared disk or in another container, where the id of a process says nothing.
pub fn sweep(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let is_temporary = entry.file_name().to_str().is_some_and(is_temporary);
        if !is_temporary || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let path = entry.path();
        if let Ok(file) = OpenOptions::new().read(true).write(true).open(&path)
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(&path);
        }
    }
}

fn is_temporary(name: &str) -> bool {
    let numbers = name.strip_prefix(PREFIX).and_then(|numbers| numbers.split_once('-'));
    numbers.is_some_and(|(process, serial)| [process, serial].iter().all(|number| number.parse::<u64>().is_ok()))
}
