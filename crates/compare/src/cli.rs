//! The arguments of the command line, one for `cargo xtask` and `cargo assay`.
// Long because it is the one list of all options.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

mod times;

pub use times::duration;
use times::{time, times};

/// The commands that measure and compare. `C` are the arguments of `compare`, which may be more than [`Compare`].
#[derive(Debug, Subcommand)]
pub enum Command<C: Args = Compare> {
    /// Compare two revisions, built and measured now, in turns; log the result by title and change
    ///
    /// The first call under a title records the state as it is. The next call with the same title finds the revision
    /// that the last entry measured, builds both, and measures both now. Uncommitted work is measured too: its state is
    /// kept as a commit under refs/assay/, and neither the index nor the work tree is touched.
    ///
    /// Exit: 0 nothing proven worse, 1 tool or build failure, 2 usage, 3 proven regression, 5 wrong output or a
    /// benchmark is missing.
    Compare(C),
    /// Compare with the merge base and decide; for pull requests
    ///
    /// Exit: as `compare`, and 4 if the run gives no verdict (contaminated, or its null control fired).
    Gate(Gate),
    /// Find the commit that brought a regression or a gain
    ///
    /// Each step compares a commit with the good one and is decided by the test of `compare`: SLOWER or FASTER is
    /// changed, SAME is as before, anything else is measured longer. Commits that do not build are passed over. The
    /// answer is confirmed on fresh blocks.
    ///
    /// Exit: 0 one commit is named, 1 tool failure, 2 usage or nothing to find, 4 several suspects or not confirmed.
    Bisect(Bisect),
    /// Check the log against its data, or show a group of it
    Log(Log),
    /// Remove what this tool keeps in the cache directory for this repository, and say how much it was
    Clean(Clean),
    /// See a slowdown caught, explained and undone, in a small workspace that this command makes and removes
    Demo(Demo),
    /// The machine, its ceilings and noise, the workspace's benches, what is missing and how to get it
    Doctor(Doctor),
    /// Measure how often the gate is wrong, on unchanged code and on slowdowns put in on purpose
    ///
    /// Needs benches with this project's glue, which can slow themselves down. Counts are kept across runs in
    /// selftest.jsonl of the machine's directory below baselines/ and printed with exact bounds.
    Selftest(Selftest),
}

/// What to build and to count.
#[derive(Debug, Clone, Args)]
pub struct Scope {
    /// Only this package (repeatable)
    #[arg(short, long = "package", value_name = "PKG")]
    pub package: Vec<String>,
    /// Only this bench target (repeatable)
    #[arg(long, value_name = "NAME")]
    pub bench: Vec<String>,
    /// Only ids that match this regular expression, of any tier
    #[arg(long, value_name = "RE")]
    pub filter: Option<String>,
    /// Leave out ids that match this regular expression (repeatable)
    #[arg(long, value_name = "RE")]
    pub exclude: Vec<String>,
    /// Features to build with
    #[arg(long, value_name = "LIST")]
    pub features: Option<String>,
    /// Highest tier to measure; benches without tiers are of tier 1
    #[arg(long, value_name = "1..3")]
    pub tier: Option<u8>,
    /// Limit of one process
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub timeout: Duration,
    /// Longest wait for a quiet machine before measuring; 0s starts at once
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    pub wait: Duration,
    /// Cargo.toml of the workspace, or its directory [default: found from here upwards]
    #[arg(long, value_name = "PATH")]
    pub manifest_path: Option<PathBuf>,
    /// Seed of the schedule [default: drawn, and logged]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Time each side in one layout even where it could be linked again; the margin is 5 % then
    #[arg(long)]
    pub one_link: bool,
    /// Print results and errors only
    #[arg(short, long)]
    pub quiet: bool,
}

