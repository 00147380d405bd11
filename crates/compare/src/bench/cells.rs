//! Scenario cells, run like benchmarks: one process, one number.
//!
//! `assay cells NAME` prints the cells, one a line; `assay cell NAME CELL --out FILE` runs one and writes its record by
//! rename, also on failure. A process that ends without the file has failed: its status and last lines are reported.
//! The number that is compared is the record's cost: the primary metric that the scenario declares. The crate
//! `scenario` documents the grammar; only the record is needed here.

use std::fs;
use std::io::Read;
use std::io::Seek;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use machine::noise;
use record::{BenchRow, CellRecord, OWN_PATH, SCHEMA, State, Unit, Work};

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
            command.args(["cells", scenario, "--own"]).args(set.iter().flat_map(|set| ["--set", set]));
        }
        Selection::Measure { id, .. } => {
            command.args(["cell", scenario, id, "--out"]).arg(&record);
        }
    }
    command.current_dir(&program.directory).env_clear();
    command.envs(program.environment.iter().map(|(key, value)| (key, value)));
    // What a path stands for; the program lists and runs the cells of the value `own`.
    if let Some(path) = set.iter().find_map(|set| own_path(set)) {
        command.env(OWN_PATH, path);
    }
    // A cell that is killed cannot remove what it wrote.
    let temporary = tempfile::tempdir_in(scratch.scratch.path()).context("failed to make a scratch directory")?;
    command.env("TMPDIR", temporary.path());
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(errors.try_clone()?);
    die_with_parent(&mut command);
    let start = Instant::now();
    let mut child = Group::spawn(&mut command)?;
    let mut run = Run::empty();
    run.end = scratch.ended(&mut child, start + timeout, End::Success)?;
    run.seconds = start.elapsed().as_secs_f64();
    run.counters = noise::process_counters(child.id());
    drop(child);
    drop(temporary);
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
        Selection::Measure { id, .. } => take_record(&mut run, (scenario, id), fs::read(&record).ok()),
    }
    Ok(run)
}

/// The path of `AXIS=PATH`, from here: the cells start elsewhere.
fn own_path(set: &str) -> Option<PathBuf> {
    set.split_once('=').and_then(|(_, value)| record::own_path(value))
}

fn id_of(cell: &str) -> RawId {
    RawId { group: cell.to_owned(), function: None, value: None }
}

/// Turns the record into the sample and the row that a proved bench would have given.
fn take_record(run: &mut Run, (scenario, cell): (&str, &str), bytes: Option<Vec<u8>>) {
    let Some(bytes) = bytes else {
        if run.end == End::Success {
            run.end = End::Failed("it left no record".to_owned());
        }
        return;
    };
    let record = match CellRecord::read(&bytes, scenario, cell, None) {
        Ok(record) => record,
        Err(error) => {
            run.end = End::Failed(error.to_string());
            return;
        }
    };
    if let Some(error) = &record.error {
        run.end = End::Failed(error.clone());
        return;
    }
    let failed = record.is_wrong();
    // A record that is not wrong has one: the reader asked for it.
    if let Some((cost, unit)) = record.cost() {
        run.samples.push(sample(cell, cost, unit));
    }
    let ceiling = record.ceilings.first();
    run.rows.push(BenchRow {
        schema: SCHEMA,
        state: if failed { State::Failed } else { State::Proved },
        group: cell.to_owned(),
        function: None,
        value: None,
        tier: 1,
        source: None,
        rate_per_s: ceiling.and_then(|ceiling| record.value(&ceiling.metric)),
        ceiling: ceiling.map(|ceiling| ceiling.ceiling.clone()),
        peak_rss_bytes: record.value("peak_rss_bytes").map(|bytes| bytes as u64),
        proof: record.proof,
        ran: record.ran,
        work: Work::default(),
        allocations: None,
    });
}

