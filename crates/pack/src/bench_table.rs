//! Baselines of single benches: one JSONL file and one Markdown table for each machine class and package.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context as _, Result};
use compare::comparison::Invocation;
use compare::exit::Exit;
use record::{Align, Table, Unit};
use serde::{Deserialize, Serialize};

use crate::import::Run;
use crate::kind::bench::{BenchResult, PackedBench, read};

/// One benchmark that was measured by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    id: String,
    /// Revision, day and machine.
    made: String,
    #[serde(flatten)]
    result: BenchResult,
}

/// Keeps what a run measured: a benchmark that is known already is replaced, the others stay.
pub(crate) fn import(invocation: &Invocation, root: &Path, packed: &PackedBench, run: &Run) -> Result<Exit> {
    let made = run.made(&packed.state);
    let stem = format!("baselines/{}/bench-{}", run.class(), packed.package);
    let path = root.join(format!("{stem}.jsonl"));
    let mut rows = known(&path)?;
    let mut exit = Exit::Fine;
    for record in &run.records {
        let result = read(&record.result).with_context(|| record.unit.clone())?;
        exit = exit.max(crate::kind::bench::exit(&record.result));
        let row = Row { id: record.unit.clone(), made: made.clone(), result };
        match rows.iter_mut().find(|known| known.id == row.id) {
            Some(known) => *known = row,
            None => rows.push(row),
        }
    }
    let mut lines = String::new();
    for row in &rows {
        lines += &(serde_json::to_string(row)? + "\n");
    }
    for (path, text) in [(path, lines), (root.join(format!("{stem}.md")), table(&packed.package, &rows))] {
        if fs::read_to_string(&path).ok().as_deref() == Some(&text) {
            continue;
        }
        let directory = path.parent().context("the file has no directory")?;
        fs::create_dir_all(directory).with_context(|| format!("failed to make {}", directory.display()))?;
        whole_file::replace(&path, text.as_bytes()).with_context(|| format!("failed to write {}", path.display()))?;
        invocation.console.note(&format!("wrote {}", shown(root, &path)));
    }
    Ok(exit)
}

fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

fn known(path: &Path) -> Result<Vec<Row>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.with_context(|| format!("failed to read {}", path.display()))?,
    };
    let rows: Result<_, _> = text.lines().map(serde_json::from_str).collect();
    rows.with_context(|| format!("{} was written by another version: remove it, or import with that", path.display()))
}

fn table(package: &str, rows: &[Row]) -> String {
    let made: BTreeSet<&str> = rows.iter().map(|row| row.made.as_str()).collect();
    let mut text = format!("# Benchmarks of `{package}`\n\nMeasured alone, by `cargo xtask pack bench {package}`:\n");
    for made in made {
        text += &format!("\n- {made}");
    }
    text += "\n\nTimes are medians of fresh processes, with quartiles. *Of ceiling* is the median share of what the machine \
             reached in the same process. These figures are history: a comparison measures both sides anew.\n\n";
    let right = ["time", "quartiles", "rate", "of ceiling"].map(|name| (name, Align::Right));
    let left = ["proof", "ran"].map(|name| (name, Align::Left));
    let mut table = Table::new([("benchmark", Align::Left)].into_iter().chain(right).chain(left));
    let none = || "-".to_owned();
    for Row { id, result, .. } in rows {
        let Some(figures) = &result.figures else {
            let why = result.why.as_deref().unwrap_or_default().lines().next().unwrap_or_default().to_owned();
            let what = if result.is_wrong { "WRONG OUTPUT" } else { "ERROR" };
            table.row([id.clone(), what.to_owned(), none(), none(), none(), none(), why]);
            continue;
        };
        let scaled = |time: f64| match figures.unit.as_str() {
            "ns" => Unit::Seconds.show(time / 1e9),
            unit => format!("{time:.4} {unit}"),
        };
        let ran = figures.ran.iter().map(|(name, value)| format!("{name} {value}"));
        let share = figures.share.zip(figures.ceiling.as_ref());
        table.row([
            id.clone(),
            figures.shown_time(),
            figures.quartiles.map_or_else(none, |[low, high]| format!("{} .. {}", scaled(low), scaled(high))),
            figures.rate.map_or_else(none, |(rate, unit)| unit.show(rate)),
            share.map_or_else(none, |(share, ceiling)| format!("{:.1} % {ceiling}", 100.0 * share)),
            figures.proof.as_ref().map_or_else(|| "unproved".to_owned(), |proof| proof.method.clone()),
            ran.collect::<Vec<_>>().join(", "),
        ]);
    }
    text + &table.to_string()
}
