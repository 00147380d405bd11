//! Measures a pack, on any machine: check, describe the machine, measure, record.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use compare::cli;
use compare::command;
use compare::commands;
use compare::comparison::Invocation;
use compare::exit::{Exit, usage};
use machine::Fingerprint;
use machine::noise;
use record::stats;
use regex_lite::Regex;
use tempfile::TempDir;

use crate::elf;
use crate::kind::{self, Conclusion, Measuring, Opened};
use crate::manifest::{FILE, Manifest, SCHEMA};
use crate::records::{self, Plan, Record};

/// What the machine is, beside the records.
pub(crate) const MACHINE: &str = "machine.json";

/// Which units, for how long, and where records go.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Arguments {
    /// Directory of the records; by default beside the pack, named after it
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Stop after about so long, with what is finished then: 240s, 5m
    #[arg(long, value_name = "TIME", value_parser = cli::duration)]
    limit: Option<Duration>,
    /// Only units whose name matches this regular expression
    #[arg(long, value_name = "RE")]
    only: Option<String>,
    /// Print the plan
    #[arg(long)]
    dry_run: bool,
    /// Measure only on a machine of the class that this file names; the first run writes it
    #[arg(long, value_name = "FILE")]
    class_file: Option<PathBuf>,
    /// Directory for what measured processes write; by default below that of the records
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
}

/// Measures the pack in `folder`.
///
/// # Errors
/// A pack that is damaged or not for this machine, records of another pack or machine class, a full disk, an interrupt.
pub fn run(invocation: &Invocation, folder: &Path, arguments: &Arguments) -> Result<Exit> {
    let started = Instant::now();
    let console = &invocation.console;
    let (manifest, pack) = Manifest::read(folder)?;
    manifest.verify(folder)?;
    fits(&manifest)?;
    let only = arguments.only.as_deref().map(Regex::new).transpose();
    let only = only.map_err(|error| usage(format!("--only: {error}")))?;
    let chosen = |units: &[String]| {
        let is_chosen = |unit: &String| only.as_ref().is_none_or(|only| only.is_match(unit));
        let chosen = units.iter().cloned().enumerate().filter(|(_, unit)| is_chosen(unit));
        let chosen: Vec<(usize, String)> = chosen.collect();
        if chosen.is_empty() {
            return Err(usage("no unit matches --only; `--dry-run` without it lists them"));
        }
        Ok(chosen)
    };
    if arguments.dry_run {
        let scratch = tempfile::tempdir().context("failed to make a scratch directory")?;
        let plan = chosen(&kind::open(invocation, folder, &manifest, scratch.path())?.plan())?;
        console.print(&plan.into_iter().map(|(_, unit)| unit).collect::<Vec<_>>().join("\n"))?;
        return Ok(Exit::Fine);
    }
    let out = out(&manifest, folder, invocation, arguments.out.as_deref())?;
    let _lock = lock(&out)?;
    let fingerprint = Fingerprint::collect();
    let class = fingerprint.class();
    whole_file::replace(&out.join(MACHINE), serde_json::to_string_pretty(&fingerprint)?.as_bytes())
        .with_context(|| format!("failed to write in {}; is the disk full?", out.display()))?;
    told(invocation, arguments, &fingerprint)?;
    let scratch = scratch(invocation, &out, arguments.scratch.as_deref())?;
    let mut opened = kind::open(invocation, folder, &manifest, scratch.path())?;
    let units = opened.plan();
    let plan = chosen(&units)?;
    let open = remaining(&out, &pack, &class, &plan)?;
    console.note(&format!(
        "{}: {} of {} units are finished; records go to {}",
        manifest.name,
        plan.len() - open.len(),
        plan.len(),
        out.display()
    ));
    // Import reads both there.
    Plan::keep(&out, &pack, &units)?;
    whole_file::replace(&out.join(FILE), &fs::read(folder.join(FILE))?).context("failed to copy the manifest")?;
    let until = arguments.limit.map(|limit| started + limit);
    let session = Session { invocation, out: &out, pack: &pack, machine: &fingerprint, class: &class, until };
    let inputs = scratch.path().join("inputs");
    let ended = session.measure(&mut *opened, &inputs, (&units, &open));
    drop((opened, scratch));
    let exit = ended?;
    let left = remaining(&out, &pack, &class, &plan)?;
    if left.is_empty() {
        console.print(&format!("all {} units are measured: {}", plan.len(), out.display()))?;
    } else {
        console.print(&format!(
            "{} of {} units are measured: {}\nrun the same command to continue with `{}`",
            plan.len() - left.len(),
            plan.len(),
            out.display(),
            left[0].1
        ))?;
    }
    Ok(exit)
}

/// Whether the programs of the pack can start here.
fn fits(manifest: &Manifest) -> Result<()> {
    let here = crate::pack::target();
    ensure!(manifest.target == here, "the pack is for {}, this machine is {here}", manifest.target);
    let needed = manifest.glibc.as_deref().and_then(elf::parsed);
    if let (Some(needed), Some(here)) = (needed, elf::here())
        && needed > here
    {
        bail!(
            "the pack needs glibc {}, this machine has {}: build it on a system as old as this one",
            elf::shown(needed),
            elf::shown(here)
        );
    }
    Ok(())
}