/// The cost as a criterion program would report it: times in nanoseconds, anything else in its own unit.
fn sample(cell: &str, cost: f64, unit: Unit) -> Samples {
    let (scale, unit) = match unit {
        Unit::Seconds => (1e9, "ns"),
        Unit::Ratio => (1.0, "(ratio)"),
        Unit::Count => (1.0, "(count)"),
        other => (1.0, other.symbol()),
    };
    Samples {
        id: id_of(cell),
        iters: vec![1.0],
        times: vec![scale * cost],
        throughput: None,
        measurement_s: None,
        unit: unit.to_owned(),
    }
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
if [ "$1" = cells ]; then
    [ "$3" = --own ] || exit 1
    printf 'size=1\nsize=2\nsize=3\nsize=4\nsize=5\nsize=6\n'
    exit 0
fi
record() { printf '{"schema":1,"scenario":"s","cell":"%s",%s}' "$1" "$2" > "$3"; }
metric() { printf '{"name":"%s","value":%s,"unit":"%s","direction":"%s","n":1,"low":null,"high":null}' "$@"; }
load=$(metric load_s 9 seconds lower_is_better)
read='{"name":"read","unit":"bytes_per_second","bursts_per_s":8,"best_per_s":9,"n":2}'
ceiling='{"metric":"read_per_s","ceiling":'"$read"'}'
prefill=$(metric prefill_s 0.5 seconds lower_is_better)
rate=$(metric read_per_s 4 bytes_per_second higher_is_better)
case $3 in
size=1) record $3 '"primary":"prefill_s","metrics":['"$load,$prefill"'],"ran":{"isa":"avx2"}' "$5" ;;
size=2) record $3 '"error":"no such file"' "$5"; exit 1 ;;
size=3) echo boom >&2; touch $TMPDIR/left; exit 9 ;;
size=4) record $3 '"primary":"read_per_s","metrics":['"$rate"'],"ceilings":['"$ceiling]" "$5" ;;
size=5) record $3 '"primary":"kept_bytes","metrics":['"$(metric kept_bytes 64 bytes lower_is_better)"']' "$5" ;;
size=6) record $3 '"primary":"prefill_s","metrics":['"$load]" "$5" ;;
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
        let run = scratch.run(&program, selection, &[], Duration::from_secs(30)).unwrap();
        let mut entries = fs::read_dir(scratch.scratch.path()).unwrap();
        assert!(entries.all(|entry| entry.unwrap().path().is_file()), "a temporary directory is left");
        run
    }

    fn measured(id: &str) -> Run {
        ran(&Selection::Measure { id, settings: Settings::STANDARD, version: None })
    }

    #[test]
    fn cells_are_listed_and_measured() {
        let listed: Vec<String> = ran(&Selection::List).listed.iter().map(RawId::full).collect();
        assert_eq!(listed, ["size=1", "size=2", "size=3", "size=4", "size=5", "size=6"]);
        let run = measured("size=1");
        assert_eq!((run.end, run.samples[0].times.as_slice()), (End::Success, [5e8].as_slice()));
        assert_eq!(run.rows[0].ran["isa"], "avx2");
    }

    #[test]
    fn the_primary_metric_counts_in_its_own_unit_and_rates_as_times() {
        let run = measured("size=4");
        assert_eq!((run.samples[0].times[0], run.samples[0].unit.as_str()), (2.5e8, "ns"));
        assert_eq!((run.rows[0].rate_per_s, run.rows[0].share_of_ceiling()), (Some(4.0), Some(0.5)));
        let run = measured("size=5");
        assert_eq!((run.samples[0].times[0], run.samples[0].unit.as_str()), (64.0, "B"));
        let End::Failed(why) = measured("size=6").end else { panic!("another metric is not the primary one") };
        assert!(why.contains("prefill_s"), "{why}");
    }

    #[test]
    fn a_path_is_given_from_where_the_command_was_started() {
        assert_eq!(own_path("model=./m.gguf"), Some(std::env::current_dir().unwrap().join("m.gguf")));
        assert_eq!(own_path("model=/data/m.gguf"), Some("/data/m.gguf".into()));
        assert_eq!(own_path("model=small"), None);
    }

    #[test]
    fn a_failed_cell_reports_why_with_and_without_a_record() {
        assert_eq!(measured("size=2").end, End::Failed("no such file".to_owned()));
        let run = measured("size=3");
        assert_eq!((run.end, run.tail.as_str()), (End::Failed("exit status: 9".to_owned()), "boom"));
    }
}
