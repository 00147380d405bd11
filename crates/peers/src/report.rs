//! Renders rows as Markdown: ratios, goals, peers and a summary.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context as _, Result};
use record::{Align, Table, Unit};

use crate::ceiling::Ceiling;
use crate::goals;
use crate::row::{Outcome, Row};
use crate::store;
use crate::suite::Suite;
use crate::{ENOUGH, ROUNDS, SETS};

/// All rows of an op on one machine class.
pub(crate) struct Report<'a> {
    pub(crate) suite: &'a Suite,
    pub(crate) rows: &'a [Row],
    pub(crate) op: &'a str,
    /// Machine class.
    pub(crate) class: &'a str,
    /// Revision, day and machine.
    pub(crate) made: &'a str,
    /// Whether it is a part of a table, of rows that each say where they come from.
    pub(crate) is_part: bool,
}

impl Report<'_> {
    /// The rows as lines of their file.
    pub(crate) fn lines(&self) -> Result<String> {
        let mut lines = String::new();
        for row in self.rows {
            let made = if self.is_part { &row.made } else { self.made };
            lines += &serde_json::to_string(&Row { made: made.to_owned(), ..row.clone() })?;
            lines.push('\n');
        }
        Ok(lines)
    }

    /// What stands for the op in the paths of its files.
    pub(crate) fn stem(&self) -> String {
        if self.is_part { store::part(self.op) } else { self.op.to_owned() }
    }

    /// Where the rows come from.
    fn origin(&self) -> String {
        let Self { rows, op, made, .. } = self;
        if !self.is_part {
            return format!("Made by `cargo xtask peers {op}`: {made}.");
        }
        let mut text = format!("Parts of the table of `cargo xtask peers {op}`:\n");
        let mut said: Vec<&str> = Vec::new();
        for row in rows.iter() {
            if !said.contains(&row.made.as_str()) {
                said.push(&row.made);
                text += &format!("\n- {}", row.made);
            }
        }
        text
    }

    /// The whole report: a table for each number of threads, goals, the notes of `peers/OP.notes.md`, versions, and a
    /// summary.
    pub(crate) fn markdown(&self, root: &Path) -> Result<String> {
        let Self { suite, rows, op, .. } = self;
        let mut text = format!("# {}\n\n{}\n\n{}", suite.title, self.origin(), explanation(rows));
        for threads in threads_of(rows) {
            let of_threads: Vec<&Row> = rows.iter().filter(|row| row.threads == threads).collect();
            text += &format!("\n## {}\n\n{}", counted(threads), ratios(&of_threads));
        }
        if !suite.goals.is_empty() {
            text += &format!("\n## Goals\n\n{}", goals::table(suite, rows)?);
        }
        match fs::read_to_string(root.join(format!("peers/{op}.notes.md"))) {
            // They are about a whole table.
            Ok(_) if self.is_part => {}
            Ok(notes) => text += &format!("\n## Notes\n\n{}\n", notes.trim()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("failed to read peers/{op}.notes.md")),
        }
        Ok(text + "\n## Peers\n\n" + &peers(rows) + &notes(rows) + "\n## Summary\n\n" + &summary(rows))
    }

    /// The sections of the op's page in `docs/results/`: the summary, the headline rows and the goals.
    pub(crate) fn sections(&self) -> Result<String> {
        let mut text = format!("## Summary\n\n{}", summary(self.rows));
        for threads in threads_of(self.rows) {
            let is_shown = |row: &&Row| row.threads == threads && self.suite.headline.contains(&row.case);
            let shown: Vec<&Row> = self.rows.iter().filter(is_shown).collect();
            if !shown.is_empty() {
                text += &format!("\n## Selected cases, {}\n\n{}", counted(threads), ratios(&shown));
            }
        }
        if !self.suite.goals.is_empty() {
            text += &format!("\n## Goals\n\n{}", goals::table(self.suite, self.rows)?);
        }
        Ok(text)
    }
}

/// The numbers of threads that the rows have, sorted.
fn threads_of(rows: &[Row]) -> BTreeSet<usize> {
    rows.iter().map(|row| row.threads).collect()
}

/// "2 threads".
pub(crate) fn counted(threads: usize) -> String {
    format!("{threads} thread{}", if threads == 1 { "" } else { "s" })
}

/// How to read the ratios.
pub(crate) fn explanation(rows: &[Row]) -> String {
    let has = |ceiling: &Ceiling| rows.iter().any(|row| row.believable_share().is_some() && row.ceiling == *ceiling);
    let ceilings = [Ceiling::Fma, Ceiling::Dot8, Ceiling::Tiles, Ceiling::Memory, Ceiling::Reads]
        .into_iter()
        .filter(has)
        .map(Ceiling::words);
    let ceilings = ceilings.collect::<Vec<_>>().join(", or ");
    let share = match ceilings.as_str() {
        "" => String::new(),
        ceilings => {
            format!(" *Of ceiling* is our rate as a share of what this machine reaches in the same rounds: {ceilings}.")
        }
    };
    format!(
        "Time of the peer divided by ours, with its exact 95 % interval: above 1 ours is faster. Rows in **bold** are lost: the \
         whole interval lies below 1. All implementations read the same bytes, and their results are compared before anything is \
         timed: {SETS} sets of fresh processes, {ROUNDS} rounds a set in random order (fewer after {} s), idle \
         processes stopped.{share}\n",
        ENOUGH.as_secs()
    )
}

/// A line for each case, a column for each peer.
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
    let with_share = rows.iter().any(|row| row.believable_share().is_some());
    let head = [("case", Align::Left), ("ours", Align::Right)].into_iter();
    let head = head.chain(with_share.then_some(("of ceiling", Align::Right)));
    let mut table = Table::new(head.chain(names.iter().map(|&name| (name, Align::Right))));
    for case in cases {
        let of_case: Vec<&&Row> = rows.iter().filter(|row| row.case == case).collect();
        let Some(first) = of_case.first() else { continue };
        let mut cells = vec![case.to_owned(), first.ours_s.map_or("-".to_owned(), |time| Unit::Seconds.show(time))];
        if with_share {
            let of = |share| format!("{:.1} % {}", share * 100.0, first.ceiling.name());
            cells.push(first.believable_share().map_or("-".to_owned(), of));
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
        Outcome::Unsupported { .. } => "unsupported".to_owned(),
        Outcome::Error { .. } => "ERROR".to_owned(),
        Outcome::Unavailable { .. } => "not available".to_owned(),
    }
}

/// Version and settings of each peer.
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

/// The reason of each cell without a ratio, except for peers that are not available.
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

/// One line for each peer and number of threads: cases won, even and lost, the median ratio and the worst.
pub(crate) fn summary(rows: &[Row]) -> String {
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
        assert!(table.contains("| a    | 1.000 ms |     1.50 (1.40 .. 1.60) | not available |"), "{table}");
        assert!(table.contains("**0.80 (0.70 .. 0.90)**"), "{table}");
        assert!(notes(&rows).contains("two, 1 thread(s), b: byte 3"));
        let summary = summary(&rows);
        let cells: Vec<&str> = summary.lines().last().unwrap().split('|').map(str::trim).collect();
        assert_eq!(cells[1..9], ["one", "1", "3", "1", "1", "1", "1.05", "0.80"]);
    }
}
