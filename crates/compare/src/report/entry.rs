//! A finished comparison: the unit that is printed, logged and checked.

use machine::Fingerprint;
use serde::{Deserialize, Serialize};

use super::row::{Fault, Row};
use crate::exit::Exit;
use crate::judge::Verdict;

/// Version of the data.
pub const SCHEMA: u32 = 1;
/// Form of the text that new entries take in the log. Forms ever used stay renderable (`super::markdown`).
pub const RENDER: u32 = 2;

/// A side's revision as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Commit id.
    pub commit: String,
    /// Short id and subject.
    pub label: String,
    /// Whether it is a snapshot of uncommitted work.
    pub dirty: bool,
    /// First line of `rustc --version` that built it.
    pub rustc: String,
}

/// How the numbers came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Method {
    /// Blocks per benchmark of the stage that tests.
    pub blocks: usize,
    /// Blocks of a screen, if there was one.
    pub screen_blocks: Option<usize>,
    /// Layouts per side; 1 is a single link.
    pub links: usize,
    /// Benchmarks in the family that Holm corrects for.
    pub family: usize,
    /// Warm-up of each process. Seconds.
    pub warm_up_s: f64,
    /// Aim of each process's measurement. Seconds.
    pub measurement_s: f64,
    /// Seed of the schedule.
    pub seed: u64,
    /// Blocks that were measured again because the machine was disturbed.
    pub discarded: usize,
    /// Blocks that count although it was.
    pub disturbed: usize,
    /// Smallest p that this number of blocks can attain.
    pub smallest_p: f64,
}

/// What a run found against one more base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Against {
    /// Before.
    pub base: Revision,
    /// The benchmarks.
    pub rows: Vec<Row>,
}

/// A finished comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// See [`RENDER`].
    pub render: u32,
    /// Unique name of the entry.
    pub id: String,
    /// Group in the log.
    pub title: String,
    /// What changed, in the user's words.
    pub change: String,
    /// When it ended, UTC, as in `2026-01-31 12:34:56`.
    pub at: String,
    /// Machine class.
    pub machine_class: String,
    /// The machine.
    pub fingerprint: Fingerprint,
    /// Before; `None` for the first entry under a title.
    pub base: Option<Revision>,
    /// Further bases that the same run compared the head with. They decide no exit code, and an entry of the log has
    /// none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Against>,
    /// After.
    pub head: Revision,
    /// How it was measured; `None` if nothing had to be.
    pub method: Option<Method>,
    /// The benchmarks.
    pub rows: Vec<Row>,
    /// Remarks.
    pub notes: Vec<String>,
    /// Whether the run's own null control fired, or contamination passed its bound: then there is no verdict.
    pub contaminated: Option<String>,
    /// Time spent measuring. Seconds.
    pub measured_s: f64,
    /// The command that repeats it.
    pub command: String,
}

impl Revision {
    /// The first word of the label: the short id, or the name by which the user asked for the revision.
    pub fn name(&self) -> &str {
        self.label.split(' ').next().unwrap_or_default()
    }
}

impl Entry {
    /// The entry as one comparison for each base: the first base, then the others.
    pub fn comparisons(&self) -> Vec<Entry> {
        let first = Entry { others: Vec::new(), ..self.clone() };
        let other =
            |against: &Against| Entry { base: Some(against.base.clone()), rows: against.rows.clone(), ..first.clone() };
        let others: Vec<Entry> = self.others.iter().map(other).collect();
        std::iter::once(first).chain(others).collect()
    }

    /// Whether something should have been measured and nothing was: every row is trouble that both sides have or that
    /// is the target's own. Each alone is no reason to fail, but all together leave nothing that could pass.
    pub fn is_all_trouble(&self) -> bool {
        let is_trouble = |row: &Row| {
            matches!(row.verdict, Verdict::Invalid | Verdict::Timeout) && !matches!(row.fault, Some(Fault::Base))
        };
        let has_nothing = |row: &Row| is_trouble(row) || row.verdict == Verdict::Skipped;
        self.rows.iter().any(is_trouble) && self.rows.iter().all(has_nothing)
    }

