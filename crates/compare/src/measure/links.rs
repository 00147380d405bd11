//! The differently laid out links of each program, made when they are first needed.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};

use super::contest::Entrant;
use crate::bench::Program;
use crate::console::Console;

/// Links by program and seed.
#[derive(Debug)]
pub struct Links {
    environment: Vec<(OsString, OsString)>,
    made: RefCell<HashMap<(PathBuf, u64), PathBuf>>,
    /// Wall time of all calls of [`make`](Self::make) so far, in seconds, and the links that they made.
    took: Cell<(f64, usize)>,
}

impl Links {
    /// No links yet; linkers will run in `environment`.
    pub fn new(environment: &[(OsString, OsString)]) -> Self {
        Self { environment: environment.to_vec(), made: RefCell::default(), took: Cell::default() }
    }

    /// Whether the program can be linked again with another layout: its link was recorded and its linker takes the
    /// option (LLD does, GNU ld does not).
    pub fn available(&self, entrant: &Entrant) -> bool {
        entrant.target.link.is_some() && self.variant(entrant, 1).is_ok()
    }

    /// How many programs there are among `entrants`; those that draw other seeds count as others.
    pub fn programs(entrants: &[&Entrant]) -> usize {
        let of = |entrant: &&Entrant| (entrant.target.program.executable.clone(), entrant.seed_offset);
        entrants.iter().map(of).collect::<HashSet<_>>().len()
    }

    /// Wall time of a link, as [`make`](Self::make) found it; 0 before it made any. Seconds.
    pub fn mean_s(&self) -> f64 {
        let (seconds, links) = self.took.get();
        seconds / links.max(1) as f64
    }

    /// Makes the layouts of `seeds` of every program that lacks them, a linker on each processor: nothing is timed meanwhile.
    ///
    /// # Errors
    /// If a link was not recorded, or fails.
    pub fn make(&self, entrants: &[&Entrant], seeds: &[u64], console: &Console) -> Result<()> {
        let mut wanted: Vec<(&Entrant, Variant)> = Vec::new();
        let mut known = HashSet::new();
        for (&entrant, &seed) in entrants.iter().flat_map(|entrant| seeds.iter().map(move |seed| (entrant, seed))) {
            let variant = Variant::of(entrant, seed);
            if seed != 0 && !self.made.borrow().contains_key(&variant.key) && known.insert(variant.key.clone()) {
                wanted.push((entrant, variant));
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let progress = console.bar("linking other layouts", wanted.len() as u64, "links");
        let (started, next, environment) = (Instant::now(), AtomicUsize::new(0), &self.environment);
        let work = || -> Result<()> {
            while let Some((entrant, variant)) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                progress.say(&entrant.target.name);
                variant.link(entrant, environment)?;
                progress.step();
            }
            Ok(())
        };
        thread::scope(|scope| {
            let workers: Vec<_> = machine::threads::allowed_cpus().iter().map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
        })?;
        let (seconds, links) = self.took.get();
        self.took.set((seconds + started.elapsed().as_secs_f64(), links + wanted.len()));
        self.made.borrow_mut().extend(wanted.into_iter().map(|(_, variant)| (variant.key, variant.path)));
        Ok(())
    }

    /// The entrant's program in the layout of `seed`; seed 0 is the plain link.
    pub fn variant(&self, entrant: &Entrant, seed: u64) -> Result<Program> {
        let plain = &entrant.target.program;
        if seed == 0 {
            return Ok(plain.clone());
        }
        let variant = Variant::of(entrant, seed);
        if let Some(path) = self.made.borrow().get(&variant.key) {
            return Ok(Program { executable: path.clone(), ..plain.clone() });
        }
        variant.link(entrant, &self.environment)?;
        let Variant { key, path } = variant;
        self.made.borrow_mut().insert(key, path.clone());
        Ok(Program { executable: path, ..plain.clone() })
    }
}

/// A layout of a program.
struct Variant {
    /// The plain program, and the seed.
    key: (PathBuf, u64),
    /// Where it goes.
    path: PathBuf,
}

impl Variant {
    fn of(entrant: &Entrant, seed: u64) -> Self {
        let plain = &entrant.target.program.executable;
        let seed = seed + entrant.seed_offset;
        // The plain program is called NNN-0000: variants differ in the digits alone, so that every path is as long.
        let name = plain.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let stem = name.split('-').next().unwrap_or_default();
        Self { key: (plain.clone(), seed), path: plain.with_file_name(format!("{stem}-{seed:04}")) }
    }

    fn link(&self, entrant: &Entrant, environment: &[(OsString, OsString)]) -> Result<()> {
        let link = entrant.target.link.as_ref().context("the program's link was not recorded")?;
        link.link(self.key.1, &self.path, environment).context("failed to link a program again")
    }
}
