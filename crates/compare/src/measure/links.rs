//! The links of each program with different layouts, made when they are first needed.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};

use super::pair::Variant;
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

    /// Links that were made elsewhere: those of `seeds` for every variant, each where [`program`](Self::program) would
    /// write it.
    pub fn made(variants: &[&Variant], seeds: &[u64]) -> Self {
        let links = Self::new(&[]);
        let layouts = variants.iter().flat_map(|variant| seeds.iter().map(|&seed| Layout::of(variant, seed)));
        links.made.borrow_mut().extend(layouts.map(|layout| (layout.key, layout.path)));
        links
    }

    /// Whether the program can be linked again with another layout: its link was recorded and its linker takes the
    /// option (LLD does, GNU ld does not).
    pub fn available(&self, variant: &Variant) -> bool {
        variant.target.link.is_some() && self.program(variant, 1).is_ok()
    }

    /// Number of different programs among `variants`. The same program with other seeds counts again.
    pub fn programs(variants: &[&Variant]) -> usize {
        let of = |variant: &&Variant| (variant.target.program.executable.clone(), variant.seed_offset);
        variants.iter().map(of).collect::<HashSet<_>>().len()
    }

    /// Mean wall time of a link that [`make`](Self::make) made; 0 before the first. Seconds.
    pub fn mean_s(&self) -> f64 {
        let (seconds, links) = self.took.get();
        seconds / links.max(1) as f64
    }

    /// Makes the missing layouts of `seeds` for every program. One linker runs on each processor: nothing is timed
    /// meanwhile.
    ///
    /// # Errors
    /// If a link was not recorded, or fails.
    pub fn make(&self, variants: &[&Variant], seeds: &[u64], console: &Console) -> Result<()> {
        let mut wanted: Vec<(&Variant, Layout)> = Vec::new();
        let mut known = HashSet::new();
        for (&variant, &seed) in variants.iter().flat_map(|variant| seeds.iter().map(move |seed| (variant, seed))) {
            let layout = Layout::of(variant, seed);
            if seed != 0 && !self.made.borrow().contains_key(&layout.key) && known.insert(layout.key.clone()) {
                wanted.push((variant, layout));
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let progress = console.bar("linking other layouts", wanted.len() as u64, "links");
        let (started, next, environment) = (Instant::now(), AtomicUsize::new(0), &self.environment);
        let work = || -> Result<()> {
            while let Some((variant, layout)) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                progress.say(&variant.target.name);
                layout.link(variant, environment)?;
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
        self.made.borrow_mut().extend(wanted.into_iter().map(|(_, layout)| (layout.key, layout.path)));
        Ok(())
    }

    /// The variant's program in the layout of `seed`; seed 0 is the plain link.
    pub fn program(&self, variant: &Variant, seed: u64) -> Result<Program> {
        let plain = &variant.target.program;
        if seed == 0 {
            return Ok(plain.clone());
        }
        let layout = Layout::of(variant, seed);
        if let Some(path) = self.made.borrow().get(&layout.key) {
            return Ok(Program { executable: path.clone(), ..plain.clone() });
        }
        layout.link(variant, &self.environment)?;
        let Layout { key, path } = layout;
        self.made.borrow_mut().insert(key, path.clone());
        Ok(Program { executable: path, ..plain.clone() })
    }
}

/// A layout of a program.
struct Layout {
    /// The plain program, and the seed.
    key: (PathBuf, u64),
    /// Where the link is written.
    path: PathBuf,
}

impl Layout {
    fn of(variant: &Variant, seed: u64) -> Self {
        let plain = &variant.target.program.executable;
        let seed = seed + variant.seed_offset;
        // The plain program is named NNN-0000. Layouts differ in the digits alone, so that all paths have the same
        // length.
        let name = plain.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let stem = name.split('-').next().unwrap_or_default();
        Self { key: (plain.clone(), seed), path: plain.with_file_name(format!("{stem}-{seed:04}")) }
    }

    fn link(&self, variant: &Variant, environment: &[(OsString, OsString)]) -> Result<()> {
        let link = variant.target.link.as_ref().context("the program's link was not recorded")?;
        link.link(self.key.1, &self.path, environment).context("failed to link a program again")
    }
}
