//! One point of the matrix: whose caches are on, and which time counts.

use std::{path::Path, process::Command, time::Duration};

use op::{Loaded, Ran};
use proof::bench::Subject;
use record::Proof;
use tempfile::TempDir;

use crate::{child, seconds};

/// Which time of a process.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Metric {
    /// Creating all pipelines.
    Create,
    /// The first dispatch of each.
    FirstDispatch,
}

impl Metric {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::FirstDispatch => "first-dispatch",
        }
    }
}

/// Our cache.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Ours {
    Off,
    /// Empty before each process.
    Cold,
    /// Filled by an earlier process.
    Warm,
}

impl Ours {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Cold => "cold",
            Self::Warm => "warm",
        }
    }
}

/// The driver's own cache on disk.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Driver {
    Off,
    /// Filled by an earlier process.
    On,
}

impl Driver {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Cell {
    pub(super) metric: Metric,
    pub(super) ours: Ours,
    pub(super) driver: Driver,
}

/// A cell with the folders of its caches.
pub(super) struct Timed {
    cell: Cell,
    /// Of the driver's cache, if it is on.
    driver: TempDir,
    /// Of our cache, if it is warm.
    warm: TempDir,
    last: Measured,
}

/// What a child reported.
#[derive(Clone, Default)]
struct Measured {
    create: Duration,
    first_dispatch: Duration,
    hits: u64,
    misses: u64,
    rejects: u64,
    loaded_bytes: u64,
    pipelines: u64,
    blob: String,
    report: String,
    failure: Option<String>,
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

impl Timed {
    /// Fills what is to be warm.
    pub(super) fn new(cell: Cell) -> Self {
        let mut timed = Self { cell, driver: folder(), warm: folder(), last: Measured::default() };
        let is_warm = cell.ours == Ours::Warm;
        if is_warm || cell.driver == Driver::On {
            timed.last = timed.start(is_warm.then_some(timed.warm.path()));
        }
        timed
    }

    /// Measures one process.
    fn measure(&mut self) {
        // Dropped after the process.
        let empty = folder();
        self.last = self.start(match self.cell.ours {
            Ours::Off => None,
            Ours::Cold => Some(empty.path()),
            Ours::Warm => Some(self.warm.path()),
        });
    }

    fn start(&self, ours: Option<&Path>) -> Measured {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg(child::ARGUMENT).arg(ours.unwrap_or(Path::new("-")));
        // NVIDIA's and Mesa's variables.
        let (is_on, path) = (self.cell.driver == Driver::On, self.driver.path());
        command.env("__GL_SHADER_DISK_CACHE", if is_on { "1" } else { "0" }).env("__GL_SHADER_DISK_CACHE_PATH", path);
        command.env("MESA_SHADER_CACHE_DISABLE", if is_on { "false" } else { "true" });
        command.env("MESA_SHADER_CACHE_DIR", path);
        let output = command.output().expect("a child of this program");
        let text = String::from_utf8_lossy(&output.stdout);
        let fields: Vec<&str> = text.trim_end().split('\t').collect();
        let &["measured", create, first, hits, misses, rejects, loaded, _, pipelines, blob, report] = &fields[..]
        else {
            let errors = String::from_utf8_lossy(&output.stderr);
            let last = errors.lines().last().unwrap_or_default();
            let failure = Some(format!("{}: {} {last}", output.status, text.trim_end()));
            return Measured { failure, ..Measured::default() };
        };
        let number = |text: &str| text.parse().unwrap_or(0);
        Measured {
            create: seconds(create),
            first_dispatch: seconds(first),
            hits: number(hits),
            misses: number(misses),
            rejects: number(rejects),
            loaded_bytes: number(loaded),
            pipelines: number(pipelines),
            blob: blob.to_owned(),
            report: report.to_owned(),
            failure: None,
        }
    }

    /// What is wrong with what the last process did.
    fn fault(&self) -> Option<String> {
        let last = &self.last;
        let keeps = last.blob == "filled";
        let did_right = match self.cell.ours {
            Ours::Off => last.report.starts_with("pipeline cache disabled") && last.hits + last.misses == 0,
            Ours::Cold => (last.hits, last.misses, last.loaded_bytes) == (0, 1, 0),
            Ours::Warm if keeps => (last.hits, last.misses) == (1, 0) && last.loaded_bytes > 0,
            // Nothing was kept, so there is nothing to find.
            Ours::Warm => last.hits == 0,
        };
        let is_whole = last.pipelines > 0 && last.rejects == 0 && did_right;
        last.failure.clone().or_else(|| (!is_whole).then(|| last.report.clone()))
    }
}

impl Subject for Timed {
    /// The child compares its results; here it is checked that the cache did what the row's name says.
    #[expect(clippy::print_stdout, reason = "a bench program reports to a person")]
    fn prove(&mut self) -> Proof {
        self.measure();
        println!("{}", self.last.report);
        let mut proof = Proof::new("rows in f64, counts of the cache", Some(0.0), 0.0);
        proof.checked = self.last.pipelines;
        proof.failure = self.fault();
        proof
    }
}

impl Loaded for Timed {
    fn run(&mut self) {
        self.measure();
    }

    /// The time that children report: what is around it, such as opening the device, does not count.
    fn time(&mut self, iters: u64) -> Duration {
        let mut sum = Duration::ZERO;
        for _ in 0..iters {
            self.measure();
            if let Some(fault) = self.fault() {
                panic!("{fault}");
            }
            sum += match self.cell.metric {
                Metric::Create => self.last.create,
                Metric::FirstDispatch => self.last.first_dispatch,
            };
        }
        sum
    }

    fn ran(&self) -> Ran {
        let Measured { pipelines, hits, loaded_bytes, blob, .. } = &self.last;
        let path = format!("{pipelines} pipelines, {hits} hits, {loaded_bytes} bytes loaded, blob {blob}");
        Ran { path, ..Ran::new("pipeline-cache", "wgpu") }
    }
}