/// `compare`.
#[derive(Debug, Clone, Args)]
#[command(args_override_self = true)]
pub struct Compare {
    /// Group of the log; entries under one title are compared with each other
    /// [optional with --no-log, --base or --list; without it nothing is logged]
    #[arg(long, allow_hyphen_values = true, requires = "change")]
    pub title: Option<String>,
    /// What changed since the last entry under the title
    #[arg(long, allow_hyphen_values = true)]
    pub change: Option<String>,
    /// Revision before [default: the one that the last entry under the title measured]. Given up to four times, the
    /// head is compared with each: one column per base, and the first one decides the exit code
    #[arg(long, value_name = "REV")]
    pub base: Vec<String>,
    /// Revision after [default: the work tree as it is]
    #[arg(long, value_name = "REV")]
    pub head: Option<String>,
    /// What to build and to count.
    #[command(flatten)]
    pub scope: Scope,
    /// Measurement time; what does not fit is dropped by tier, never measured less [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub budget: Option<Duration>,
    /// Compare a scenario's cells instead of benchmarks
    #[arg(long, value_name = "NAME")]
    pub scenario: Option<String>,
    /// Restrict an axis of the scenario, or give it a path of yours (`./model.gguf`)
    #[arg(long, value_name = "AXIS=VALUE", requires = "scenario")]
    pub set: Vec<String>,
    /// Count instructions of every timed benchmark, not only of those that became slower
    #[arg(long)]
    pub instructions: bool,
    /// Accept a known regression for this run
    #[arg(long, value_name = "ID=REASON")]
    pub accept: Vec<String>,
    /// Time scenario cells whose outputs differ in quality, after a change that is meant to change it
    #[arg(long)]
    pub accept_quality: bool,
    /// Build, pilot, print the plan, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Print the benchmarks with tier and cost, and stop: the head is built and listed, and one process is run of each
    /// whose cost is not known
    #[arg(long, conflicts_with = "dry_run")]
    pub list: bool,
    /// Print JSON instead of the table
    #[arg(long)]
    pub json: bool,
    /// Do not write BENCHMARKS.md and baselines/
    #[arg(long)]
    pub no_log: bool,
    /// Remove the slots of this clone first, and build from nothing
    #[arg(long)]
    pub clean: bool,
    /// Where else to report.
    #[command(flatten)]
    pub pages: Pages,
}

impl AsRef<Self> for Compare {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// Reports for a browser.
#[derive(Debug, Clone, Default, Args)]
pub struct Pages {
    /// Also write the report as one HTML page with charts, which needs no network
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Also write the charts as SVG files into this directory: comparison.svg and, with a title, history.svg
    #[arg(long, value_name = "DIR")]
    pub charts: Option<PathBuf>,
}

/// `gate`.
#[derive(Debug, Clone, Args)]
#[command(args_override_self = true)]
pub struct Gate {
    /// Branch or revision that the head will be merged into; the merge base with it is measured
    /// [default: origin's default branch, main or master]
    #[arg(long, value_name = "REV")]
    pub base: Option<String>,
    /// Revision to judge [default: the work tree as it is]
    #[arg(long, value_name = "REV")]
    pub head: Option<String>,
    /// What to build and to count.
    #[command(flatten)]
    pub scope: Scope,
    /// Measurement time; what does not fit is dropped by tier, never measured less [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub budget: Option<Duration>,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// Also write the report as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub json_file: Option<PathBuf>,
    /// Also write a comment for the pull request to this file
    #[arg(long, value_name = "FILE")]
    pub comment_file: Option<PathBuf>,
    /// Accept a known regression, or every one by `*=REASON`
    #[arg(long, value_name = "ID=REASON")]
    pub accept: Vec<String>,
    /// Count instructions of every timed benchmark, not only of those that became slower
    #[arg(long)]
    pub instructions: bool,
    /// Build, pilot, print the plan, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Print the benchmarks with tier and cost, and stop: the head is built and listed, and one process is run of each
    /// whose cost is not known
    #[arg(long, conflicts_with = "dry_run")]
    pub list: bool,
    /// Where else to report.
    #[command(flatten)]
    pub pages: Pages,
}

/// `bisect`.
#[derive(Debug, Clone, Args)]
pub struct Bisect {
    /// Revision before the change
    #[arg(long, value_name = "REV")]
    pub good: String,
    /// Revision after it
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    pub bad: String,
    /// What to build and to count.
    #[command(flatten)]
    pub scope: Scope,
    /// Measurement time of each step
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub budget: Duration,
    /// Print the answer as JSON; steps go to standard error
    #[arg(long)]
    pub json: bool,
}

/// How `gate` reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The table.
    Text,
    /// One JSON object.
    Json,
    /// The table, annotations, and the step summary where GITHUB_STEP_SUMMARY names one.
    Github,
}

/// `log`.
#[derive(Debug, Clone, Args)]
pub struct Log {
    /// What to do.
    #[command(subcommand)]
    pub action: LogAction,
    /// Cargo.toml of the workspace, or its directory [default: found from here upwards]
    #[arg(long, value_name = "PATH", global = true)]
    pub manifest_path: Option<PathBuf>,
}

