//! Scenario cells, run like benchmarks: one process, one number.
//!
//! `assay cells NAME` prints the cells, one a line; `assay cell NAME CELL --out FILE` runs one and writes its record by
//! rename, also on failure. A process that ends without the file has failed: its status and last lines are reported.

use std::fs;
use std::io::Read;
use std::io::Seek;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use machine::noise;
use record::{BenchRow, CellRecord, SCHEMA, State, Work};

use super::process::{End, Program, Run, ScratchDir};
use super::protocol::{RawId, Samples};
use super::request::Selection;
use crate::child::{Group, die_with_parent, last_lines};

/// Runs the program once, to list or to measure.
pub(super) fn run(
    scratch: &ScratchDir,
    program: &Program,
    (scenario, set): (&str, &[String]),
    selection: &Selection<'_>,
    timeout: Duration,
) -> Result<Run> {
    let record = scratch.scratch.path().join("cell.json");
    let _ = fs::remove_file(&record);
    let mut output = tempfile::tempfile_in(scratch.scratch.path()).context("failed to make a scratch file")?;
    let errors = tempfile::tempfile_in(scratch.scratch.path()).context("failed to make a scratch file")?;
    let mut command = Command::new(&program.executable);
    match selection {
        Selection::List => {
            command.args(["cells", scenario]).args(set.iter().flat_map(|set| ["--set", set]));
        }
        Selection::Measure { id, .. } => {
            command.args(["cell", scenario, id, "--out"]).arg(&record);
        }
    }
    command.current_dir(&program.directory).env_clear();
    command.envs(program.environment.iter().map(|(key, value)| (key, value)));
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(errors.try_clone()?);
    die_with_parent(&mut command);
    let start = Instant::now();
    let mut child = Group::spawn(&mut command)?;
    let mut run = Run::empty();
    run.end = scratch.ended(&mut child, start + timeout, End::Success)?;
    run.seconds = start.elapsed().as_secs_f64();
    run.counters = noise::process_counters(child.id());
    drop(child);
    let mut errors = errors;
    run.tail = last_lines(&mut errors)?;
    match selection {
        Selection::List if run.end == End::Success => {
            let mut text = String::new();
            output.rewind()?;
            output.read_to_string(&mut text).context("the list of cells is not UTF-8")?;
            run.listed = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(id_of).collect();
        }
        Selection::List => {}
        Selection::Measure { id, .. } => take_record(&mut run, id, fs::read(&record).ok()),
    }
    Ok(run)
}

fn id_of(cell: &str) -> RawId {
    RawId { group: cell.to_owned(), function: None, value: None }
}

/// Turns the record into the sample and the row that a proved bench would have given.
fn take_record(run: &mut Run, cell: &str, bytes: Option<Vec<u8>>) {
    let record = bytes.and_then(|bytes| serde_json::from_slice::<CellRecord>(&bytes).ok());
    let Some(record) = record.filter(|record| record.schema <= SCHEMA) else {
        if run.end == End::Success {
            run.end = End::Failed("it left no record".to_owned());
        }
        return;
    };
    if let Some(error) = &record.error {
        run.end = End::Failed(error.clone());
        return;
    }
    let failed = record.proof.as_ref().is_some_and(|proof| proof.failure.is_some());
    if let Some(time_s) = record.time_s() {
        let (iters, times) = (vec![1.0], vec![1e9 * time_s]);
        run.samples.push(Samples {
            id: id_of(cell),
            iters,
            times,
            throughput: None,
            measurement_s: None,
            unit: "ns".to_owned(),
        });
    }
    let peak = record.metrics.iter().find(|metric| metric.name == "peak_rss_bytes").and_then(|metric| metric.value);
    run.rows.push(BenchRow {
        schema: SCHEMA,
        state: if failed { State::Failed } else { State::Proved },
        group: cell.to_owned(),
        function: None,
        value: None,
        tier: 1,
        source: None,
        proof: record.proof,
        ran: record.ran,
        work: Work::default(),
        ceiling: None,
        rate_per_s: None,
        allocations: None,
        peak_rss_bytes: peak.map(|bytes| bytes as u64),
    });
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::process::Protocol;
    use super::super::request::Settings;
    use super::*;
    use crate::command::Interrupt;
    use std::os::unix::fs::PermissionsExt;

    /// A program `assay` in a few lines of shell.
    const PROGRAM: &str = r#"#!/bin/sh
if [ "$1" = cells ]; then printf 'size=1\nsize=2\nsize=3\n'; exit 0; fi
case $3 in
size=1) printf '{"schema":1,"scenario":"s","cell":"size=1","metrics":[{"name":"prefill_s","value":0.5,"unit":"seconds","direction":"lower_is_better","n":1,"low":null,"high":null}],"proof":null,"ran":{"isa":"avx2"},"error":null}' > "$5" ;;
size=2) printf '{"schema":1,"scenario":"s","cell":"size=2","metrics":[],"proof":null,"ran":{},"error":"no such file"}' > "$5"; exit 1 ;;
*) echo boom >&2; exit 9 ;;
esac
"#;

    fn ran(selection: &Selection<'_>) -> Run {
        let directory = tempfile::tempdir().unwrap();
        let executable = directory.path().join("assay");
        fs::write(&executable, PROGRAM).unwrap();
        fs::set_permissions(&executable, PermissionsExt::from_mode(0o755)).unwrap();
        let program = Program {
            protocol: Protocol::Cells { scenario: "s".into(), set: vec!["size=1".into()] },
            executable,
            processor: None,
            directory: directory.path().to_owned(),
            environment: Vec::new(),
        };
        let scratch = ScratchDir::new(directory.path(), Interrupt::default()).unwrap();
        scratch.run(&program, selection, &[], Duration::from_secs(30)).unwrap()
    }

    fn measured(id: &str) -> Run {
        ran(&Selection::Measure { id, settings: Settings::STANDARD, version: None })
    }

    #[test]
    fn cells_are_listed_and_measured() {
        let listed: Vec<String> = ran(&Selection::List).listed.iter().map(RawId::full).collect();
        assert_eq!(listed, ["size=1", "size=2", "size=3"]);
        let run = measured("size=1");
        assert_eq!((run.end, run.samples[0].times.as_slice()), (End::Success, [5e8].as_slice()));
        assert_eq!(run.rows[0].ran["isa"], "avx2");
    }

    #[test]
    fn a_failed_cell_reports_why_with_and_without_a_record() {
        assert_eq!(measured("size=2").end, End::Failed("no such file".to_owned()));
        let run = measured("size=3");
        assert_eq!((run.end, run.tail.as_str()), (End::Failed("exit status: 9".to_owned()), "boom"));
    }
}
