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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(id: &str, result: serde_json::Value) -> Row {
        Row { id: id.to_owned(), made: "revision 1a, today".to_owned(), result: read(&result).unwrap() }
    }

    #[test]
    fn figures_errors_and_wrong_outputs_have_a_line_each() {
        let figures = json!({
            "time": 2e6, "unit": "ns", "quartiles": [1e6, 3e6], "n": 6, "share": 0.5, "ceiling": "FMA", "rate": null,
            "peak_rss_bytes": null, "allocations": null, "ran": {"kernel": "wgpu"}, "proof": null,
        });
        let failed = |why: &str, is_wrong: bool| json!({"tier": 1, "figures": null, "times": [], "why": why, "is_wrong": is_wrong});
        let measured = json!({"tier": 1, "figures": figures, "times": [2e6], "why": null, "is_wrong": false});
        let rows =
            [row("a", measured.clone()), row("b", failed("no adapter\nmore", false)), row("c", failed("1 != 2", true))];
        let table = table("x", &rows);
        let cells = |id: &str| -> Vec<String> {
            let line = table.lines().find(|line| line.starts_with(&format!("| {id} "))).unwrap();
            line.split('|').map(|cell| cell.trim().to_owned()).collect()
        };
        let shown = ["a", "2.000 ms", "1.000 ms .. 3.000 ms", "-", "50.0 % FMA", "unproved", "kernel wgpu"];
        assert_eq!(cells("a")[1..8], shown);
        assert_eq!((cells("b")[2].as_str(), cells("b")[7].as_str()), ("ERROR", "no adapter"));
        assert_eq!((cells("c")[2].as_str(), cells("c")[7].as_str()), ("WRONG OUTPUT", "1 != 2"));
        assert!(table.contains("- revision 1a, today\n"), "{table}");
        let codes = [&measured, &failed("x", false), &failed("x", true)].map(crate::kind::bench::exit);
        assert_eq!(codes, [Exit::Fine, Exit::Failure, Exit::Invalid]);
        let both = json!({"tier": 1, "figures": figures, "times": [], "why": "x", "is_wrong": false});
        assert!(read(&both).is_err(), "a benchmark has figures or a reason");
    }
}
