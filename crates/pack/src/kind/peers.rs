//! `peers OP`: our code beside other people's, as far as it can be carried or is there.

use std::path::Path;

use anyhow::{Result, ensure};
use compare::comparison::Invocation;
use compare::exit::Exit;
use peers::{Choice, Imported, Job, PackedJob, Unit};
use serde_json::Value;

use super::{Measuring, Opened};
use crate::folder::Folder;
use crate::import::Run;
use crate::manifest::What;

/// Builds the job and puts its files into the folder. Gives what the manifest says, and the plan.
pub(crate) fn pack(
    invocation: &Invocation,
    root: &Path,
    (op, choice): (&str, &Choice),
    folder: &mut Folder,
) -> Result<(What, Vec<String>)> {
    let (job, packed, files) = Job::pack(invocation, root, op, choice)?;
    for file in &files {
        folder.put(&file.from, &file.to, file.is_program)?;
    }
    Ok((What::Peers(packed), plan(&job)))
}

/// Names of its units.
fn plan(job: &Job) -> Vec<String> {
    job.units().iter().map(Unit::name).collect()
}

/// The job of a pack. Peers in Python run with `ASSAY_PYTHON`, or with `python3`.
pub(crate) fn open(invocation: &Invocation, folder: &Path, packed: &PackedJob, plan: &[String]) -> Result<Job> {
    let python = invocation.variable("ASSAY_PYTHON").map(|path| path.to_string_lossy().into_owned());
    let job = Job::open(folder, packed, python.as_deref().unwrap_or("python3"))?;
    ensure!(self::plan(&job) == plan, "the program of the pack has other cases than its plan; make the pack again");
    Ok(job)
}

impl Opened for Job {
    fn plan(&self) -> Vec<String> {
        plan(self)
    }

    fn measuring<'a>(&'a mut self, invocation: &'a Invocation, scratch: &'a Path) -> Box<dyn Measuring + 'a> {
        Box::new(JobUnits { units: self.units(), measuring: Job::measuring(self, invocation, scratch) })
    }
}

/// Measures the units of a job.
struct JobUnits<'a> {
    units: Vec<Unit>,
    measuring: ::peers::Measuring<'a>,
}

impl Measuring for JobUnits<'_> {
    fn unit(&mut self, place: usize, goes_on: &dyn Fn() -> bool) -> Result<Option<Value>> {
        Ok(self.measuring.unit(&self.units[place], goes_on)?.map(Value::Array))
    }

    fn exit(&self, result: &Value) -> Exit {
        let differs = rows(result).iter().any(|row| row["outcome"]["outcome"] == "disagrees");
        if differs { Exit::Invalid } else { Exit::Fine }
    }

    fn in_words(&self, _: usize, result: &Value) -> String {
        let of = |row: &Value| {
            let (peer, outcome) = (row["peer"].as_str().unwrap_or_default(), &row["outcome"]);
            match outcome["ratio"].as_f64() {
                Some(ratio) => format!("{peer} {ratio:.2}"),
                None => format!("{peer} {}", outcome["outcome"].as_str().unwrap_or_default()),
            }
        };
        rows(result).iter().map(of).collect::<Vec<_>>().join(", ")
    }
}

/// The rows of a result.
fn rows(result: &Value) -> &[Value] {
    result.as_array().map_or(&[], Vec::as_slice)
}

/// Keeps the rows of a run.
pub(crate) fn import(invocation: &Invocation, root: &Path, packed: &PackedJob, run: &Run) -> Result<Exit> {
    let rows: Vec<Value> = run.records.iter().flat_map(|record| rows(&record.result)).cloned().collect();
    let made = format!("{}, {}, {}", packed.state, run.day(), run.machine());
    let what = match (run.missing(), packed.choice.is_whole()) {
        (Some(missing), _) => Some(missing),
        (None, false) => Some(format!("{} units, which were chosen", run.records.len())),
        (None, true) => None,
    };
    let imported = Imported { op: &packed.op, class: run.class(), made: &made, missing: what.as_deref(), rows: &rows };
    ::peers::import(invocation, root, &imported)
}
