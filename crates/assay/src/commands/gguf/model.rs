//! Opens models, mapped.

use std::path::Path;

use anyhow::Result;
use gguf::{File, Options, Split, file::OpenError};

use super::Reading;

/// The model that begins with the file of a command.
pub(super) fn open(reading: &Reading) -> Result<Split> {
    let options = if reading.strict { Options::default() } else { Options::LENIENT };
    Ok(Split::open(&reading.file, |path| map(path, options))?)
}

/// Maps a file: this program only reads it, and looks at its length before it looks at its data. A file that is cut while it is
/// being read ends the program with a signal.
#[expect(unsafe_code, reason = "that nobody else changes the file is up to who starts the program")]
pub(crate) fn map(path: &Path, options: Options) -> Result<File, OpenError> {
    // SAFETY: this program does not change it; see above for others.
    unsafe { File::map(path, options) }
}
