//! Opens models, mapped.

use std::path::Path;

use anyhow::Result;
use gguf::{File, Options, Split, file::OpenError};
use serde_json::json;

use crate::print;

/// The model that begins with this file. A refusal is printed as JSON if that was asked for: the rule that is broken, where, what
/// stands there and what should.
pub(super) fn open(path: &Path, options: Options, as_json: bool) -> Result<Split> {
    let error = match Split::open(path, |path| map(path, options)) {
        Ok(model) => return Ok(model),
        Err(error) => error,
    };
    let mut refusal = serde_json::to_value(&error)?;
    let error = anyhow::Error::from(error);
    if as_json {
        refusal["ok"] = json!(false);
        refusal["message"] = json!(format!("{error:#}"));
        print::json(&refusal)?;
    }
    Err(error)
}

/// Maps a file: this program only reads it, and looks at its length before it looks at its data. A file that is cut while it is
/// being read ends the program with a signal.
#[expect(unsafe_code, reason = "that nobody else changes the file is up to who starts the program")]
pub(crate) fn map(path: &Path, options: Options) -> Result<File, OpenError> {
    // SAFETY: this program does not change it; see above for others.
    unsafe { File::map(path, options) }
}
