//! What lies between building and measuring: the cases of an op, and the programs that run them.
//!
//! At home, `peers` builds a [`Job`] and measures it. For another machine, a [`PackedJob`] is written down together
//! with the files that it needs ([`Carried`]), and [`Job::open`] makes the same job of them there. Here is also the
//! order in which another machine measures: unit by unit, the headline cases first. A unit is one case with one number
//! of threads, complete when it ends: a run that is cut short has whole rows of what matters most.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use compare::comparison::Invocation;
use compare::exit::usage;
use regex_lite::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::build::{self, BuildCache, Place, Program};
use crate::session::PeerSession;
use crate::suite::{Case, Suite};
use crate::sweep::{self, Sweep};
use crate::{SETS, resolve, state};

/// Stands for the Python of the machine in the command of a packed program.
const PYTHON: &str = "{python}";

/// Which cases and peers of an op, with how many threads.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Choice {
    /// Only cases whose id matches this regular expression; the table is printed but not kept
    #[arg(long, value_name = "RE")]
    filter: Option<String>,
    /// Only these peers; the table is printed but not kept (repeatable)
    #[arg(long, value_name = "NAME")]
    peer: Vec<String>,
    /// Numbers of threads instead of those of `peers/OP.toml`; the table is printed but not kept
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    threads: Vec<NonZeroUsize>,
}

impl Choice {
    /// Whether a run covers all cases and peers as the file says, so that its table is kept.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        *self == Self::default()
    }

    fn restrict(&self, suite: &mut Suite) -> Result<()> {
        if let Some(filter) = &self.filter {
            let filter = Regex::new(filter).map_err(|error| usage(format!("--filter: {error}")))?;
            suite.cases.retain(|case| filter.is_match(&case.id));
        }
        if !self.peer.is_empty() {
            if let Some(unknown) = self.peer.iter().find(|name| suite.peers.iter().all(|peer| peer.name != **name)) {
                let names: Vec<&str> = suite.peers.iter().map(|peer| peer.name.as_str()).collect();
                return Err(usage(format!("--peer {unknown}: there are {}", names.join(", "))));
            }
            suite.peers.retain(|peer| self.peer.contains(&peer.name));
        }
        if !self.threads.is_empty() {
            suite.set_threads(&self.threads);
        }
        // Goals are about whole tables.
        if !self.is_whole() {
            suite.goals.clear();
        }
        if suite.cases.is_empty() {
            return Err(usage("no case matches --filter and --threads; `--dry-run` without them lists the cases"));
        }
        Ok(())
    }
}

/// An op whose programs are built.
#[derive(Debug)]
pub struct Job {
    pub(crate) suite: Suite,
    choice: Choice,
    op: String,
    ours: Program,
    peers: Vec<Program>,
}

/// A job in a pack: what is not in its files. Paths are relative to the pack.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackedJob {
    /// The op.
    pub op: String,
    /// What takes part.
    pub choice: Choice,
    /// The revision, in words.
    pub state: String,
    ours: Program,
    peers: Vec<Program>,
}

/// A file that a pack takes along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Where it is.
    pub from: PathBuf,
    /// Its path in the pack.
    pub to: String,
    /// Whether it is a compiled program.
    pub is_program: bool,
}

/// One case with one number of threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Id of the case.
    pub case: String,
    /// Number of threads.
    pub threads: NonZeroUsize,
}

impl Unit {
    /// How plans and records name it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} t{}", self.case, self.threads)
    }
}

impl Job {
    /// The chosen cases of an op; of the programs, ours alone is built.
    pub(crate) fn choose(invocation: &Invocation, root: &Path, op: &str, choice: &Choice) -> Result<Self> {
        Self::of(root, op, choice, build::ours(invocation, root, op)?)
    }

    fn of(root: &Path, op: &str, choice: &Choice, ours: Program) -> Result<Self> {
        let mut suite = Suite::read(root, op)?;
        resolve(&mut suite, &ours)?;
        // The other cases are for `agree`.
        suite.cases.retain(|case| case.timed);
        choice.restrict(&mut suite)?;
        Ok(Self { suite, choice: choice.clone(), op: op.to_owned(), ours, peers: Vec::new() })
    }