/// What `log` does.
#[derive(Debug, Clone, Subcommand)]
pub enum LogAction {
    /// Fail if an entry's text and data disagree
    Check,
    /// Log an entry that could not be written when it was measured
    Import {
        /// The file that the message named
        file: PathBuf,
    },
    /// Write the index at the top of BENCHMARKS.md again, after entries came in by a merge
    Index,
    /// Print the entries under a title
    Show {
        /// The title, exactly
        title: String,
        /// Write the last entry and the history of the title instead
        #[command(flatten)]
        pages: Pages,
    },
}

/// `clean`.
#[derive(Debug, Clone, Args)]
pub struct Clean {
    /// The slots of every repository, and the models and golden outputs that scenarios keep
    #[arg(long)]
    pub all: bool,
    /// Only show the sizes
    #[arg(long)]
    pub dry_run: bool,
    /// Cargo.toml of the workspace, or its directory [default: found from here upwards]
    #[arg(long, value_name = "PATH")]
    pub manifest_path: Option<PathBuf>,
}

/// `demo`.
#[derive(Debug, Clone, Args)]
pub struct Demo {
    /// Keep the workspace afterward
    #[arg(long)]
    pub keep: bool,
}

/// `doctor`.
#[derive(Debug, Clone, Args)]
pub struct Doctor {
    /// Print JSON instead of tables
    #[arg(long)]
    pub json: bool,
    /// Cargo.toml of the workspace, or its directory [default: found from here upwards]
    #[arg(long, value_name = "PATH")]
    pub manifest_path: Option<PathBuf>,
}

/// `selftest`.
#[derive(Debug, Clone, Args)]
#[command(args_override_self = true)]
pub struct Selftest {
    /// Rounds to run; 0 only prints what is known
    #[arg(long, default_value_t = 1)]
    pub rounds: usize,
    /// Benchmarks per round
    #[arg(long, default_value_t = 20)]
    pub ids: usize,
    /// Benchmarks per round that are slowed down, in turns by 5, 8 and 10 %
    #[arg(long, default_value_t = 6)]
    pub inject: usize,
    /// Warm-up and measurement of each process in seconds; other than the standard 0.03,0.1 the round is shown, not
    /// kept
    #[arg(long, value_name = "WARM_UP,MEASUREMENT", value_parser = times)]
    pub times: Option<(f64, f64)>,
    /// Instead: how much links of the same compiled code differ, with functions aligned and not
    #[arg(long)]
    pub layout: bool,
    /// Run the full number of blocks on all, as a short `compare` does, instead of screen and confirmation
    #[arg(long)]
    pub one_stage: bool,
    /// What to build and to count.
    #[command(flatten)]
    pub scope: Scope,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    #[test]
    fn the_documented_lines_parse() {
        for line in [
            "x compare --title T --change C --base a --head b -p gemm --bench b --filter x --features f --budget 5m \
             --timeout 60s --dry-run --json --no-log --manifest-path M",
            "x compare --title T --change C --scenario rwkv7 --set size=0.19b",
            "x gate --base main --format github",
            "x log check",
            "x log import unsaved-1.json",
            "x log show T --manifest-path M",
            "x log show T --html f --charts d",
            "x log index",
            "x bisect --good v1 --filter x --json",
            "x doctor --json",
            "x demo --keep",
            "x clean --all --dry-run",
            "x gate --exclude a --exclude b",
            "x selftest --rounds 3",
        ] {
            Line::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        for line in ["x compare --title T", "x compare --base a --title T"] {
            assert!(Line::try_parse_from(line.split(' ')).is_err(), "{line}: a title needs a change");
        }
        for line in [
            "x compare --list --json",
            "x gate --list",
            "x compare --base a --base b",
            "x compare --no-log",
            "x compare --base main",
            "x compare --base main --html f --charts d -q",
        ] {
            Line::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn of_what_is_given_twice_the_last_counts_and_lists_grow() {
        let line =
            "x compare --no-log --budget 5m -p a --budget 90s --filter x -p b --filter y --accept i=r --accept j=r";
        let Command::Compare(compare) = Line::try_parse_from(line.split(' ')).unwrap().command else { panic!() };
        assert_eq!((compare.budget.unwrap().as_secs(), compare.scope.filter.as_deref()), (90, Some("y")));
        assert_eq!((compare.scope.package, compare.accept.len()), (vec!["a".to_owned(), "b".to_owned()], 2));
        let Command::Gate(gate) =
            Line::try_parse_from("x gate --tier 1 --tier 3 --format json --format text".split(' ')).unwrap().command
        else {
            panic!()
        };
        assert_eq!((gate.scope.tier, gate.format), (Some(3), Format::Text));
    }
}
