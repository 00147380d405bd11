//! The differently laid out links of each program, made when they are first needed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::contest::Entrant;
use crate::bench::Program;

/// Links by program and seed.
#[derive(Debug)]
pub struct Links {
    environment: Vec<(OsString, OsString)>,
    made: RefCell<HashMap<(PathBuf, u64), PathBuf>>,
}

impl Links {
    /// No links yet; linkers will run in `environment`.
    pub fn new(environment: &[(OsString, OsString)]) -> Self {
        Self { environment: environment.to_vec(), made: RefCell::default() }
    }

    /// Whether the program can be linked again with another layout: its link was recorded and its linker takes the
    /// option (LLD does, GNU ld does not).
    pub fn available(&self, entrant: &Entrant) -> bool {
        entrant.target.link.is_some() && self.variant(entrant, 1).is_ok()
    }

    /// The entrant's program in the layout of `seed`; seed 0 is the plain link.
    pub fn variant(&self, entrant: &Entrant, seed: u64) -> Result<Program> {
        let plain = &entrant.target.program;
        if seed == 0 {
            return Ok(plain.clone());
        }
        let seed = seed + entrant.seed_offset;
        let key = (plain.executable.clone(), seed);
        if let Some(path) = self.made.borrow().get(&key) {
            return Ok(Program { executable: path.clone(), ..plain.clone() });
        }
        let link = entrant.target.link.as_ref().context("the program's link was not recorded")?;
        // The plain program is called NNN-0000: variants differ in the digits alone, so that every path is as long.
        let name = plain.executable.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let stem = name.split('-').next().unwrap_or_default();
        let path = plain.executable.with_file_name(format!("{stem}-{seed:04}"));
        link.link(seed, &path, &self.environment).context("failed to link a program again")?;
        self.made.borrow_mut().insert(key, path.clone());
        Ok(Program { executable: path, ..plain.clone() })
    }
}