/// The directory of the records, made if needed.
fn out(manifest: &Manifest, folder: &Path, invocation: &Invocation, asked: Option<&Path>) -> Result<PathBuf> {
    let beside = || folder.parent().unwrap_or(folder).join(format!("{}.records", manifest.name));
    let out = asked.map_or_else(beside, |asked| invocation.directory.join(asked));
    if let Err(error) = fs::create_dir_all(&out) {
        return Err(usage(format!("cannot make {} ({error}): give another directory by --out", out.display())));
    }
    out.canonicalize().with_context(|| format!("{} is gone", out.display()))
}

/// Holds the directory: one run at a time.
fn lock(out: &Path) -> Result<File> {
    let path = out.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| usage(format!("cannot write in {} ({error}); see --out", out.display())))?;
    ensure!(file.try_lock().is_ok(), "another run writes to {}", out.display());
    Ok(file)
}

/// Says what the machine is, and whether it may measure.
fn told(invocation: &Invocation, arguments: &Arguments, fingerprint: &Fingerprint) -> Result<()> {
    match &arguments.class_file {
        // One of many runs of a pack, which need not measure the ceilings each.
        Some(file) => {
            let class = fingerprint.class();
            claim(&invocation.directory.join(file), &class)?;
            invocation.console.print(&format!("Machine class {class}"))
        }
        None => describe(invocation, fingerprint),
    }
}

/// Writes the machine class into a file that many runs share, or compares it with the one there.
fn claim(file: &Path, class: &str) -> Result<()> {
    let failed = || format!("failed to write {}", file.display());
    let mut own = tempfile::NamedTempFile::new_in(file.parent().unwrap_or(file)).with_context(failed)?;
    own.write_all(class.as_bytes()).with_context(failed)?;
    match own.persist_noclobber(file) {
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {}
        other => drop(other.with_context(failed)?),
    }
    let first = fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
    if first.trim() != class {
        let first = first.trim();
        return Err(usage(format!(
            "this machine is of the class {class}, the others of {first}: classes are never mixed"
        )));
    }
    Ok(())
}

/// A new directory for what measured processes write. What killed runs left below the records is removed.
fn scratch(invocation: &Invocation, out: &Path, asked: Option<&Path>) -> Result<TempDir> {
    let own = out.join("scratch");
    let _ = fs::remove_dir_all(&own);
    let parent = match asked {
        Some(asked) => invocation.directory.join(asked),
        None => {
            fs::create_dir_all(&own).with_context(|| format!("failed to make {}; is the disk full?", own.display()))?;
            own
        }
    };
    let made = tempfile::Builder::new().prefix("run-").tempdir_in(&parent);
    made.with_context(|| format!("failed to make a directory in {}; is the disk full?", parent.display()))
}

/// The units that are not measured yet.
fn remaining<'m>(out: &Path, pack: &str, class: &str, plan: &'m [(usize, String)]) -> Result<Vec<(usize, &'m str)>> {
    let mut open = Vec::new();
    for (place, unit) in plan {
        let (place, unit) = (*place, unit.as_str());
        match records::read(&records::path(out, place, unit), pack, unit)? {
            Some(record) if record.class != class => {
                bail!("{} has records of {}, this machine is {class}: use another --out", out.display(), record.class)
            }
            Some(record) if record.error.is_none() => {}
            _ => open.push((place, unit)),
        }
    }
    Ok(open)
}

/// "AMD EPYC with 16 threads, class `…`".
fn words(machine: &Fingerprint) -> String {
    let brand = machine.processor.brand.clone().unwrap_or_else(|| "unknown processor".to_owned());
    format!("{brand} with {} threads, class `{}`", machine.allowed_threads, machine.class())
}

/// Says what the machine is.
fn describe(invocation: &Invocation, fingerprint: &Fingerprint) -> Result<()> {
    commands::describe_machine(invocation, fingerprint)?;
    let query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"];
    let gpus = command::stdout_of(Command::new("nvidia-smi").args(query));
    let gpus = gpus.map_or_else(|_| "none that nvidia-smi reports".to_owned(), |gpus| gpus.trim().to_owned());
    invocation.console.print(&format!("GPU: {gpus}\n"))
}

/// Records what all records in `out` say together, as the last run of the pack would on that machine, with more notes.
pub(crate) fn conclude(
    invocation: &Invocation,
    (folder, manifest, pack): (&Path, &Manifest, &str),
    out: &Path,
    (machine, notes): (&Fingerprint, &[String]),
) -> Result<()> {
    let scratch = scratch(invocation, out, None)?;
    let mut opened = kind::open(invocation, folder, manifest, scratch.path())?;
    let class = machine.class();
    let session = Session { invocation, out, pack, machine, class: &class, until: None };
    let inputs = scratch.path().join("inputs");
    let mut measuring = opened.measuring(invocation, &inputs);
    let total_s = session.remember(&mut *measuring, &manifest.plan)?;
    session.conclude(&*measuring, total_s, notes).map(drop)
}

