//! `bench OP`: the benchmarks of one package by themselves. Each is proved in the process that times it, as always.
//!
//! Which benchmarks there are, the programs say on the machine that measures: kernels for a device are absent where the
//! device is. So the plan is made there, by tier and then in the order of the programs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use compare::bench::{Program, Protocol, ScratchDir, Settings};
use compare::build::{self, Built, Target};
use compare::comparison::{Catalog, Invocation, Listed};
use compare::exit::{Exit, usage};
use compare::measure::{Sample, Sampler, TroubleKind};
use compare::report::Figures;
use regex_lite::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Measuring, Opened};
use crate::folder::Folder;
use crate::manifest::What;
use crate::surroundings;

/// Processes of each benchmark.
const PROCESSES: usize = 6;

/// Time limit of one process.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The programs of a pack.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackedBench {
    /// The package.
    pub package: String,
    /// Which of its benchmarks, as a regular expression of ids.
    pub filter: Option<String>,
    /// The revision, in words.
    pub state: String,
    /// Whether the loader of Vulkan drivers is in the pack.
    pub has_loader: bool,
    /// Bench targets, and their programs in the pack.
    pub programs: Vec<(String, String)>,
}

/// What one benchmark gave.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BenchResult {
    pub(crate) tier: u8,
    /// Figures over all processes; `None` if there are none.
    pub(crate) figures: Option<Figures>,
    /// The time of each process, in the unit of the figures.
    pub(crate) times: Vec<f64>,
    /// Why there are no figures.
    pub(crate) why: Option<String>,
    /// Whether its output was wrong.
    pub(crate) is_wrong: bool,
}

/// Builds the benches of a package and puts them into the folder.
pub(crate) fn pack(
    root: &Path,
    (package, filter): (&str, Option<&str>),
    has_loader: bool,
    folder: &mut Folder,
) -> Result<(What, Vec<String>)> {
    filter.map_or(Ok(()), |filter| pattern(filter).map(drop))?;
    let arguments = ["bench", "--no-run", "--package", package];
    let built = peers::programs_of(root, "bench", &arguments)?;
    if built.is_empty() {
        return Err(usage(format!("the package {package} has no bench")));
    }
    let mut programs = Vec::new();
    for (name, program) in built {
        let to = format!("bin/{name}");
        folder.put(&program, &to, true)?;
        programs.push((name, to));
    }
    if has_loader {
        surroundings::put_loader(folder)?;
    }
    let plan = programs.iter().map(|(name, _)| format!("({package}/{name})")).collect();
    let (package, filter) = (package.to_owned(), filter.map(str::to_owned));
    let packed = PackedBench { package, filter, state: peers::state(root)?, has_loader, programs };
    Ok((What::Bench(packed), plan))
}

fn pattern(text: &str) -> Result<Regex> {
    Regex::new(text).map_err(|error| usage(format!("--filter: {error}")))
}

/// The benchmarks that this machine has.
#[derive(Debug)]
pub(crate) struct Bench {
    targets: Vec<Target>,
    catalog: Catalog,
    listed: Vec<Listed>,
    scratch: ScratchDir,
}

impl Bench {
    /// Lists the benchmarks of a pack.
    pub(crate) fn open(invocation: &Invocation, folder: &Path, packed: &PackedBench, scratch: &Path) -> Result<Self> {
        let console = &invocation.console;
        let mut environment = build::cleaned(invocation.variables.iter().cloned());
        surroundings::set_loader(folder, packed.has_loader, &mut environment);
        let target = |(name, path): &(String, String)| target_of(folder, packed, (name, path), &environment);
        let built = Built {
            targets: packed.programs.iter().map(target).collect(),
            skipped: Vec::new(),
            rustc: String::new(),
            workspace: folder.to_owned(),
            notes: Vec::new(),
        };
        let scratch = ScratchDir::new(scratch, invocation.interrupt.clone())?;
        let catalog = Catalog::list(&packed.package, &built, &scratch, TIMEOUT, console)?;
        for problem in &catalog.problems {
            console.note(&format!("{}: {}", problem.target, problem.reason));
        }
        let filter = packed.filter.as_deref().map(pattern).transpose()?;
        let takes = |listed: &Listed| filter.as_ref().is_none_or(|filter| filter.is_match(&listed.key.id()));
        let mut listed: Vec<Listed> = catalog.benches.iter().filter(|listed| takes(listed)).cloned().collect();
        // Stable: in the order of the programs within a tier.
        listed.sort_by_key(|listed| listed.tier);
        if listed.is_empty() {
            bail!("no benchmark of {} runs on this machine", packed.package);
        }
        Ok(Self { targets: built.targets, catalog, listed, scratch })
    }
}

