//! `assay cells`, `cell` and `report`: the grammar of scenarios, spoken to a person, a tool or a batch scheduler.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use machine::Fingerprint;
use record::{CellRecord, SCHEMA, jsonl};
use scenario::{Cell, Level, Matrix, Measured, Results, Row, Setting, Unproved, Wrong};

use crate::print;
use crate::scenarios::{self, SCENARIOS, Scenario};

/// `cells`.
#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// The scenario; without it, list the scenarios
    name: Option<String>,
    /// Only the few small cells that CI runs
    #[arg(long, conflicts_with = "full")]
    smoke: bool,
    /// All cells, not only those that are measured by default
    #[arg(long)]
    full: bool,
    /// Restrict an axis to some of its values (repeatable)
    #[arg(long, value_name = "AXIS=VALUE,…")]
    set: Vec<Setting>,
    /// Only cells that `assay` itself runs
    #[arg(long)]
    own: bool,
}

/// `cell`.
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// The scenario
    name: String,
    /// The cell, as `assay cells` prints it
    cell: String,
    /// The record, a JSON file; it appears whole, also if the cell fails
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// `report`.
#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// The scenario
    name: String,
    /// The rows, JSON lines [default: those below baselines/ of this machine's class]
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
    /// Also write the report and its figures into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Lists scenarios or cells.
pub(crate) fn list(arguments: &ListArguments) -> Result<()> {
    let Some(name) = &arguments.name else {
        return print::lines(SCENARIOS.iter().map(|scenario| scenario.name));
    };
    let (_, matrix) = scenarios::find(name)?;
    let level = match arguments {
        ListArguments { smoke: true, .. } => Level::Smoke,
        ListArguments { full: true, .. } => Level::Full,
        _ => Level::Default,
    };
    let cells = matrix.select(level, &arguments.set)?;
    let own = cells.iter().filter(|cell| !arguments.own || matrix.program(cell).is_none());
    print::lines(own.map(Cell::to_string))
}

/// Runs one cell and writes its record.
pub(crate) fn run(arguments: &RunArguments) -> Result<()> {
    let (scenario, matrix) = scenarios::find(&arguments.name)?;
    let cell = matrix.find(&arguments.cell)?;
    if let Some(program) = matrix.program(&cell) {
        bail!("`{cell}` is run by the program `{}` of the matrix, not by assay", program.name);
    }
    let record = record(scenario, &matrix, &cell);
    let mut bytes = serde_json::to_vec(&record)?;
    bytes.push(b'\n');
    let written = whole_file::replace(&arguments.out, &bytes);
    written.with_context(|| format!("failed to write {}; is the disk full?", arguments.out.display()))?;
    record.fault().map_or(Ok(()), |fault| Err(anyhow!("{cell}: {fault}")))
}

/// The record of a cell that runs now; whatever goes wrong is its error.
fn record(scenario: &Scenario, matrix: &Matrix, cell: &Cell) -> CellRecord {
    let empty =
        || CellRecord { primary: Some(matrix.primary.clone()), ..CellRecord::empty(scenario.name, &cell.to_string()) };
    // Nothing that a cell leaves behind is looked at after a panic.
    let outcome = catch_unwind(AssertUnwindSafe(|| (scenario.run)(cell, Unproved::default())));
    let measured = outcome.unwrap_or_else(|panic| Err(anyhow!("the cell panicked: {}", words(panic.as_ref()))));
    let record = measured
        .and_then(|measured: Measured| Ok(measured.record(scenario.name, &cell.to_string(), &matrix.primary)?));
    let mut record = record.unwrap_or_else(|error| match error.downcast_ref::<Wrong>() {
        Some(wrong) => {
            let failure = wrong.proof.failure.clone().or_else(|| Some(wrong.to_string()));
            let proof = record::Proof { failure, ..(*wrong.proof).clone() };
            CellRecord { proof: Some(proof), ran: wrong.ran.clone(), ..empty() }
        }
        None => CellRecord { error: Some(format!("{error:#}")), ..empty() },
    });
    if let Some(proof) = &mut record.proof {
        proof.same_as = matrix.same_output(cell).map(|cell| cell.to_string());
    }
    CellRecord { machine: Some(Fingerprint::collect().class()), ..record }
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it gave no reason")
}