    /// What the command ends with. A contaminated run blocks nobody for being slow, but wrong output stays wrong.
    pub fn exit(&self) -> Exit {
        let rows = self.rows.iter().map(Row::exit).fold(Exit::Fine, Exit::max);
        let rows = if self.is_all_trouble() { rows.max(Exit::Invalid) } else { rows };
        match (&self.contaminated, rows) {
            (Some(_), Exit::Fine | Exit::Regression) => Exit::NoVerdict,
            _ => rows,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::bench::{Key, RawId};
    use crate::judge::{Margin, confirmed};

    /// A small entry with one row of each important kind, for tests.
    pub(crate) fn example() -> Entry {
        let key = |group: &str| Key {
            package: "p".into(),
            target: "t".into(),
            raw: RawId { group: group.into(), function: None, value: None },
            occurrence: 0,
        };
        let margin = Margin { ratio: 0.03, noise: None };
        let around = |center: f64| -> Vec<f64> { (0..12).map(|i| center + 0.001 * (f64::from(i) - 5.5)).collect() };
        let family = [0.12, -0.2, 0.0].map(|center| (around(center), margin));
        let mut rows: Vec<Row> = confirmed(&family)
            .iter()
            .zip(["slow|er", "faster", "same"])
            .zip(&family)
            .map(|((finding, name), (blocks, _))| {
                let mut row = Row::new(&key(name), 1, Verdict::New, "");
                row.set_finding(finding, margin, 3);
                row.blocks.clone_from(blocks);
                row
            })
            .collect();
        rows.push(Row::new(&key("broken"), 1, Verdict::Invalid, "wrong output: element 3 is 1.5, not 1.0"));
        Entry {
            schema: SCHEMA,
            render: RENDER,
            id: "20260131T123456-0a1b2c".into(),
            title: "Title".into(),
            change: "a change".into(),
            at: "2026-01-31 12:34:56".into(),
            machine_class: "test-machine-00000000".into(),
            fingerprint: Fingerprint {
                processor: machine::fingerprint::Processor {
                    brand: Some("Test Processor".into()),
                    ..Default::default()
                },
                allowed_threads: 2,
                ..Fingerprint::default()
            },
            base: Some(Revision {
                commit: "a".repeat(40),
                label: "aaaaaaaaaa old".into(),
                dirty: false,
                rustc: "rustc 1.95.0".into(),
            }),
            others: vec![],
            head: Revision {
                commit: "b".repeat(40),
                label: "bbbbbbbbbb new".into(),
                dirty: true,
                rustc: "rustc 1.95.0".into(),
            },
            method: Some(Method {
                blocks: 12,
                screen_blocks: None,
                links: 12,
                family: 3,
                warm_up_s: 0.05,
                measurement_s: 0.2,
                seed: 7,
                discarded: 1,
                disturbed: 0,
                smallest_p: record::stats::smallest_p(12),
            }),
            rows,
            notes: vec!["a note".into()],
            contaminated: None,
            measured_s: 63.0,
            command: "cargo xtask compare --title Title --change 'a change'".into(),
        }
    }

    #[test]
    fn contamination_hides_a_regression_but_not_a_wrong_output() {
        let mut entry = example();
        assert_eq!(entry.exit(), Exit::Invalid);
        entry.rows.retain(|row| row.verdict != Verdict::Invalid);
        assert_eq!(entry.exit(), Exit::Regression);
        entry.contaminated = Some("the null fired".into());
        assert_eq!(entry.exit(), Exit::NoVerdict);
    }

    #[test]
    fn a_run_in_which_everything_fails_ends_with_invalid() {
        let mut entry = example();
        let broken = |fault| Row { fault: Some(fault), ..example().rows[3].clone() };
        let skipped = || Row { verdict: Verdict::Skipped, fault: None, ..example().rows[3].clone() };
        for (rows, exit) in [
            (vec![broken(Fault::Both)], Exit::Invalid),
            (vec![broken(Fault::Both), skipped()], Exit::Invalid),
            (vec![broken(Fault::Target)], Exit::Invalid),
            (vec![broken(Fault::Base)], Exit::Fine),
            (vec![broken(Fault::Both), example().rows[2].clone()], Exit::Fine),
        ] {
            entry.rows = rows;
            assert_eq!(entry.exit(), exit, "{:?}", entry.rows);
        }
    }

    #[test]
    fn data_survive_a_round_trip() {
        let entry = example();
        let line = serde_json::to_string(&entry).unwrap();
        assert_eq!(serde_json::from_str::<Entry>(&line).unwrap(), entry);
    }
}
