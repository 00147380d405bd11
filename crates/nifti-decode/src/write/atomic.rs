//! Files that appear whole or not at all.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use tempfile::TempPath;

use crate::NiftiError;

/// Lets `fill` write a new file beside `path` and gives it that name once it is complete. On any error nothing is left, and what
/// was at `path` stays.
///
/// # Errors
/// [`NiftiError::Io`] with what `fill` or the system said.
pub fn atomically(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<(), NiftiError> {
    Complete::new(path, fill)?.appear()
}

/// A file that is complete, and has a name that nobody knows. Dropped, it is gone.
pub(super) struct Complete {
    temporary: TempPath,
    path: PathBuf,
}

impl Complete {
    /// What is to appear at `path`, beside it.
    pub(super) fn new(
        path: &Path,
        fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<Self, NiftiError> {
        let io = |source| NiftiError::Io { path: path.to_owned(), source };
        if path.is_dir() {
            // No file takes its name: found out before the work.
            return Err(io(io::ErrorKind::IsADirectory.into()));
        }
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".nifti-");
        #[cfg(unix)]
        {
            // As any new file: the system takes away what the user's mask says.
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        }
        let file = builder.tempfile_in(directory).map_err(io)?;
        let (file, temporary) = file.into_parts();
        let mut writer = BufWriter::with_capacity(1 << 20, file);
        fill(&mut writer).and_then(|()| writer.flush()).map_err(io)?;
        Ok(Self { temporary, path: path.to_owned() })
    }

    /// Gives it its name.
    pub(super) fn appear(self) -> Result<(), NiftiError> {
        let Self { temporary, path } = self;
        temporary.persist(&path).map_err(|error| NiftiError::Io { path, source: error.error })
    }
}
