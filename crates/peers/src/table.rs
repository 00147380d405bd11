//! The table for people, the rows for programs, and the lines in README.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use machine::fingerprint::Fingerprint;
use record::{Align, Table, Unit};

use crate::goals;
use crate::row::{Outcome, Row};
use crate::suite::{Ceiling, Suite};
use crate::{ROUNDS, SETS};

/// All that is known after the last set.
pub(crate) struct Report<'a> {
    pub(crate) suite: &'a Suite,
    pub(crate) rows: &'a [Row],
    pub(crate) op: &'a str,
    /// Revision, day and machine.
    pub(crate) made: String,
}

impl Report<'_> {
    /// The whole report: a table for each number of threads, what was aimed at, who was who, and a summary; and what people
    /// have written about it in `peers/OP.notes.md`.
    pub(crate) fn markdown(&self, root: &Path) -> Result<String> {
        let Self { suite, rows, op, made } = self;
        let mut text =
            format!("# {}\n\nMade by `cargo xtask peers {op}`: {made}.\n\n{}", suite.title, explanation(suite));
        for &threads in &suite.threads {
            let of_threads: Vec<&Row> = rows.iter().filter(|row| row.threads == threads.get()).collect();
            text += &format!("\n## {}\n\n{}", counted(threads.get()), ratios(&of_threads));
        }
        if !suite.goals.is_empty() {
            text += &format!("\n## Goals\n\n{}", goals::table(suite, rows)?);
        }
        match fs::read_to_string(root.join(format!("peers/{op}.notes.md"))) {
            Ok(notes) => text += &format!("\n## Notes\n\n{}\n", notes.trim()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("failed to read peers/{op}.notes.md")),
        }
        Ok(text + "\n## Who took part\n\n" + &peers(rows) + &notes(rows) + "\n## Summary\n\n" + &summary(rows))
    }

    /// What README shows: the summary, the rows of cases that are marked for it, and what was aimed at.
    fn headline(&self) -> Result<String> {
        let mut text = summary(self.rows);
        let is_shown = |id: &str| self.suite.cases.iter().any(|case| case.headline && case.id == id);
        for &threads in &self.suite.threads {
            let is_of = |row: &&Row| row.threads == threads.get() && is_shown(&row.case);
            let shown: Vec<&Row> = self.rows.iter().filter(is_of).collect();
            if !shown.is_empty() {
                text +=
                    &format!("\nTime of the peer divided by ours, {}:\n\n{}", counted(threads.get()), ratios(&shown));
            }
        }
        if !self.suite.goals.is_empty() {
            text += &format!("\n{}", goals::table(self.suite, self.rows)?);
        }
        Ok(format!("{text}\nMade by `cargo xtask peers {}`: {}.\n", self.op, self.made))
    }

    /// The rows that were kept of this op on a machine of this class, and how they were made.
    pub(crate) fn kept(root: &Path, op: &str) -> Result<(Vec<Row>, String)> {
        let path = file(root, op, "jsonl");
        let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
        let rows: Result<Vec<Row>, _> = text.lines().map(serde_json::from_str).collect();
        let rows = rows.with_context(|| format!("{} is not of this version", path.display()))?;
        let made = rows.first().map(|row| row.made.clone()).unwrap_or_default();
        Ok((rows, made))
    }

    /// Writes table and rows below `baselines/`, and the headline between the op's markers in README, if it has them. Gives
    /// the files.
    pub(crate) fn keep(&self, root: &Path) -> Result<Vec<PathBuf>> {
        let (op, rows) = (self.op, self.rows);
        let (table, data) = (file(root, op, "md"), file(root, op, "jsonl"));
        let directory = table.parent().context("a file has a directory")?;
        fs::create_dir_all(directory).with_context(|| format!("failed to make {}", directory.display()))?;
        let mut lines = String::new();
        for row in rows {
            lines += &serde_json::to_string(&Row { made: self.made.clone(), ..row.clone() })?;
            lines.push('\n');
        }
        let mut files = vec![(table, self.markdown(root)?), (data, lines)];
        let readme = root.join("README.md");
        let text = fs::read_to_string(&readme).with_context(|| format!("failed to read {}", readme.display()))?;
        files.extend(with_summary(&text, &format!("peers {op}"), &self.headline()?)?.map(|text| (readme, text)));
        for (path, text) in &files {
            write(path, text)?;
        }
        Ok(files.into_iter().map(|(path, _)| path).collect())
    }
}

/// A file of the op below `baselines/`.
fn file(root: &Path, op: &str, extension: &str) -> PathBuf {
    root.join("baselines").join(Fingerprint::collect().class()).join(format!("peers-{op}.{extension}"))
}

