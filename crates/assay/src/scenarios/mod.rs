//! The scenarios. Adding one is a file here, its matrix in `benches/scenarios/` and a row in [`SCENARIOS`];
//! CONTRIBUTING.md, "Adding a scenario", says how.

mod cold;
mod gguf_load;
mod loader;
mod multiview;
mod own;
mod rwkv7;

use anyhow::{Result, anyhow};
use scenario::{Cell, Matrix, Measured, Report, Results, Unproved};

/// An end-to-end run over a matrix of cells.
pub(crate) struct Scenario {
    /// Its name, also that of the matrix's file.
    pub(crate) name: &'static str,
    /// The text of the matrix, so that the program needs no file beside it.
    pub(crate) matrix: &'static str,
    /// Runs one cell, in a process of its own.
    pub(crate) run: fn(&Cell, Unproved) -> Result<Measured>,
    /// Makes a report of rows; `scenario::Report::plain` does for a start.
    pub(crate) report: fn(&Results<'_>) -> Report,
}

/// All scenarios, by name.
pub(crate) const SCENARIOS: &[Scenario] =
    &[gguf_load::SCENARIO, loader::SCENARIO, multiview::SCENARIO, rwkv7::SCENARIO];

/// The scenario of a name, and its matrix.
pub(crate) fn find(name: &str) -> Result<(&'static Scenario, Matrix)> {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).ok_or_else(|| {
        let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        anyhow!("there is no scenario `{name}`; there are {}", names.join(", "))
    })?;
    let matrix = Matrix::parse(scenario.matrix).map_err(|error| anyhow!("{}: {error}", scenario::matrix_path(name)))?;
    Ok((scenario, matrix))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_matrix_is_valid_and_belongs_to_a_scenario() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let entries = std::fs::read_dir(root.join("benches/scenarios")).unwrap();
        let files: BTreeSet<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let expected: BTreeSet<String> = SCENARIOS.iter().map(|scenario| format!("{}.toml", scenario.name)).collect();
        assert_eq!(files, expected);
        for scenario in SCENARIOS {
            let (_, matrix) = find(scenario.name).unwrap_or_else(|error| panic!("{error:#}"));
            assert_eq!(
                std::fs::read_to_string(root.join(scenario::matrix_path(scenario.name))).unwrap(),
                scenario.matrix
            );
            assert!(!matrix.level(scenario::Level::Smoke).is_empty());
            assert!(scenario.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        }
        assert!(find("no-such").err().unwrap().to_string().contains("gguf-load"));
    }
}
