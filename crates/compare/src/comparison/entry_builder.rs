//! Collects what a comparison finds, and builds the entry.

use super::options::{Options, Revisions};
use super::trial::Judged;
use crate::judge::Verdict;
use crate::measure::{BenchPair, Random};
use crate::policy::Policy;
use crate::repo::Snapshot;
use crate::report::{Entry, Method, RENDER, Revision, Row, SCHEMA};
use machine::Fingerprint;

/// What becomes an entry once everything is measured.
pub(super) struct EntryBuilder {
    pub(super) seed: u64,
    started_on: Fingerprint,
    base_rustc: String,
    head_rustc: String,
    pub(super) rows: Vec<Row>,
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
            base_rustc: String::new(),
            head_rustc: String::new(),
            rows: Vec::new(),
            notes: left_out
                .map(|path| format!("left out of the snapshot, being untracked and over 10 MiB: {path}"))
                .collect(),
            method: None,
            contaminated: None,
            measured_s: 0.0,
        }
    }

    pub(super) fn rustc(&mut self, base: Option<String>, head: &str) {
        self.base_rustc = base.unwrap_or_default();
        head.clone_into(&mut self.head_rustc);
        if !self.base_rustc.is_empty() && self.base_rustc != self.head_rustc {
            self.notes.push(format!("the toolchains differ: {} before, {} after", self.base_rustc, self.head_rustc));
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
        let order = |row: &Row| (row.tier, row.package.clone(), row.target.clone());
        self.rows.sort_by_key(order);
        tell_apart(&mut self.rows);
        self.notes.extend(policy.apply(&mut self.rows, &shown[..10]));
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
            base: revisions.base.as_ref().map(|base| revision(base, &self.base_rustc)),
            head: revision(&revisions.head, &self.head_rustc),
            method: self.method,
            rows: self.rows,
            notes: self.notes,
            contaminated: self.contaminated,
            measured_s: self.measured_s,
            command: String::new(),
        }
    }
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
    use super::*;
    use crate::report::example_entry;

    #[test]
    fn equal_ids_are_distinguished_by_target_then_by_number() {
        let row = |target: &str| Row { id: "x".into(), target: target.into(), ..example_entry().rows[0].clone() };
        let mut rows = [row("a"), row("b"), row("b"), Row { id: "y".into(), ..row("a") }];
        tell_apart(&mut rows);
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, ["x (p/a)", "x (p/b)", "x (p/b) [2]", "y"]);
    }
}