    /// Builds the peers.
    pub(crate) fn build(&mut self, invocation: &Invocation, root: &Path, place: Place) -> Result<()> {
        let mut cache = BuildCache::default();
        self.peers = build::peers(invocation, root, &self.suite, &self.ours, place, &mut cache)?;
        Ok(())
    }

    /// Ours and those of the peers.
    pub(crate) fn programs(&self) -> (&Program, &[Program]) {
        (&self.ours, &self.peers)
    }

    /// Builds a job for another machine. Gives what describes it there and the files that it needs.
    ///
    /// # Errors
    /// An op that there is none of, a choice of nothing, or our own program if it cannot be built. A peer that cannot
    /// be built or carried becomes rows with the reason.
    pub fn pack(
        invocation: &Invocation,
        root: &Path,
        op: &str,
        choice: &Choice,
    ) -> Result<(Self, PackedJob, Vec<Carried>)> {
        crate::suite::requested(invocation, root, Some(op), "pack peers")?;
        let mut job = Self::choose(invocation, root, op, choice)?;
        job.build(invocation, root, Place::Elsewhere)?;
        let mut files = data(root, op, &job.suite.files);
        let mut put = |from: PathBuf, to: String, is_program: bool| {
            let carried = Carried { from, to, is_program };
            if !files.contains(&carried) {
                files.push(carried);
            }
        };
        put(job.ours.program().into(), "bin/assay".to_owned(), true);
        let mut ours = job.ours.clone();
        ours.directory = PathBuf::new();
        ours.command[0] = "bin/assay".to_owned();
        let mut peers = job.peers.clone();
        for (program, peer) in peers.iter_mut().zip(&job.suite.peers) {
            if peer.own.is_some() {
                *program = Program { name: program.name.clone(), ..ours.clone() };
                continue;
            }
            let (from, to) = (root.join("peers").join(&peer.dir), format!("peers/{}", peer.dir));
            program.directory = PathBuf::from(&to);
            if peer.is_python() {
                program.command[0] = PYTHON.to_owned();
                // The pack may be read-only.
                program.env.push(("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned()));
                for name in scripts(&from)? {
                    put(from.join(&name), format!("{to}/{name}"), false);
                }
            } else if program.unavailable.is_none() {
                let name = program.program().to_owned();
                match from.join(&name).is_file() && Path::new(&name).components().count() > 1 {
                    true => put(from.join(&name), format!("{to}/{name}"), true),
                    false => program.unavailable = Some(format!("a pack cannot carry `{name}`")),
                }
            }
        }
        let packed = PackedJob { op: op.to_owned(), choice: choice.clone(), state: state(root)?, ours, peers };
        Ok((job, packed, files))
    }

    /// The job of a pack at `root`. `python` is what peers in Python run with.
    ///
    /// # Errors
    /// Files of the pack that cannot be read, or our own program if it does not start.
    pub fn open(root: &Path, packed: &PackedJob, python: &str) -> Result<Self> {
        let placed = |program: &Program| {
            let mut program = program.clone();
            program.directory = root.join(&program.directory);
            if program.command.first().is_some_and(|word| word == PYTHON) {
                program.command[0] = python.to_owned();
            }
            program
        };
        let job = Self::of(root, &packed.op, &packed.choice, placed(&packed.ours))?;
        Ok(Self { peers: packed.peers.iter().map(placed).collect(), ..job })
    }

    /// All units in order of importance: the headline cases, then the others; of each the first number of threads
    /// first, because processes are started for one number of threads.
    #[must_use]
    pub fn units(&self) -> Vec<Unit> {
        let suite = &self.suite;
        let is_headline = |case: &Case| suite.headline.contains(&case.id);
        let mut units = Vec::new();
        for wanted in [true, false] {
            for &threads in &suite.threads {
                let cases = suite.cases.iter().filter(|case| is_headline(case) == wanted);
                let cases = cases.filter(|case| suite.threads_of(case).contains(&threads));
                units.extend(cases.map(|case| Unit { case: case.id.clone(), threads }));
            }
        }
        units
    }

    /// What measures the units, with inputs and results below `scratch`.
    pub fn measuring<'a>(&'a self, invocation: &'a Invocation, scratch: &'a Path) -> Measuring<'a> {
        Measuring { job: self, invocation, scratch, pool: None }
    }

