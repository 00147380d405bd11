//! `cargo xtask charts`: tables and charts in `docs/results/`, drawn from `baselines/` alone.
//!
//! All of them show one machine class, which `docs/results/README.md` names; nothing is drawn from two. The same data
//! give the same bytes, so that [`check`] finds a committed file that its data do not draw.

mod agreement;
mod class;
mod page;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use compare::comparison::Invocation;
use compare::exit::{Exit, usage};

pub(crate) use agreement::agreement_path;

use crate::figures;
use crate::row::Row;
use crate::store;
use crate::suite::{self, Suite};
use page::Absent;

const DIRECTORY: &str = "docs/results";

/// `charts`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Machine class below baselines/; by default the newest that has a table of every op
    #[arg(long)]
    class: Option<String>,
}

/// A file in `docs/results/` that its data do not draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Path from the root of the workspace.
    pub file: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// An op with its kept rows.
pub(crate) struct Measured {
    pub(crate) op: String,
    pub(crate) suite: Suite,
    pub(crate) rows: Vec<Row>,
}

impl Measured {
    /// "revision 1a2b3c, 2026-11-22": what the line says about revision and day.
    pub(crate) fn revision(&self) -> &str {
        let made = store::made(&self.rows);
        class::day(made).and_then(|day| made.find(day).map(|at| &made[..at + day.len()])).unwrap_or(made)
    }
}

/// Runs `charts`.
///
/// # Errors
/// No class has a table, `--class` has none, or a file of the workspace cannot be read or written.
pub fn charts(invocation: &Invocation, root: &Path, arguments: &Arguments) -> Result<Exit> {
    let ops = suite::ops(root)?;
    let class = match &arguments.class {
        Some(class) if store::classes(root)?.contains(class) => class.clone(),
        Some(class) => {
            let classes = store::classes(root)?.join(", ");
            return Err(usage(format!("--class {class}: baselines/ has {classes}")));
        }
        None => class::newest(root, &ops)?.context("baselines/ has no table: run `cargo xtask peers OP`")?,
    };
    for path in write(root, &class)? {
        invocation.console.print(&path)?;
    }
    Ok(Exit::Fine)
}

/// Draws `docs/results/` again for the class that it shows. Gives the paths of the files that changed.
pub(crate) fn refresh(root: &Path) -> Result<Vec<String>> {
    match shown_class(root)? {
        Some(class) => write(root, &class),
        None => Ok(Vec::new()),
    }
}

/// Every file in `docs/results/` that differs from what its data draw, is missing, or is not drawn at all.
///
/// # Errors
/// A file that cannot be read, or data of another version.
pub fn check(root: &Path) -> Result<Vec<Fault>> {
    let Some(class) = shown_class(root)? else { return Ok(Vec::new()) };
    let drawn = draw(root, &class)?;
    let mut faults = Vec::new();
    for (file, text) in &drawn {
        let message = match store::read(root, file)? {
            Some(kept) if kept == *text => continue,
            Some(_) => "differs from what baselines/ and peers/ draw",
            None => "is missing",
        };
        let message = format!("{message}: run `cargo xtask charts --class {class}`");
        faults.push(Fault { file: file.clone(), message });
    }
    for file in files(root)?.into_iter().filter(|file| !drawn.contains_key(file)) {
        faults.push(Fault { file, message: "is drawn from nothing: remove it".to_owned() });
    }
    Ok(faults)
}

/// The class that `docs/results/` shows; `None` if nothing was drawn yet.
fn shown_class(root: &Path) -> Result<Option<String>> {
    let index = store::read(root, &format!("{DIRECTORY}/README.md"))?;
    Ok(index.as_deref().and_then(page::class_of_index).map(str::to_owned))
}

/// Paths of all files in `docs/results/`.
fn files(root: &Path) -> Result<Vec<String>> {
    let directory = root.join(DIRECTORY);
    let mut files = Vec::new();
    if directory.exists() {
        for entry in fs::read_dir(directory).context("failed to list docs/results/")? {
            files.push(format!("{DIRECTORY}/{}", entry?.file_name().to_string_lossy()));
        }
    }
    files.sort();
    Ok(files)
}

/// Writes what changed, removes what is no longer drawn, and gives the paths of both.
fn write(root: &Path, class: &str) -> Result<Vec<String>> {
    let drawn = draw(root, class)?;
    let mut changed = Vec::new();
    for (file, text) in &drawn {
        if store::read(root, file)?.as_ref() != Some(text) {
            store::write(root, file, text)?;
            changed.push(file.clone());
        }
    }
    for file in files(root)?.into_iter().filter(|file| !drawn.contains_key(file)) {
        fs::remove_file(root.join(&file)).with_context(|| format!("failed to remove {file}"))?;
        changed.push(file);
    }
    Ok(changed)
}

