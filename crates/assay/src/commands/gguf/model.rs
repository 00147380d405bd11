//! Opens models, mapped.

use std::path::{Path, PathBuf};

use gguf::{Field, File, Options, Rule, Split, file::OpenError, split::SplitError};
use serde_json::{Value, json};

use crate::identify::{Format, Identity, instead_of};

/// Why a model was not opened: one message, and its values.
#[derive(Debug)]
pub(super) struct Refusal {
    message: String,
    values: Value,
    /// The first part of the set, if the file is a later one.
    pub(super) first: Option<PathBuf>,
}

impl Refusal {
    fn new(path: &Path, error: SplitError) -> Self {
        let mut values = serde_json::to_value(&error).unwrap_or_else(|_| json!({}));
        if values["file"].is_null() {
            values["file"] = json!(path.display().to_string());
        }
        let first = if let SplitError::NotFirst { first, .. } = &error { first.clone() } else { None };
        let message = match identity(&error) {
            Some((path, identity)) => {
                values["identity"] = json!(identity.name);
                values["advice"] = json!(identity.advice);
                format!("{}: {identity}", path.display())
            }
            None => format!("{:#}", anyhow::Error::from(error)),
        };
        let mut refusal = Self { message, values, first };
        refusal.values["ok"] = json!(false);
        refusal.values["message"] = json!(refusal.message);
        refusal
    }

    /// The same refusal with advice at the end of its message.
    pub(super) fn with_advice(mut self, rules: &[&str], advice: &str) -> Self {
        if rules.iter().any(|rule| self.values["rule"] == **rule) {
            self.message = format!("{}; {advice}", self.message);
            self.values["message"] = json!(self.message);
        }
        self
    }

    /// The rule that is broken, where, the value found and the value needed, as JSON.
    pub(super) fn json(&self) -> Value {
        self.values.clone()
    }

    pub(super) fn error(&self) -> anyhow::Error {
        anyhow::Error::msg(self.message.clone())
    }
}

/// What a file is, if it is not a GGUF file but of a kind that is known.
fn identity(error: &SplitError) -> Option<(&Path, Identity)> {
    let path = match error {
        SplitError::Open(OpenError::Io { path, .. }) => path,
        SplitError::Open(OpenError::Refused { path, source }) => match source.rule {
            Rule::Magic { .. } | Rule::Truncated { field: Field::Magic, .. } => path,
            _ => return None,
        },
        _ => return None,
    };
    Some((path, instead_of(Format::Gguf, path)?))
}

/// The model that begins with this file.
pub(super) fn open(path: &Path, options: Options) -> Result<Split, Refusal> {
    let opened = if path == Path::new("-") {
        let found = "standard input";
        Err(OpenError::NotRegular { path: path.to_owned(), found }.into())
    } else {
        Split::open(path, |path| map(path, options))
    };
    opened.map_err(|error| Refusal::new(path, error))
}

/// Maps a file. This program only reads it, and checks its length before it reads its data. A file that is truncated
/// while it is being read ends the program with a signal.
#[expect(unsafe_code, reason = "a mapped file must not change, which only the user of this program can ensure")]
pub(crate) fn map(path: &Path, options: Options) -> Result<File, OpenError> {
    // SAFETY: this program does not write to the file; the user must not let another program do so.
    unsafe { File::map(path, options) }
}
