//! Collects what a comparison finds, and builds the entry.

use super::options::{Options, Purpose, Revisions};
use super::paired::{bare_row, identical_row};
use super::trial::Judged;
use crate::judge::Verdict;
use crate::measure::{BenchPair, Random};
use crate::policy::Policy;
use crate::repo::Snapshot;
use crate::report::{Against, Entry, Method, RENDER, Revision, Row, SCHEMA};
use machine::Fingerprint;

/// What becomes an entry once everything is measured.
pub(super) struct EntryBuilder {
    pub(super) seed: u64,
    started_on: Fingerprint,
    /// Of every base.
    base_rustc: Vec<String>,
    head_rustc: String,
    /// The rows of each base, or those of a head that is measured alone.
    pub(super) columns: Vec<Vec<Row>>,
    pub(super) notes: Vec<String>,
    pub(super) method: Option<Method>,
    pub(super) contaminated: Option<String>,
    pub(super) measured_s: f64,
}

impl EntryBuilder {
    pub(super) fn new(revisions: &Revisions, options: &Options) -> Self {
        let clock =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
        let left_out = revisions.head.left_out.iter();
        Self {
            seed: options.seed.unwrap_or_else(|| Random::new(clock).bits() >> 16),
            started_on: Fingerprint::collect(),
            base_rustc: Vec::new(),
            head_rustc: String::new(),
            columns: vec![Vec::new(); revisions.bases().count().max(1)],
            notes: left_out
                .map(|path| format!("left out of the snapshot, because it is untracked and over 10 MiB: {path}"))
                .collect(),
            method: None,
            contaminated: None,
            measured_s: 0.0,
        }
    }

    pub(super) fn rustc(&mut self, bases: Vec<String>, head: &str) {
        for base in bases.iter().filter(|base| *base != head) {
            self.notes.push(format!("the toolchains differ: {base} before, {head} after"));
        }
        self.base_rustc = bases;
        head.clone_into(&mut self.head_rustc);
    }

    /// Compilers of the first base and of the head.
    pub(super) fn compilers(&self) -> (String, String) {
        (self.base_rustc.first().cloned().unwrap_or_default(), self.head_rustc.clone())
    }

    /// All rows.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.columns.iter().flatten()
    }

    /// The ids that the report gives benchmarks which are about to be measured, each against the base of its column.
    /// The rows so far and those of `identical` code, by column, are reported beside them.
    pub(super) fn reported_ids<'a>(
        &self,
        pairs: impl Iterator<Item = (&'a BenchPair, usize)>,
        identical: &[Vec<BenchPair>],
    ) -> Vec<String> {
        // The rows of each column, with the number of the pair that they are about.
        let of_column = |rows: &Vec<Row>| rows.iter().map(|row| (None, row.clone())).collect();
        let mut columns: Vec<Vec<(Option<usize>, Row)>> = self.columns.iter().map(of_column).collect();
        for (number, (pair, column)) in pairs.enumerate() {
            columns[column].push((Some(number), bare_row(pair, Verdict::Inconclusive, "")));
        }
        for (rows, identical) in columns.iter_mut().zip(identical) {
            rows.extend(identical.iter().map(|pair| (None, identical_row(pair))));
        }
        let mut ids = Vec::new();
        for mut rows in columns {
            rows.sort_by_key(|(_, row)| place(row));
            let (numbers, mut rows): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
            tell_apart(&mut rows);
            ids.extend(numbers.into_iter().zip(rows).filter_map(|(number, row)| Some((number?, row.id))));
        }
        ids.sort_unstable_by_key(|(number, _)| *number);
        ids.into_iter().map(|(_, id)| id).collect()
    }

    /// Says that so many of the blocks that count ran on a disturbed machine. Alternating order and exact tests
    /// tolerate this, at the price of wide intervals; but a gate and a bisection must not decide on it.
    pub(super) fn disturbed(&mut self, purpose: Purpose, blocks: usize, counted: usize) {
        let text = format!(
            "{blocks} of {counted} blocks ran on a disturbed machine (stolen time, forced switches, threads that \
             waited, or the canary)"
        );
        match purpose {
            Purpose::Gate | Purpose::Bisect => self.contaminated = Some(text),
            Purpose::Compare => self.notes.push(text),
        }
    }

    /// Adds a control: a benchmark compared with itself, for which any verdict is a false alarm.
    pub(super) fn control(&mut self, pair: &BenchPair, judged: &Judged) {
        if matches!(judged.finding.verdict, Verdict::Slower | Verdict::Faster) {
            let effect = judged.finding.estimate.map_or(0.0, |estimate| 100.0 * estimate.effect.exp_m1());
            self.contaminated =
                Some(format!("the null control fired: {} against itself reads {effect:+.1} %", pair.key));
        }
        let effect = judged
            .finding
            .estimate
            .map_or_else(|| "no number".to_owned(), |estimate| format!("{:+.1} %", 100.0 * estimate.effect.exp_m1()));
        self.notes.push(format!("null control {}: {effect}, {}", pair.key, judged.finding.verdict));
    }

    /// The day on which decisions must be valid, UTC.
    pub(super) fn today(&self) -> String {
        jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
    }

    pub(super) fn finish(mut self, revisions: &Revisions, policy: &Policy) -> Entry {
        let now = jiff::Timestamp::now();
        let shown = now.strftime("%Y-%m-%d %H:%M:%S").to_string();
        for rows in &mut self.columns {
            rows.sort_by_key(place);
            tell_apart(rows);
            for remark in policy.apply(rows, &shown[..10]) {
                if !self.notes.contains(&remark) {
                    self.notes.push(remark);
                }
            }
        }
        let fingerprint = Fingerprint::collect();
        if fingerprint.class() != self.started_on.class() {
            let classes = (self.started_on.class(), fingerprint.class());
            self.contaminated = Some(format!("the machine changed from {} to {} during the run", classes.0, classes.1));
        }
        let revision = |snapshot: &Snapshot, rustc: &str| Revision {
            commit: snapshot.commit.clone(),
            label: snapshot.label.clone(),
            dirty: snapshot.dirty,
            rustc: rustc.to_owned(),
        };
        let mut compared = self.columns.into_iter();
        let rows = compared.next().unwrap_or_default();
        let mut bases = revisions
            .bases()
            .zip(self.base_rustc.iter().map(String::as_str).chain(std::iter::repeat("")))
            .map(|(base, rustc)| revision(base, rustc));
        let base = bases.next();
        let others = bases.zip(compared).map(|(base, rows)| Against { base, rows }).collect();
        let unique = Random::new(now.as_nanosecond() as u64 ^ u64::from(std::process::id())).bits() & 0xff_ffff;
        Entry {
            schema: SCHEMA,
            render: RENDER,
            id: format!("{}-{unique:06x}", now.strftime("%Y%m%dT%H%M%S")),
            title: String::new(),
            change: String::new(),
            at: shown,
            machine_class: fingerprint.class(),
            fingerprint,
            base,
            others,
            head: revision(&revisions.head, &self.head_rustc),
            method: self.method,
            rows,
            notes: self.notes,
            contaminated: self.contaminated,
            measured_s: self.measured_s,
            command: String::new(),
        }
    }
}

