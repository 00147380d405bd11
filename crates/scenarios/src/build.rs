//! The programs that run cells.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use compare::command;
use compare::comparison::Invocation;
use scenario::{Cell, Matrix, Program};

/// `assay`, and what became of the other programs of a matrix.
pub(crate) struct Programs {
    /// The program `assay`.
    pub(crate) assay: PathBuf,
    /// Why a program cannot be started.
    unavailable: BTreeMap<String, String>,
}

impl Programs {
    /// Builds `assay`, and every other program that one of the cells needs. One that does not build is noted; its cells
    /// become rows that say why.
    pub(crate) fn build(invocation: &Invocation, root: &Path, matrix: &Matrix, cells: &[Cell]) -> Result<Self> {
        let assay = peers::assay(invocation, root)?;
        let mut programs = Self::of(assay);
        let needed = |program: &&Program| cells.iter().any(|cell| matrix.program(cell) == Some(program));
        for program in matrix.programs().iter().filter(needed) {
            let Some((first, rest)) = program.build.split_first() else { continue };
            let progress = invocation.console.spinner(&format!("building {}", program.name));
            let built = command::run(command::in_directory(first, &root.join(&program.dir)).args(rest));
            progress.finish();
            if let Err(error) = built {
                invocation.console.note(&format!("{} is not available: {error:#}", program.name));
                let why = error.to_string().lines().next().unwrap_or_default().to_owned();
                programs.unavailable.insert(program.name.clone(), why);
            }
        }
        Ok(programs)
    }

    /// A program that is built already.
    pub(crate) fn of(assay: PathBuf) -> Self {
        Self { assay, unavailable: BTreeMap::new() }
    }

    /// A program in a pack, which carries no other one.
    pub(crate) fn carried(assay: PathBuf, matrix: &Matrix) -> Self {
        let of = |program: &Program| (program.name.clone(), "a pack does not carry it".to_owned());
        Self { assay, unavailable: matrix.programs().iter().map(of).collect() }
    }

    /// The first words of the command that runs a cell, in its directory; an error says why the program is not there.
    pub(crate) fn command(&self, matrix: &Matrix, cell: &Cell, root: &Path) -> Result<Command, String> {
        let Some(program) = matrix.program(cell) else {
            return Ok(command::in_directory(&self.assay.to_string_lossy(), root));
        };
        if let Some(why) = self.unavailable.get(&program.name) {
            return Err(format!("the program `{}` is not available: {why}", program.name));
        }
        Ok(peers::command_in(&root.join(&program.dir), &program.command))
    }
}
