//! `cargo xtask import DIR…`: records of packs into `baselines/`.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use compare::command;
use compare::comparison::Invocation;
use compare::exit::{Exit, usage};

use crate::bench_table;
use crate::kind;
use crate::manifest::{Manifest, What};
use crate::records::{self, Plan, Record};

/// `import`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Directories of records, as `run` wrote them
    #[arg(required = true, value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// Print comparisons as JSON instead of tables
    #[arg(long)]
    json: bool,
}

/// The records of one directory, checked.
#[derive(Debug)]
pub(crate) struct Run {
    /// In the order of the plan, without units that failed.
    pub(crate) records: Vec<Record>,
    /// What all units together say, if that is more than each of them.
    pub(crate) conclusion: Option<Record>,
    /// Units of the plan.
    planned: usize,
    /// Units that failed, and why.
    failed: Vec<(String, String)>,
}

/// Runs `import`.
///
/// # Errors
/// Records that are damaged, incomplete, of several machines or of a revision that this repository does not have.
pub fn import(invocation: &Invocation, root: &Path, arguments: &Arguments) -> Result<Exit> {
    let mut exit = Exit::Fine;
    for directory in &arguments.directories {
        exit = exit.max(import_directory(invocation, root, &invocation.directory.join(directory), arguments.json)?);
    }
    Ok(exit)
}

/// Imports one directory of records; a comparison is shown as a table or as JSON.
pub(crate) fn import_directory(invocation: &Invocation, root: &Path, directory: &Path, json: bool) -> Result<Exit> {
    let (manifest, pack) = Manifest::read(directory)?;
    knows(root, &manifest)?;
    let run = Run::read(directory, &manifest, &pack)?;
    for (unit, why) in &run.failed {
        invocation.console.note(&format!("`{unit}` failed: {why}"));
    }
    match &manifest.what {
        What::Peers(packed) => kind::peers::import(invocation, root, packed, &run),
        What::Scenario(packed) => kind::scenario::import(invocation, root, packed, &run),
        What::Compare(packed) => kind::compare::import(invocation, root, packed, (&run, json)),
        What::Bench(packed) => bench_table::import(invocation, root, packed, &run),
    }
}

/// Whether the repository has the revisions of a pack.
fn knows(root: &Path, manifest: &Manifest) -> Result<()> {
    for revision in &manifest.revisions {
        let commit = &revision.commit;
        let is_commit = commit.len() >= 40 && commit.chars().all(|digit| digit.is_ascii_hexdigit());
        let object = format!("{commit}^{{commit}}");
        if !is_commit || command::run(command::git_in(root).args(["cat-file", "-e", &object])).is_err() {
            return Err(usage(format!(
                "the pack {} measures the revision {commit:?}, which this repository does not have: fetch it first",
                manifest.name
            )));
        }
    }
    Ok(())
}

impl Run {
    fn read(directory: &Path, manifest: &Manifest, pack: &str) -> Result<Self> {
        let plan = Plan::read(directory, manifest, pack)?.units;
        let conclusion = records::read(&directory.join(records::CONCLUSION), pack, "conclusion")?;
        let mut run = Self { records: Vec::new(), conclusion, planned: plan.len(), failed: Vec::new() };
        for (place, unit) in plan.iter().enumerate() {
            let Some(record) = records::read(&records::path(directory, place, unit), pack, unit)? else { continue };
            ensure!(record.schema == manifest.schema, "the record of {unit} has schema {}", record.schema);
            match record.error {
                Some(why) => run.failed.push((unit.clone(), why)),
                None => run.records.push(record),
            }
        }
        if run.records.is_empty() {
            return Err(usage(format!("{} has no record of a measured unit", directory.display())));
        }
        let class = run.class();
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        ensure!(!class.is_empty() && class.chars().all(is_plain), "{class:?} is no machine class");
        if let Some(other) = run.records.iter().chain(&run.conclusion).find(|record| record.class != class) {
            return Err(usage(format!(
                "{} was measured on {}, the units before on {class}: classes are never mixed",
                other.unit, other.class
            )));
        }
        Ok(run)
    }

    /// Machine class of all records.
    pub(crate) fn class(&self) -> &str {
        self.records.first().map_or("", |record| &record.class)
    }

    /// The machine in words.
    pub(crate) fn machine(&self) -> &str {
        self.records.first().map_or("", |record| &record.machine)
    }

    /// Revision, day, machine, and how much was measured, in a line.
    pub(crate) fn made(&self, state: &str) -> String {
        let missing = self.missing().map_or_else(String::new, |missing| format!(": {missing}"));
        format!("{state}, {}, {}, from a pack{missing}", self.day(), self.machine())
    }

    /// The day on which the last record began.
    pub(crate) fn day(&self) -> &str {
        let last = self.records.iter().map(|record| record.began.as_str()).max().unwrap_or_default();
        last.get(..10).unwrap_or(last)
    }

    /// What is missing, in words; `None` if the plan is complete.
    pub(crate) fn missing(&self) -> Option<String> {
        let (has, of) = (self.records.len(), self.planned);
        (has < of).then(|| match self.failed.len() {
            0 => format!("{has} of {of} units; cut by the limit"),
            failed => format!("{has} of {of} units; {failed} failed"),
        })
    }
}
