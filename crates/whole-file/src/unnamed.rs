//! Files without a name, of Linux.

use std::{
    ffi::CString,
    fs::{File, OpenOptions},
    io,
    os::{
        fd::AsRawFd,
        unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    },
    path::Path,
};

use crate::temporary::{Temporary, lock_unfinished};

/// A file without a name in `directory`; `None` where the file system has no such files, or `/proc`, through which it
/// gets its name, is missing.
pub(crate) fn create(directory: &Path, is_private: bool) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(crate::mode(is_private)).custom_flags(libc::O_TMPFILE);
    let file = match options.open(directory) {
        Ok(file) => file,
        // The last two are what kernels report that do not have the flag.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    Ok(Path::new(&proc_path(&file)).exists().then_some(file))
}

/// Gives the file its name. Where that is taken, it gets a temporary one, which then replaces what is there.
pub(crate) fn name(file: &File, path: &Path) -> io::Result<()> {
    let linked = {
        // A program that ends on a signal has no file appear any more.
        let _unfinished = lock_unfinished();
        link(file, path)
    };
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // A sweep leaves the file alone while it is locked; a file system without locks has no sweep.
            let _ = file.try_lock();
            let (temporary, ()) = Temporary::make(crate::directory(path), |name| link(file, name))?;
            temporary.rename(path)
        }
        outcome => outcome,
    }
}

fn proc_path(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn link(file: &File, path: &Path) -> io::Result<()> {
    let (from, to) = (CString::new(proc_path(file))?, CString::new(path.as_os_str().as_bytes())?);
    let (here, follow) = (libc::AT_FDCWD, libc::AT_SYMLINK_FOLLOW);
    // SAFETY: both strings end with a NUL and live until the call returns.
    match unsafe { libc::linkat(here, from.as_ptr(), here, to.as_ptr(), follow) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
