//! What kind of program an executable is, by its content.

use std::path::Path;

/// The variable that tells criterion to connect; a program that reads it contains this name.
pub(super) const PORT: &str = "CARGO_CRITERION_PORT";

/// Whether a program contains the name of the variable that tells criterion to connect.
pub(super) fn mentions_criterion(executable: &Path) -> bool {
    std::fs::read(executable).is_ok_and(|bytes| memmem(&bytes, PORT.as_bytes()))
}

fn memmem(bytes: &[u8], word: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == word[0]) {
        if rest[at..].starts_with(word) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}