impl Opened for Bench {
    fn plan(&self) -> Vec<String> {
        self.listed.iter().map(|listed| listed.key.to_string()).collect()
    }

    fn measuring<'a>(&'a mut self, _: &'a Invocation, _: &'a Path) -> Box<dyn Measuring + 'a> {
        Box::new(&*self)
    }
}

impl Measuring for &Bench {
    /// Several processes of one benchmark.
    fn unit(&mut self, place: usize, goes_on: &dyn Fn() -> bool) -> Result<Option<Value>> {
        let listed = &self.listed[place];
        let program = &self.targets[listed.target].program;
        let version = self.catalog.versions.get(&listed.target).copied();
        let sampler = Sampler { scratch: &self.scratch, timeout: TIMEOUT, settings: Settings::STANDARD, until: None };
        let mut samples: Vec<Sample> = Vec::new();
        let mut result =
            BenchResult { tier: listed.tier, figures: None, times: Vec::new(), why: None, is_wrong: false };
        for _ in 0..PROCESSES {
            if !goes_on() {
                return Ok(None);
            }
            match sampler.sample(program, &listed.key, version, None)? {
                Ok(sample) => samples.push(sample),
                // A process that the machine disturbed is left out.
                Err(trouble) if trouble.kind == TroubleKind::TooFast && !samples.is_empty() => {}
                Err(trouble) => {
                    result.is_wrong = trouble.kind == TroubleKind::WrongOutput;
                    result.why = Some(trouble.reason);
                    return Ok(Some(serde_json::to_value(result)?));
                }
            }
        }
        match Figures::of(&samples.iter().collect::<Vec<_>>()) {
            Some(Ok(figures)) => result.figures = Some(figures),
            Some(Err(why)) => result.why = Some(why),
            None => result.why = Some("no process gave a number".to_owned()),
        }
        result.times = samples.iter().map(|sample| sample.time).collect();
        serde_json::to_value(result).map(Some).context("figures are not JSON")
    }

    fn exit(&self, result: &Value) -> Exit {
        exit(result)
    }

    fn in_words(&self, _: usize, result: &Value) -> String {
        in_words(result)
    }
}

fn target_of(
    folder: &Path,
    packed: &PackedBench,
    (name, path): (&str, &str),
    environment: &[(OsString, OsString)],
) -> Target {
    let program = Program {
        protocol: Protocol::Criterion,
        executable: folder.join(path),
        processor: None,
        directory: PathBuf::from(folder),
        environment: environment.to_vec(),
    };
    Target { package: packed.package.clone(), name: name.to_owned(), source: String::new(), program, link: None }
}

/// A result as it was recorded.
pub(crate) fn read(result: &Value) -> Result<BenchResult> {
    let read: BenchResult = serde_json::from_value(result.clone()).context("its figures are of another version")?;
    ensure!(read.figures.is_some() != read.why.is_some(), "it has neither figures nor a reason, or both");
    Ok(read)
}

pub(crate) fn exit(result: &Value) -> Exit {
    match read(result) {
        Ok(BenchResult { is_wrong: true, .. }) => Exit::Invalid,
        Ok(BenchResult { figures: Some(_), .. }) => Exit::Fine,
        _ => Exit::Failure,
    }
}

fn in_words(result: &Value) -> String {
    match read(result) {
        Ok(BenchResult { figures: Some(figures), .. }) => {
            let rate = figures.rate.map_or_else(String::new, |(rate, unit)| format!(", {}", unit.show(rate)));
            let share = figures.share.map_or_else(String::new, |share| format!(", {:.1} % of ceiling", 100.0 * share));
            let proof = if figures.proof.is_some() { "" } else { ", unproved" };
            format!("{}{rate}{share}{proof}", figures.shown_time())
        }
        Ok(result) => result.why.unwrap_or_default().lines().next().unwrap_or_default().to_owned(),
        Err(error) => format!("{error:#}"),
    }
}