    /// Names of the op and of what takes part, for a folder.
    #[must_use]
    pub fn op(&self) -> &str {
        &self.op
    }

    /// Whether its table is a whole one.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.choice.is_whole()
    }
}

/// Measures units one after another. The processes of all sets are kept while the number of threads stays the same,
/// stopped while they do not work: some of them take seconds to start.
#[derive(Debug)]
pub struct Measuring<'a> {
    job: &'a Job,
    invocation: &'a Invocation,
    scratch: &'a Path,
    pool: Option<Pool<'a>>,
}

struct Pool<'a> {
    threads: NonZeroUsize,
    sweep: Sweep<'a>,
    sets: Vec<Vec<PeerSession<'a>>>,
}

impl std::fmt::Debug for Pool<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads).finish_non_exhaustive()
    }
}

impl Measuring<'_> {
    /// The rows of a unit, one for each peer. `None` if `goes_on` said between two sets that there is no time left.
    ///
    /// # Errors
    /// Our own program failed, the disk is full, or an interrupt.
    pub fn unit(&mut self, unit: &Unit, goes_on: &dyn Fn() -> bool) -> Result<Option<Vec<Value>>> {
        let mut pool = match self.pool.take() {
            Some(pool) if pool.threads == unit.threads => pool,
            other => {
                // Their processes end before others start.
                drop(other);
                let sweep = Sweep::new(&self.job.suite, unit.threads, self.scratch)?;
                let sets = (0..SETS).map(|_| sweep::sessions(self.job.programs())).collect();
                Pool { threads: unit.threads, sweep, sets }
            }
        };
        let at = pool.sweep.place(&unit.case).with_context(|| format!("there is no case {}", unit.case))?;
        fs::create_dir_all(self.scratch).with_context(|| format!("failed to make {}", self.scratch.display()))?;
        for sessions in &mut pool.sets {
            if !goes_on() {
                return Ok(None);
            }
            // After an error the pool is gone, and with it all processes.
            pool.sweep.visit(self.invocation, sessions, at)?;
        }
        pool.sweep.forget(at);
        let rows = pool.sweep.take(at);
        self.pool = Some(pool);
        rows.iter().map(|row| serde_json::to_value(row).context("a row is not JSON")).map(|row| row.map(Some)).collect()
    }
}

/// What all programs of a suite read: itself, its notes, and the files that it names.
fn data(root: &Path, op: &str, files: &[String]) -> Vec<Carried> {
    let notes = Some(format!("peers/{op}.notes.md")).filter(|notes| root.join(notes).exists());
    let paths = [format!("peers/{op}.toml")].into_iter().chain(notes).chain(files.iter().cloned());
    paths.map(|path| Carried { from: root.join(&path), to: path, is_program: false }).collect()
}

/// Names of the Python files in a directory, sorted.
fn scripts(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("failed to list {}", directory.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.ends_with(".py").then_some(name));
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_a_suite_names_travel_under_their_paths() {
        let root = tempfile::tempdir().unwrap();
        let paths =
            |files: &[String]| data(root.path(), "x", files).into_iter().map(|file| file.to).collect::<Vec<_>>();
        assert_eq!(paths(&[]), ["peers/x.toml"]);
        fs::create_dir(root.path().join("peers")).unwrap();
        fs::write(root.path().join("peers/x.notes.md"), "").unwrap();
        let file = "models/m/m.gguf".to_owned();
        assert_eq!(paths(&[file]), ["peers/x.toml", "peers/x.notes.md", "models/m/m.gguf"]);
    }
}