/// Where a row stands among the others.
fn place(row: &Row) -> (u8, String, String) {
    (row.tier, row.package.clone(), row.target.clone())
}

/// Ids that occur in several targets get the target's name; ids that criterion itself cannot distinguish get a number.
fn tell_apart(rows: &mut [Row]) {
    let count = |rows: &[Row], id: &str| rows.iter().filter(|row| row.id == id).count();
    let twice: Vec<bool> = rows.iter().map(|row| count(rows, &row.id) > 1).collect();
    for (row, _) in rows.iter_mut().zip(twice).filter(|(_, twice)| *twice) {
        row.id = format!("{} ({}/{})", row.id, row.package, row.target);
    }
    for at in 0..rows.len() {
        let before = rows[..at].iter().filter(|row| row.id == rows[at].id).count();
        if before > 0 {
            rows[at].id = format!("{} [{}]", rows[at].id, before + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::bench::{Key, Program, Protocol, RawId};
    use crate::build::Target;
    use crate::measure::Variant;
    use crate::report::example_entry;

    fn builder() -> EntryBuilder {
        EntryBuilder {
            seed: 1,
            started_on: Fingerprint::collect(),
            base_rustc: Vec::new(),
            head_rustc: String::new(),
            columns: vec![Vec::new()],
            notes: Vec::new(),
            method: None,
            contaminated: None,
            measured_s: 0.0,
        }
    }

    fn pair(target: &str, id: &str) -> BenchPair {
        let raw = RawId { group: id.into(), function: None, value: None };
        let key = Key { package: "p".into(), target: target.into(), raw, occurrence: 0 };
        let program = Program {
            protocol: Protocol::Criterion,
            executable: PathBuf::new(),
            processor: None,
            directory: PathBuf::new(),
            environment: Vec::new(),
        };
        let (package, source) = (key.package.clone(), String::new());
        let target = Target { package, name: key.target.clone(), source, program, link: None };
        let variant = Variant { target, version: None, seed_offset: 0, inject: None };
        let (base, head) = (variant.clone(), variant);
        BenchPair { key, tier: 1, source: None, base, head, is_control: false, single_threaded: false, process_s: 0.0 }
    }

    #[test]
    fn benchmarks_are_known_by_their_reported_ids_before_they_are_measured() {
        let mut entry = builder();
        let (b, a) = (pair("b", "x"), pair("a", "x"));
        let reported = |entry: &EntryBuilder, identical: &[BenchPair]| {
            entry.reported_ids([&b, &a].into_iter().map(|pair| (pair, 0)), &[identical.to_vec()])
        };
        assert_eq!(reported(&entry, &[]), ["x (p/b)", "x (p/a)"]);
        let only_b = |entry: &EntryBuilder, identical: &[BenchPair]| {
            entry.reported_ids(std::iter::once((&b, 0)), &[identical.to_vec()])
        };
        assert_eq!(only_b(&entry, &[]), ["x"]);
        assert_eq!(only_b(&entry, &[pair("c", "x")]), ["x (p/b)"], "beside identical code");
        entry.columns[0].push(bare_row(&pair("c", "x"), Verdict::New, ""));
        assert_eq!(only_b(&entry, &[]), ["x (p/b)"], "beside a row that is known already");
    }

    #[test]
    fn a_gate_and_a_bisection_do_not_decide_on_a_disturbed_machine() {
        for (purpose, decides) in [(Purpose::Compare, true), (Purpose::Gate, false), (Purpose::Bisect, false)] {
            let mut entry = builder();
            entry.disturbed(purpose, 4, 12);
            assert_eq!((entry.contaminated.is_none(), entry.notes.len()), (decides, usize::from(decides)));
        }
    }

    #[test]
    fn equal_ids_are_distinguished_by_target_then_by_number() {
        let row = |target: &str| Row { id: "x".into(), target: target.into(), ..example_entry().rows[0].clone() };
        let mut rows = [row("a"), row("b"), row("b"), Row { id: "y".into(), ..row("a") }];
        tell_apart(&mut rows);
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, ["x (p/a)", "x (p/b)", "x (p/b) [2]", "y"]);
    }
}