/// Path and text of every file.
fn draw(root: &Path, class: &str) -> Result<BTreeMap<String, String>> {
    let mut measured = Vec::new();
    let mut absent = Vec::new();
    for op in suite::ops(root)? {
        let suite = Suite::read(root, &op)?;
        match store::rows(root, class, &op)? {
            Some(rows) => measured.push(Measured { op, suite, rows }),
            None => absent.push(Absent { elsewhere: class::newest(root, std::slice::from_ref(&op))?, op }),
        }
    }
    let mut drawn = BTreeMap::new();
    let mut put = |name: &str, text: String| drawn.insert(format!("{DIRECTORY}/{name}"), text);
    put("peers.svg", figures::ratios(&measured, class));
    for of_op in &measured {
        let mut names = Vec::new();
        for chart in &of_op.suite.charts {
            let name = format!("{}-{}.svg", of_op.op, chart.name());
            put(&name, figures::chart(of_op, chart, class)?);
            names.push((name, chart.title()));
        }
        let agreement = agreement::read(root, &of_op.op)?;
        put(&format!("{}.md", of_op.op), page::of_op(of_op, class, &names, agreement.as_ref())?);
    }
    put("README.md", page::index(&measured, &absent, class));
    Ok(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUITE: &str = "title = 'Sums'\nthreads = [1]\nheadline = ['a']\n[[peer]]\nname = 'other'\ndir = 'other'\ncommand = ['x']\n\
        [[case]]\nid = 'a'\nparams = {}\n";

    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let row = |ratio: f64| {
            format!(
                r#"{{"case":"a","threads":1,"peer":"other","version":"1","ran":"","ours_ran":"","ours_s":0.5,"share":null,"prepare_s":null,"outcome":{{"outcome":"timed","ratio":{ratio},"low":{},"high":{},"sets":7,"peer_s":1.0}},"made":"revision 1a2b3c, 2026-11-22, a machine"}}"#,
                ratio - 0.1,
                ratio + 0.1
            )
        };
        store::write(root.path(), "peers/sum.toml", SUITE).unwrap();
        store::write(root.path(), "baselines/one/peers-sum.jsonl", &(row(0.5) + "\n")).unwrap();
        store::write(root.path(), "baselines/two/peers-sum.jsonl", &(row(2.0) + "\n")).unwrap();
        root
    }

    #[test]
    fn what_is_drawn_passes_and_every_change_is_found() {
        let root = root();
        let root = root.path();
        assert_eq!(check(root).unwrap(), [], "nothing was drawn yet");
        assert_eq!(write(root, "one").unwrap().len(), 3);
        assert_eq!(check(root).unwrap(), []);
        assert_eq!(write(root, "one").unwrap(), Vec::<String>::new(), "equal data draw equal bytes");
        let chart = store::read(root, "docs/results/peers.svg").unwrap().unwrap();
        assert!(chart.contains("one") && chart.contains("revision 1a2b3c, 2026-11-22") && chart.contains("▲ 1 of 1"));

        store::write(root, "docs/results/peers.svg", &chart.replace("0.5", "0.6")).unwrap();
        store::write(root, "docs/results/old.svg", "").unwrap();
        fs::remove_file(root.join("docs/results/sum.md")).unwrap();
        let faults: Vec<String> =
            check(root).unwrap().into_iter().map(|fault| fault.file + " " + &fault.message).collect();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults[0].starts_with("docs/results/peers.svg differs"), "{faults:?}");
        assert!(faults[1].starts_with("docs/results/sum.md is missing"), "{faults:?}");
        assert!(faults[2].starts_with("docs/results/old.svg is drawn from nothing"), "{faults:?}");
    }

    #[test]
    fn an_op_that_was_measured_on_another_class_is_linked() {
        let root = root();
        let root = root.path();
        store::write(root, "peers/other.toml", SUITE).unwrap();
        store::write(root, "peers/never.toml", SUITE).unwrap();
        let rows = store::read(root, "baselines/two/peers-sum.jsonl").unwrap().unwrap();
        store::write(root, "baselines/two/peers-other.jsonl", &rows).unwrap();
        write(root, "one").unwrap();
        let index = store::read(root, "docs/results/README.md").unwrap().unwrap();
        assert!(
            index.contains("class `two` alone") && index.contains("(../../baselines/two/peers-other.md)"),
            "{index}"
        );
        assert!(index.contains("| never") && !index.contains("peers-never"), "{index}");
    }

    #[test]
    fn new_data_of_the_shown_class_are_a_fault_and_of_another_are_not() {
        let root = root();
        let root = root.path();
        write(root, "one").unwrap();
        let path = |class: &str| format!("baselines/{class}/peers-sum.jsonl");
        for (class, faults) in [("two", 0), ("one", 3)] {
            let text = store::read(root, &path(class)).unwrap().unwrap();
            store::write(root, &path(class), &text.replace("11-22", "11-23")).unwrap();
            assert_eq!(check(root).unwrap().len(), faults, "{class}");
        }
        assert_eq!(refresh(root).unwrap().len(), 3);
        assert_eq!(check(root).unwrap(), []);
    }
}
