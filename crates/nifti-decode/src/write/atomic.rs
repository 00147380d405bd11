//! Files that appear whole or not at all.
//!
//! A file is written under a temporary name in the same directory and renamed to its own when it is complete. It takes
//! the place of what was there before: of a file, with its permissions and, where the system allows it, its owner; of a
//! symbolic link, the link itself. What a link pointed to stays as it is, for it often lies in an archive that must not
//! change (git-annex, DataLad).
//!
//! Temporary names are listed while they exist, so that a program that is interrupted can remove them:
//! [`abandon_unfinished`].

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, BufWriter, Write},
    mem,
    path::{Path, PathBuf},
    process,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::{Irregular, NiftiError};

/// Lets `fill` write a new file beside `path` and gives it that name once it is complete. On any error nothing is left,
/// and what was at `path` stays.
///
/// The new file has the permissions of the file that it replaces, and its owner and group where the process may set
/// them; the group's permissions are dropped where the group cannot be kept. If `path` is a symbolic link, the link is
/// replaced, and the file that it points to stays: the new file has that file's permissions, and may be written by its
/// owner. Extended attributes and access control lists are not carried over.
///
/// # Errors
/// [`NiftiError::Io`] with what `fill` or the system reported, [`NiftiError::NotRegular`] where `path` is a directory,
/// a pipe or a device.
pub fn atomically(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<(), NiftiError> {
    Complete::new(path, fill)?.appear()
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

/// Temporary names that exist.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn lock_unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that is complete, under a temporary name. Dropped, it is removed.
pub(super) struct Complete {
    temporary: Temporary,
    path: PathBuf,
}

impl Complete {
    /// The file that is to appear at `path`, beside it.
    pub(super) fn new(
        path: &Path,
        fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<Self, NiftiError> {
        let io = |source| NiftiError::Io { path: path.to_owned(), source };
        // Found out before the work: no file can take the name of a directory, and none should take that of a device.
        let replaced = fs::metadata(path).ok();
        if let Some(kind) = replaced.as_ref().and_then(|metadata| Irregular::of(metadata.file_type())) {
            return Err(NiftiError::NotRegular { path: path.to_owned(), kind });
        }
        let (temporary, file) = Temporary::create(path, replaced.is_some()).map_err(io)?;
        let mut writer = BufWriter::with_capacity(1 << 20, file);
        fill(&mut writer).and_then(|()| writer.flush()).map_err(io)?;
        if let Some(replaced) = replaced {
            let is_link = path.is_symlink();
            keep_permissions(writer.get_ref(), &replaced, is_link);
        }
        Ok(Self { temporary, path: path.to_owned() })
    }

    /// Gives it its name.
    pub(super) fn appear(self) -> Result<(), NiftiError> {
        let Self { mut temporary, path } = self;
        let renamed = {
            let mut unfinished = lock_unfinished();
            let renamed = fs::rename(&temporary.0, &path);
            if renamed.is_ok() {
                unfinished.retain(|listed| *listed != temporary.0);
                temporary.0 = PathBuf::new();
            }
            renamed
        };
        renamed.map_err(|source| NiftiError::Io { path, source })
    }
}

/// A temporary name in the directory of the file that it becomes; an empty one has become it.
struct Temporary(PathBuf);

impl Temporary {
    /// A new file beside `path`; one that replaces another is its owner's alone until it is complete.
    fn create(path: &Path, is_private: bool) -> io::Result<(Self, File)> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        const MOST_TRIES: usize = 1 << 10;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, if is_private { 0o600 } else { 0o666 });
        #[cfg(not(unix))]
        let _ = is_private;
        // Held while the name is chosen: from the moment that it exists, it is listed.
        let mut unfinished = lock_unfinished();
        let mut outcome = Err(io::ErrorKind::AlreadyExists.into());
        for _ in 0..MOST_TRIES {
            let temporary = directory.join(format!(".nifti-{}-{}", process::id(), COUNTER.fetch_add(1, Relaxed)));
            match options.open(&temporary) {
                Ok(file) => {
                    unfinished.push(temporary.clone());
                    return Ok((Self(temporary), file));
                }
                // Left by a process that was killed, or of another machine on a shared disk.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => outcome = Err(error),
                Err(error) => return Err(error),
            }
        }
        outcome
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.0.as_os_str().is_empty() {
            return;
        }
        let mut unfinished = lock_unfinished();
        unfinished.retain(|listed| *listed != self.0);
        // The error that led here is the one to report.
        let _ = fs::remove_file(&self.0);
    }
}

/// Gives `file` the owner, group and permissions of `replaced`, as far as the system allows: a file that was private
/// must not become public by being written again. What the system refuses leaves the file its owner's alone.
#[cfg(unix)]
fn keep_permissions(file: &File, replaced: &Metadata, is_link: bool) {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    let Ok(now) = file.metadata() else { return };
    let (uid, gid) = (replaced.uid(), replaced.gid());
    let has_group = now.gid() == gid || fchown(file, None, Some(gid)).is_ok();
    if now.uid() != uid {
        let _ = fchown(file, Some(uid), None);
    }
    let mut mode = replaced.mode() & 0o777;
    if !has_group {
        mode &= !0o070;
    }
    if is_link {
        mode |= 0o200;
    }
    let _ = file.set_permissions(fs::Permissions::from_mode(mode));
}

#[cfg(not(unix))]
fn keep_permissions(_file: &File, _replaced: &Metadata, _is_link: bool) {}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn write(path: &Path) {
        atomically(path, |file| file.write_all(b"new")).unwrap();
    }

    #[test]
    fn a_replaced_file_keeps_its_permissions() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.nii");
        for wanted in [0o600, 0o640, 0o444, 0o664] {
            fs::write(&path, "old").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(wanted)).unwrap();
            write(&path);
            assert_eq!((mode(&path), fs::read(&path).unwrap()), (wanted, b"new".to_vec()));
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_link_is_replaced_and_its_file_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (path, target) = (directory.path().join("a.nii"), directory.path().join("object"));
        fs::write(&target, "old").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o440)).unwrap();
        symlink("object", &path).unwrap();
        write(&path);
        assert!(!path.is_symlink());
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"new".to_vec(), 0o640));
        assert_eq!((fs::read(&target).unwrap(), mode(&target)), (b"old".to_vec(), 0o440));
    }

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let refused = atomically(directory.path(), |_| Ok(())).unwrap_err();
        assert!(matches!(refused, NiftiError::NotRegular { kind: Irregular::Directory, .. }), "{refused}");
        let refused = atomically(Path::new("/dev/null"), |_| Ok(())).unwrap_err();
        assert!(matches!(refused, NiftiError::NotRegular { kind: Irregular::Device, .. }), "{refused}");
    }
}