fn counted(threads: usize) -> String {
    format!("{threads} thread{}", if threads == 1 { "" } else { "s" })
}

fn explanation(suite: &Suite) -> String {
    let has = |ceiling| suite.cases.iter().any(|case| suite.ceiling_of(case) == ceiling);
    let share = match (has(Ceiling::Fma), has(Ceiling::Memory)) {
        (false, false) => "",
        (true, false) => {
            " *Of ceiling* is our share of the multiply-adds that this machine does on registers in the same rounds."
        }
        (false, true) => " *Of ceiling* is our share of what this machine reads from memory in the same rounds.",
        (true, true) => {
            " *Of ceiling* is our share of what this machine does in the same rounds: multiply-adds on registers (FMA), or reading \
             from memory (reads)."
        }
    };
    format!(
        "Time of the peer divided by ours, with its exact 95 % interval: above 1 ours is faster. **Bold** rows are lost: the interval \
         lies below 1. Same bytes for everybody, results compared before anything is timed, {SETS} sets of fresh processes, \
         {ROUNDS} rounds a set in random order, the idle ones stopped. Times are for orientation.{share}\n"
    )
}

fn ratios(rows: &[&Row]) -> String {
    let mut names: Vec<&str> = Vec::new();
    let mut cases: Vec<&str> = Vec::new();
    for row in rows {
        if !names.contains(&row.peer.as_str()) {
            names.push(&row.peer);
        }
        if !cases.contains(&row.case.as_str()) {
            cases.push(&row.case);
        }
    }
    let with_share = rows.iter().any(|row| row.share.is_some());
    let head = [("case", Align::Left), ("ours", Align::Right)].into_iter();
    let head = head.chain(with_share.then_some(("of ceiling", Align::Right)));
    let mut table = Table::new(head.chain(names.iter().map(|&name| (name, Align::Right))));
    for case in cases {
        let of_case: Vec<&&Row> = rows.iter().filter(|row| row.case == case).collect();
        let Some(first) = of_case.first() else { continue };
        let mut cells = vec![case.to_owned(), first.ours_s.map_or("-".to_owned(), |time| Unit::Seconds.show(time))];
        if with_share {
            let of = if first.ceiling == Ceiling::Memory { "reads" } else { "FMA" };
            cells.push(first.share.map_or("-".to_owned(), |share| format!("{:.1} % {of}", share * 100.0)));
        }
        for name in &names {
            cells.push(of_case.iter().find(|row| row.peer == *name).map_or("-".to_owned(), |row| cell(&row.outcome)));
        }
        table.row(cells);
    }
    table.to_string()
}

fn cell(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Timed { ratio, low, high, .. } => {
            let shown = format!("{ratio:.2} ({low:.2} .. {high:.2})");
            if *high < 1.0 { format!("**{shown}**") } else { shown }
        }
        Outcome::Disagrees { .. } => "DISAGREES".to_owned(),
        Outcome::Unsupported { .. } => "no such case".to_owned(),
        Outcome::Error { .. } => "ERROR".to_owned(),
        Outcome::Unavailable { .. } => "not here".to_owned(),
    }
}

fn peers(rows: &[Row]) -> String {
    let mut versions: BTreeMap<(&str, usize), &Row> = BTreeMap::new();
    for row in rows {
        let known = versions.entry((&row.peer, row.threads)).or_insert(row);
        if known.version.is_empty() {
            *known = row;
        }
    }
    let mut table =
        Table::new([("peer", Align::Left), ("threads", Align::Right), ("version and settings", Align::Left)]);
    for ((peer, threads), row) in versions {
        let version = match (&row.outcome, row.version.as_str()) {
            (Outcome::Unavailable { why }, "") => why,
            (_, version) => version,
        };
        table.row([peer, &threads.to_string(), version]);
    }
    table.to_string()
}

