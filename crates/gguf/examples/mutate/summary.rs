//! The result of a run as a Markdown page.

use std::{collections::BTreeMap, fmt, process::Command, time::Duration};

use crate::trial::{ALLOWED, Kind, Outcome};

/// Counts and extremes of a run.
pub(crate) struct Summary {
    /// The revision of the source.
    revision: String,
    first: u64,
    files: u64,
    elapsed: Duration,
    /// Most heap memory beyond the size of the files, with its seed.
    heap: (u64, u64),
    longest: (Duration, u64),
    /// Files by rule (none: accepted) and kind.
    verdicts: BTreeMap<Option<String>, [u64; 3]>,
}

impl Summary {
    pub(crate) fn new(first: u64) -> Self {
        let (elapsed, longest) = (Duration::ZERO, (Duration::ZERO, first));
        Self { revision: revision(), first, files: 0, elapsed, heap: (0, first), longest, verdicts: BTreeMap::new() }
    }

    /// Adds a file that was done `now` after the beginning.
    pub(crate) fn add(&mut self, seed: u64, outcome: Outcome, now: Duration) {
        self.files += 1;
        self.heap = self.heap.max((outcome.heap, seed));
        self.longest = self.longest.max((now - self.elapsed, seed));
        self.elapsed = now;
        self.verdicts.entry(outcome.rule).or_default()[outcome.kind as usize] += 1;
    }

    /// The time left, if the remaining files take as long as those before.
    pub(crate) fn left(&self, of: u64) -> Duration {
        self.elapsed.mul_f64((of - self.files) as f64 / self.files.max(1) as f64)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revision, first, files, heap, longest, verdicts, .. } = self;
        writeln!(f, "# Mutated GGUF files\n")?;
        writeln!(
            f,
            "Written by `cargo run --release -p gguf --example mutate -- --files {files} --seed {first} --out FILE`.\n"
        )?;
        writeln!(f, "- Revision {revision}, {:.1} seconds.", self.elapsed.as_secs_f64())?;
        writeln!(
            f,
            "- Seeds {first} to {}: {files} files or sets of files. No panic; none took 5 seconds.",
            first + files - 1
        )?;
        writeln!(
            f,
            "- Every accepted file was read completely; single files were also written again and read back as the same."
        )?;
        writeln!(
            f,
            "- Most heap memory beyond the size of the files: {} bytes of {ALLOWED} allowed (seed {}).",
            heap.0, heap.1
        )?;
        writeln!(
            f,
            "- Longest: {:.1} ms, including its generation (seed {}).\n",
            longest.0.as_secs_f64() * 1e3,
            longest.1
        )?;
        writeln!(f, "| verdict, all options given | from little-endian | from big-endian | from sets |")?;
        writeln!(f, "|:--|--:|--:|--:|")?;
        let mut totals = [0; 3];
        for (rule, counts) in verdicts {
            totals.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
            row(f, rule.as_deref().unwrap_or("accepted"), counts)?;
        }
        row(f, "all", &totals)
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, counts: &[u64; 3]) -> fmt::Result {
    let [little, big, set] = [Kind::Little, Kind::Big, Kind::Set].map(|kind| counts[kind as usize]);
    writeln!(f, "| {name} | {little} | {big} | {set} |")
}

/// The revision of the source, as git describes it.
fn revision() -> String {
    let git = Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]).output();
    let text = git.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    text.and_then(|text| String::from_utf8(text).ok()).map_or("unknown".to_owned(), |text| text.trim().to_owned())
}
