//! `scenario NAME`: the cells of a scenario, as `run` runs them at home.

use std::path::Path;

use ::compare::comparison::Invocation;
use ::compare::exit::Exit;
use anyhow::Result;
use scenarios::{Choice, PackedCells, PackedScenario};
use serde_json::Value;

use super::{Measuring, Opened};
use crate::folder::Folder;
use crate::import::Run;
use crate::manifest::What;
use crate::surroundings;

/// Builds `assay` and puts it into the folder, with the matrix, files of the user and the loader of Vulkan drivers.
pub(crate) fn pack(
    invocation: &Invocation,
    root: &Path,
    (name, choice): (&str, &Choice),
    has_loader: bool,
    folder: &mut Folder,
) -> Result<(What, Vec<String>)> {
    let (mut packed, files) = PackedScenario::pack(invocation, root, name, choice)?;
    for file in &files {
        folder.put(&file.from, &file.to, file.is_program)?;
    }
    if has_loader {
        surroundings::put_loader(folder)?;
        packed.has_loader = true;
    }
    let plan = packed.plan()?;
    Ok((What::Scenario(packed), plan))
}

pub(crate) fn open(
    invocation: &Invocation,
    folder: &Path,
    packed: &PackedScenario,
    scratch: &Path,
) -> Result<PackedCells> {
    let mut environment = invocation.variables.clone();
    surroundings::set_loader(folder, packed.has_loader, &mut environment);
    PackedCells::open(folder, packed, environment, (scratch, invocation.interrupt.clone()))
}

impl Opened for PackedCells {
    fn plan(&self) -> Vec<String> {
        self.plan()
    }

    fn measuring<'a>(&'a mut self, _: &'a Invocation, _: &'a Path) -> Box<dyn Measuring + 'a> {
        Box::new(&*self)
    }
}

impl Measuring for &PackedCells {
    fn unit(&mut self, place: usize, _: &dyn Fn() -> bool) -> Result<Option<Value>> {
        PackedCells::unit(self, place).map(Some)
    }

    fn exit(&self, result: &Value) -> Exit {
        PackedCells::told(result).0
    }

    fn in_words(&self, _: usize, result: &Value) -> String {
        PackedCells::told(result).1
    }
}

/// Keeps the rows of a run.
pub(crate) fn import(invocation: &Invocation, root: &Path, packed: &PackedScenario, run: &Run) -> Result<Exit> {
    if let Some(missing) = run.missing() {
        invocation.console.note(&format!("{missing}: the report is shown and not kept"));
    }
    let rows: Vec<Value> = run.records.iter().map(|record| record.result.clone()).collect();
    packed.import(invocation, root, run.class(), &rows, run.missing().is_none())
}
