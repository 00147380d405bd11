//! Files that appear as a whole or not at all.
//!
//! On Linux, the new file has no name while it is written (`O_TMPFILE`): whatever ends the process, the operating
//! system frees it. When it is complete, it gets the name by a hard link, or by a link to a temporary name and a rename
//! where a file is to be replaced. File systems without unnamed files get a file with a temporary name, which a signal
//! may leave behind.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use tempfile::{Builder, NamedTempFile};

/// Calls `fill` with a new, empty file, and gives it the name `path` when `fill` returns. A file of that name is
/// replaced, and its permissions are kept; if it is a symbolic link, the link is replaced. If anything fails, no new
/// file is left, and an old one stays as it was.
///
/// # Errors
/// Those of `fill`, and what the operating system reports.
pub fn create_whole<T, E: From<io::Error>>(path: &Path, fill: impl FnOnce(&File) -> Result<T, E>) -> Result<T, E> {
    let replaced = fs::metadata(path).ok();
    match &replaced {
        // The rename would fail; report it before the work.
        Some(replaced) if replaced.is_dir() => return Err(io::Error::from(io::ErrorKind::IsADirectory).into()),
        // The rename would put a file in the place of a device or a pipe.
        Some(replaced) if !replaced.is_file() => {
            let message = "it is not a regular file and cannot be replaced by one";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message).into());
        }
        _ => {}
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = New::create(directory)?;
    if let Some(replaced) = replaced {
        // Before the first byte is written: a private file stays private at every moment.
        file.as_file().set_permissions(replaced.permissions())?;
    }
    let result = fill(file.as_file())?;
    file.name(path, directory)?;
    Ok(result)
}

/// A file that is not visible under its name yet.
enum New {
    #[cfg(target_os = "linux")]
    Unnamed(File),
    Named(NamedTempFile),
}

impl New {
    fn create(directory: &Path) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        if let Some(file) = unnamed::create(directory)? {
            return Ok(Self::Unnamed(file));
        }
        let mut builder = builder();
        // The user's mask decides, as for any new file; `tempfile` would make it private.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        builder.tempfile_in(directory).map(Self::Named).map_err(without_name)
    }

    fn as_file(&self) -> &File {
        match self {
            #[cfg(target_os = "linux")]
            Self::Unnamed(file) => file,
            Self::Named(file) => file.as_file(),
        }
    }

    fn name(self, path: &Path, directory: &Path) -> io::Result<()> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Unnamed(file) => unnamed::name(&file, path, directory),
            Self::Named(file) => {
                let _ = directory;
                file.persist(path).map(drop).map_err(|error| error.error)
            }
        }
    }
}

fn builder() -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    builder.prefix(".gguf-");
    builder
}

/// The error without the temporary name that `tempfile` adds to it, which tells a user nothing.
fn without_name(error: io::Error) -> io::Error {
    if error.raw_os_error().is_some() { error } else { error.kind().into() }
}

#[cfg(target_os = "linux")]
mod unnamed {
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

    /// A file without a name in `directory`; `None` where the file system has no such files, or `/proc`, through which
    /// it gets its name, is missing.
    pub(super) fn create(directory: &Path) -> io::Result<Option<File>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o666).custom_flags(libc::O_TMPFILE);
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

    pub(super) fn name(file: &File, path: &Path, directory: &Path) -> io::Result<()> {
        match link(file, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let linked = super::builder().make_in(directory, |temporary| link(file, temporary));
                linked.map_err(super::without_name)?.persist(path).map(drop).map_err(|error| error.error)
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
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Names in a directory, and the bytes of the file `a`.
    fn state(directory: &Path) -> (usize, Vec<u8>) {
        (fs::read_dir(directory).unwrap().count(), fs::read(directory.join("a")).unwrap_or_default())
    }

    #[test]
    fn a_file_appears_when_it_is_complete() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        for text in ["first", "second"] {
            let before = state(directory.path()).1;
            let wrote = create_whole(&path, |mut file| {
                file.write_all(text.as_bytes())?;
                assert_eq!(
                    fs::read(&path).unwrap_or_default(),
                    before,
                    "the old file is there until the new one is complete"
                );
                Ok::<_, io::Error>(7)
            });
            assert_eq!((wrote.unwrap(), state(directory.path())), (7, (1, text.as_bytes().to_vec())));
        }
        let failed = create_whole(&path, |mut file| {
            file.write_all(b"third")?;
            Err::<(), _>(io::Error::other("no more"))
        });
        assert!(failed.is_err());
        assert_eq!(state(directory.path()), (1, b"second".to_vec()));
    }

    /// The way that other systems go, and file systems without unnamed files.
    #[test]
    fn a_named_file_does_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        for text in ["first", "second"] {
            let new = New::Named(builder().tempfile_in(directory.path()).unwrap());
            new.as_file().write_all(text.as_bytes()).unwrap();
            new.name(&path, directory.path()).unwrap();
            assert_eq!(state(directory.path()), (1, text.as_bytes().to_vec()));
        }
        drop(New::Named(builder().tempfile_in(directory.path()).unwrap()));
        assert_eq!(state(directory.path()).0, 1);
    }

    #[test]
    fn errors_name_no_temporary_file() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("none").join("a");
        let error = create_whole(&missing, |_| Ok::<_, io::Error>(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(!error.to_string().contains(".gguf-"), "{error}");
        let named = builder().tempfile_in(missing.parent().unwrap()).map_err(without_name).unwrap_err();
        assert!(!named.to_string().contains(".gguf-"), "{named}");
    }

    #[test]
    fn only_regular_files_are_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let kind = |path: &Path| create_whole(path, |_| Ok::<_, io::Error>(())).map_err(|error| error.kind());
        assert_eq!(kind(directory.path()), Err(io::ErrorKind::IsADirectory));
        #[cfg(unix)]
        {
            let socket = directory.path().join("socket");
            let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
            assert_eq!(kind(&socket), Err(io::ErrorKind::InvalidInput));
        }
        assert_eq!(kind(&directory.path().join("a")), Ok(()));
    }

    #[cfg(unix)]
    #[test]
    fn the_mode_of_a_replaced_file_is_kept() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        let path = directory.path().join("a");
        create_whole(&path, |_| Ok::<_, io::Error>(())).unwrap();
        let plain = directory.path().join("plain");
        File::create(&plain).unwrap();
        assert_eq!(mode(&path), mode(&plain), "the user's mask decides about a new file");
        for kept in [0o600, 0o640, 0o664] {
            fs::set_permissions(&path, fs::Permissions::from_mode(kept)).unwrap();
            create_whole(&path, |file| {
                let now = file.metadata()?.permissions().mode() & 0o7777;
                assert_eq!(now, kept, "while it is written, too");
                Ok::<_, io::Error>(())
            })
            .unwrap();
            assert_eq!(mode(&path), kept);
        }
    }
}