/// One call of `run`.
struct Session<'a> {
    invocation: &'a Invocation,
    out: &'a Path,
    pack: &'a str,
    machine: &'a Fingerprint,
    class: &'a str,
    /// When the limit ends.
    until: Option<Instant>,
}

impl Session<'_> {
    fn left_s(&self) -> f64 {
        self.until.map_or(f64::INFINITY, |until| until.saturating_duration_since(Instant::now()).as_secs_f64())
    }

    /// Measures units until the limit.
    fn measure(
        &self,
        opened: &mut dyn Opened,
        scratch: &Path,
        (units, open): (&[String], &[(usize, &str)]),
    ) -> Result<Exit> {
        let console = &self.invocation.console;
        let mut measuring = opened.measuring(self.invocation, scratch);
        let mut total_s = self.remember(&mut *measuring, units)?;
        let mut seconds = Vec::new();
        let mut exit = Exit::Fine;
        for (number, &(place, unit)) in open.iter().enumerate() {
            let estimate = estimate(&seconds);
            if self.left_s() < estimate.max(0.5) {
                console.note(&format!("the limit ends: `{unit}` would take about {estimate:.0} s"));
                break;
            }
            let (before, start) = (noise::Sample::take(), Instant::now());
            let goes_on = || self.left_s() > 0.0;
            let (result, error) = match measuring.unit(place, &goes_on) {
                Ok(Some(result)) => (result, None),
                Ok(None) => {
                    console.note(&format!("the limit ended within `{unit}`, which is measured again next time"));
                    break;
                }
                Err(error) => {
                    self.invocation.interrupt.check().context("run the same command to continue")?;
                    (serde_json::Value::Null, Some(format!("{error:#}")))
                }
            };
            let took = start.elapsed().as_secs_f64();
            seconds.push(took);
            total_s += took;
            exit = exit.max(if error.is_some() { Exit::Failure } else { measuring.exit(&result) });
            let told = error.clone().unwrap_or_else(|| measuring.in_words(place, &result));
            let record = self.record(unit, (start, &before), result, error);
            records::write(&records::path(self.out, place, unit), &record)?;
            let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
            let rest = mean * (open.len() - number - 1) as f64;
            let rest = if rest < 100.0 { format!("{rest:.0} s") } else { format!("{:.0} min", rest / 60.0) };
            console.note(&format!("{}/{} {unit} ({took:.1} s; about {rest} left): {told}", number + 1, open.len()));
        }
        let Some(conclusion) = self.conclude(&*measuring, total_s, &[])? else { return Ok(exit) };
        console.print(&conclusion.text)?;
        Ok(exit.max(conclusion.exit))
    }

    /// Takes back what is recorded. Gives the seconds that it took.
    fn remember(&self, measuring: &mut dyn Measuring, units: &[String]) -> Result<f64> {
        let mut total_s = 0.0;
        for (place, unit) in units.iter().enumerate() {
            let known = records::read(&records::path(self.out, place, unit), self.pack, unit)?;
            if let Some(record) = known.filter(|record| record.error.is_none()) {
                measuring.remember(place, &record.result)?;
                total_s += record.seconds;
            }
        }
        Ok(total_s)
    }

    /// Records what all units together say, if that is more than each of them.
    fn conclude(&self, measuring: &dyn Measuring, total_s: f64, notes: &[String]) -> Result<Option<Conclusion>> {
        let Some(conclusion) = measuring.conclusion(total_s, self.machine, notes)? else { return Ok(None) };
        let start = (Instant::now(), &noise::Sample::take());
        let record = self.record("conclusion", start, conclusion.result.clone(), None);
        records::write(&self.out.join(records::CONCLUSION), &record)?;
        Ok(Some(conclusion))
    }

    /// A record of now, for what began at a time and a sample of the machine.
    fn record(
        &self,
        unit: &str,
        (start, before): (Instant, &noise::Sample),
        result: serde_json::Value,
        error: Option<String>,
    ) -> Record {
        let took = start.elapsed();
        let began = jiff::Timestamp::now() - took;
        Record {
            schema: SCHEMA,
            pack: self.pack.to_owned(),
            unit: unit.to_owned(),
            class: self.class.to_owned(),
            machine: words(self.machine),
            began: began.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            seconds: took.as_secs_f64(),
            noise: noise::Sample::take().since(before),
            result,
            error,
        }
    }
}

/// Seconds that the next unit takes, from those before. The first one also started processes that the others share.
fn estimate(seconds: &[f64]) -> f64 {
    let first = seconds.first().map_or(0.0, |first| first / 2.0);
    stats::median(seconds.get(1..).unwrap_or_default()).unwrap_or(first)
}
