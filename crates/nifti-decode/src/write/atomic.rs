//! Files that appear whole or not at all.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use crate::NiftiError;

/// Lets `fill` write a new file beside `path` and gives it that name once it is complete. On any error nothing is left, and what
/// was at `path` stays.
///
/// # Errors
/// [`NiftiError::Io`] with what `fill` or the system said.
pub fn atomically(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<(), NiftiError> {
    let io = |source| NiftiError::Io { path: path.to_owned(), source };
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
    temporary.persist(path).map_err(|error| io(error.error))
}