/// Renders rows.
pub(crate) fn report(arguments: &ReportArguments) -> Result<()> {
    let name = arguments.name.as_str();
    let (scenario, matrix) = scenarios::find(name)?;
    let default = || PathBuf::from(scenario::rows_path(&Fingerprint::collect().class(), name));
    let path = arguments.rows.clone().unwrap_or_else(default);
    let rows = jsonl::read::<Row>(&path, SCHEMA)
        .map_err(|error| anyhow!("{error}; `cargo xtask run {name}` measures and keeps rows"))?
        .rows;
    if let Some(other) = rows.iter().find(|row| row.record.scenario != name) {
        bail!("{} holds rows of the scenario `{}`", path.display(), other.record.scenario);
    }
    let results = Results::new(&matrix, &rows).with_context(|| path.display().to_string())?;
    let report = (scenario.report)(&results);
    let text = report.markdown(name, &results);
    if let Some(out) = &arguments.out {
        for figure in &report.figures {
            write(&out.join(figure.file(name)), &figure.svg)?;
        }
        write(&out.join(format!("scenario-{name}.md")), &text)?;
    }
    print::lines([text.trim_end()])
}

fn write(path: &Path, text: &str) -> Result<()> {
    whole_file::replace(path, text.as_bytes()).with_context(|| format!("failed to write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use record::Proof;
    use scenario::Report;

    use super::*;

    const MATRIX: &str =
        "title = 't'\nprimary = 'load_s'\nruns = 1\nlimit_s = 1\n[[axis]]\nname = 'a'\nvalues = [1]\n[smoke]\n[full]\n";

    fn record_of(run: fn(&Cell, Unproved) -> Result<Measured>) -> CellRecord {
        let scenario = Scenario { name: "s", matrix: MATRIX, run, report: Report::plain };
        let matrix = Matrix::parse(MATRIX).unwrap();
        let record = record(&scenario, &matrix, &matrix.level(Level::Smoke)[0]);
        assert_eq!(
            (record.scenario.as_str(), record.cell.as_str(), record.primary.as_deref()),
            ("s", "a=1", Some("load_s"))
        );
        assert!(record.machine.is_some());
        record
    }

    #[test]
    fn a_measured_cell_has_the_peaks_of_its_memory() {
        let record = record_of(|_, unproved| {
            let mut measured = unproved.without_proof("there is nothing to prove");
            drop(std::hint::black_box(vec![1_u8; 32 << 20]));
            measured.seconds("load_s", 1.0);
            Ok(measured)
        });
        assert_eq!(record.fault(), None);
        let peak = record.value(scenario::PEAK_HEAP).unwrap();
        assert!((32..64).contains(&(peak as u64 >> 20)), "{peak}");
    }

    #[test]
    fn whatever_goes_wrong_is_in_the_record() {
        let wrong = record_of(|_, mut unproved| {
            unproved.ran("isa", "avx2");
            Ok(unproved.prove(Proof::new("hash", Some(2.0), 1.0))?)
        });
        assert!(wrong.fault().unwrap().starts_with("wrong output"), "{wrong:?}");
        assert_eq!(
            (wrong.proof.unwrap().error, wrong.ran["isa"].as_str(), wrong.metrics.len()),
            (Some(2.0), "avx2", 0)
        );
        let fault = |run| record_of(run).error.unwrap();
        assert_eq!(fault(|_, _| bail!("no such file")), "no such file");
        assert_eq!(fault(|_, _| panic!("out of luck")), "the cell panicked: out of luck");
        assert!(fault(|_, unproved| Ok(unproved.without_proof("none"))).contains("primary metric `load_s`"));
    }
}
