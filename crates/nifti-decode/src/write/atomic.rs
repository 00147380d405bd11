//! Files that appear whole or not at all, with the errors of this crate. [`whole_file`] has the rules.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use crate::{Irregular, NiftiError};

/// Lets `fill` write a new file and gives it the name `path` once it is complete. On any error nothing is left, and
/// what was at `path` stays. Permissions and links are kept as [`whole_file::write()`] says.
///
/// # Errors
/// [`NiftiError::Io`] with what `fill` or the system reported, [`NiftiError::NotRegular`] where `path` is a directory,
/// a pipe or a device.
pub fn atomically(path: &Path, fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> Result<(), NiftiError> {
    Complete::new(path, fill)?.appear()
}

/// A file that is complete and has not got its name yet.
pub(super) struct Complete {
    file: whole_file::Complete,
    path: PathBuf,
}

impl Complete {
    /// The file that is to appear at `path`.
    pub(super) fn new(
        path: &Path,
        fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
    ) -> Result<Self, NiftiError> {
        if let Some(kind) = fs::metadata(path).ok().and_then(|metadata| Irregular::of(metadata.file_type())) {
            return Err(NiftiError::NotRegular { path: path.to_owned(), kind });
        }
        let filled = whole_file::Complete::new(path, |file| {
            let mut writer = BufWriter::with_capacity(1 << 20, file);
            fill(&mut writer)?;
            writer.flush()
        });
        match filled {
            Ok((file, ())) => Ok(Self { file, path: path.to_owned() }),
            Err(source) => Err(NiftiError::Io { path: path.to_owned(), source }),
        }
    }

    /// Gives it its name.
    pub(super) fn appear(self) -> Result<(), NiftiError> {
        let Self { file, path } = self;
        file.appear().map_err(|source| NiftiError::Io { path, source })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let refused = atomically(directory.path(), |_| Ok(())).unwrap_err();
        assert!(matches!(refused, NiftiError::NotRegular { kind: Irregular::Directory, .. }), "{refused}");
        let refused = atomically(Path::new("/dev/null"), |_| Ok(())).unwrap_err();
        assert!(matches!(refused, NiftiError::NotRegular { kind: Irregular::Device, .. }), "{refused}");
    }
}