/// Why a cell has no ratio.
fn notes(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let why = match &row.outcome {
            Outcome::Disagrees { how } => how,
            Outcome::Unsupported { why } | Outcome::Error { why } => why,
            Outcome::Timed { .. } | Outcome::Unavailable { .. } => continue,
        };
        let line = format!("- {}, {} thread(s), {}: {}\n", row.peer, row.threads, row.case, why.replace('\n', " "));
        text += &line;
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// One line a peer and number of threads: won, even and lost cases, and the middle of the ratios.
fn summary(rows: &[Row]) -> String {
    /// Ratio, and the bounds of its interval.
    type Ratio = (f64, f64, f64);
    let mut by_peer: BTreeMap<(&str, usize), Vec<Ratio>> = BTreeMap::new();
    for row in rows {
        if let Outcome::Timed { ratio, low, high, .. } = row.outcome {
            by_peer.entry((&row.peer, row.threads)).or_default().push((ratio, low, high));
        }
    }
    let columns = ["threads", "cases", "ahead", "even", "behind", "median ratio", "worst"];
    let mut table = Table::new([("peer", Align::Left)].into_iter().chain(columns.map(|name| (name, Align::Right))));
    for ((peer, threads), ratios) in by_peer {
        let middle: Vec<f64> = ratios.iter().map(|ratio| ratio.0).collect();
        let ahead = ratios.iter().filter(|(_, low, _)| *low > 1.0).count();
        let behind = ratios.iter().filter(|(_, _, high)| *high < 1.0).count();
        let worst = middle.iter().copied().fold(f64::INFINITY, f64::min);
        table.row([
            peer.to_owned(),
            threads.to_string(),
            ratios.len().to_string(),
            ahead.to_string(),
            (ratios.len() - ahead - behind).to_string(),
            behind.to_string(),
            record::stats::median(&middle).map_or("-".to_owned(), |median| format!("{median:.2}")),
            format!("{worst:.2}"),
        ]);
    }
    table.to_string()
}

/// README with a summary between the markers of `what`, `peers gemm` for instance; `None` if it has none.
pub(crate) fn with_summary(readme: &str, what: &str, summary: &str) -> Result<Option<String>> {
    let (begin, end) = (format!("<!-- BEGIN: {what} -->\n"), format!("<!-- END: {what} -->"));
    let Some((before, rest)) = readme.split_once(&begin) else {
        return Ok(None);
    };
    let Some((_, after)) = rest.split_once(&end) else {
        bail!("README.md has `{}` but no `{end}` after it", begin.trim_end());
    };
    Ok(Some(format!("{before}{begin}{summary}{end}{after}")))
}

/// Whole or not at all.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let directory = path.parent().context("a file has a directory")?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())
        .with_context(|| format!("failed to write {}; is the disk full?", path.display()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    file.persist(path).with_context(|| format!("failed to write {}", path.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(case: &str, peer: &str, outcome: Outcome) -> Row {
        Row {
            case: case.to_owned(),
            threads: 1,
            peer: peer.to_owned(),
            version: "1.0 (one thread)".to_owned(),
            ran: "avx2".to_owned(),
            ours_ran: "avx512".to_owned(),
            ours_s: Some(1e-3),
            share: None,
            ceiling: Ceiling::None,
            prepare_s: None,
            made: String::new(),
            outcome,
        }
    }

    fn timed(ratio: f64) -> Outcome {
        Outcome::Timed { ratio, low: ratio - 0.1, high: ratio + 0.1, sets: 7, peer_s: 1e-3 }
    }

    #[test]
    fn lost_rows_are_marked_and_all_are_counted() {
        let rows = [
            row("a", "one", timed(1.5)),
            row("a", "two", Outcome::Unavailable { why: "not installed".to_owned() }),
            row("b", "one", timed(0.8)),
            row("b", "two", Outcome::Disagrees { how: "byte 3".to_owned() }),
            row("c", "one", timed(1.05)),
        ];
        let table = ratios(&rows.iter().collect::<Vec<_>>());
        assert!(table.contains("| a    | 1.000 ms |     1.50 (1.40 .. 1.60) |  not here |"), "{table}");
        assert!(table.contains("**0.80 (0.70 .. 0.90)**"), "{table}");
        assert!(notes(&rows).contains("two, 1 thread(s), b: byte 3"));
        let summary = summary(&rows);
        let cells: Vec<&str> = summary.lines().last().unwrap().split('|').map(str::trim).collect();
        assert_eq!(cells[1..9], ["one", "1", "3", "1", "1", "1", "1.05", "0.80"]);
    }

    #[test]
    fn readme_takes_the_summary_between_its_markers() {
        let readme = "a\n<!-- BEGIN: peers gemm -->\nold\n<!-- END: peers gemm -->\nb\n";
        let new = with_summary(readme, "peers gemm", "new\n").unwrap().unwrap();
        assert_eq!(new, "a\n<!-- BEGIN: peers gemm -->\nnew\n<!-- END: peers gemm -->\nb\n");
        assert_eq!(with_summary(readme, "peers quant", "new\n").unwrap(), None);
        assert!(with_summary("<!-- BEGIN: peers gemm -->\n", "peers gemm", "").is_err());
    }
}
