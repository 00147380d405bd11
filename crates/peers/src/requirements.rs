//! Python environments of implementations: one for each file of requirements, so that the pins of one do not change
//! what another one runs with.

use std::path::Path;

use anyhow::Result;
use compare::command;
use serde::Deserialize;

/// A file `requirements-NAME.txt`, which is installed into `.venv/NAME` beside it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Requirements {
    file: String,
    /// Directory of the environment.
    environment: String,
}

impl TryFrom<String> for Requirements {
    type Error = String;

    fn try_from(file: String) -> Result<Self, String> {
        let name = file.strip_prefix("requirements-").and_then(|rest| rest.strip_suffix(".txt"));
        let is_plain = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let name = name.filter(is_plain).ok_or_else(|| format!("{file:?} is not of the form requirements-NAME.txt"))?;
        Ok(Self { environment: format!(".venv/{name}"), file })
    }
}

impl Requirements {
    /// Makes the environment in `directory` if it is missing, and brings it up to date.
    pub(crate) fn install(&self, directory: &Path) -> Result<()> {
        let python = directory.join(&self.environment).join("bin/python");
        if !python.exists() {
            command::run(command::in_directory("python3", directory).args(["-m", "venv", &self.environment]))?;
        }
        let mut pip = command::in_directory(&python.to_string_lossy(), directory);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", &self.file]);
        command::run(&mut pip).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_has_its_environment() {
        let read = |file: &str| Requirements::try_from(file.to_owned());
        assert_eq!(read("requirements-attention.txt").unwrap().environment, ".venv/attention");
        for file in ["requirements.txt", "requirements-.txt", "requirements-../x.txt", "attention.txt"] {
            assert!(read(file).unwrap_err().contains("requirements-NAME.txt"), "{file}");
        }
    }
}
