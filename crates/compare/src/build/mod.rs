//! Builds one side: the bench programs of a revision, compiled with the project's own settings.

mod config;
mod dependencies;
mod environment;
pub mod identical;
mod outside;
mod relink;
mod workspace;
mod wrapper;

pub use dependencies::difference;
pub use environment::{asked_toolchain, cleaned, notes};
pub use relink::Link;
pub use workspace::{Selected, Workspace};

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use cargo_metadata::Message;

use crate::bench::{Program, Protocol};
use crate::child::{Group, die_with_parent};
use crate::command::{self, Interrupt};
use crate::console::Console;
use crate::disk;
use crate::slot::{Alignment, Slot};

/// What the user wants built.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Packages (`-p`); empty means every package that has benches.
    pub packages: Vec<String>,
    /// Bench targets (`--bench`); empty means all.
    pub benches: Vec<String>,
    /// `--features`, as given.
    pub features: Option<String>,
    /// A scenario and restrictions of its axes: if set, the program `assay` is built instead of benches.
    pub scenario: Option<(String, Vec<String>)>,
}

impl Wanted {
    fn protocol(&self) -> Protocol {
        match &self.scenario {
            None => Protocol::Criterion,
            Some((scenario, set)) => Protocol::Cells { scenario: scenario.clone(), set: set.clone() },
        }
    }

    /// Whether a target is of the kind that is measured.
    fn takes(&self, target: &cargo_metadata::Target) -> bool {
        match &self.scenario {
            None => target.is_bench() && (self.benches.is_empty() || self.benches.contains(&target.name)),
            Some(_) => target.is_bin() && target.name == "assay",
        }
    }
}

/// Name of the head's side in messages; the other side is "base".
pub const HEAD: &str = "head";

/// One bench program of one side.
#[derive(Clone, Debug)]
pub struct Target {
    /// Package name.
    pub package: String,
    /// Bench target name.
    pub name: String,
    /// Source file of the target, relative to the top of the work tree.
    pub source: String,
    /// The plain link, copied out of the target directory.
    pub program: Program,
    /// How to link it again, where the linker could be recorded.
    pub link: Option<Link>,
}

/// A bench target that was not built, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Package name.
    pub package: String,
    /// Bench target name.
    pub name: String,
    /// The reason, and how to fix it.
    pub reason: String,
}

/// One side, built.
#[derive(Clone, Debug)]
pub struct Built {
    /// The bench programs.
    pub targets: Vec<Target>,
    /// Targets that need features that are off.
    pub skipped: Vec<Skipped>,
    /// First line of `rustc -vV` in the slot.
    pub rustc: String,
    /// Directory of the workspace in the slot.
    pub workspace: PathBuf,
    /// Where the use of cargo's configuration differs from `cargo bench`, and what lies outside the repository.
    pub notes: Vec<String>,
}

/// Everything a build needs to know about where it runs.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// Environment without variables of another workspace.
    pub environment: &'a [(OsString, OsString)],
    /// Top of the user's work tree, beside which path dependencies may lie.
    pub top: &'a Path,
    /// Where progress is shown.
    pub console: &'a Console,
    /// Ctrl-C.
    pub interrupt: &'a Interrupt,
    /// Alignment of functions.
    pub alignment: Alignment,
}

/// A revision that cargo could not build; the text gives the reason.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DoesNotBuild(String);

/// Builds the wanted benches of the revision that is checked out in `slot`. `side` names it in messages; `workspace`
/// is the workspace's directory relative to the top of the work tree; `lock` is the `Cargo.lock` to use where the
/// revision has none of its own.
pub fn build(
    side: &str,
    slot: &Slot,
    workspace: &Path,
    wanted: &Wanted,
    lock: Option<&Path>,
    surroundings: &Surroundings<'_>,
) -> Result<Built> {
    let directory = slot.tree().join(workspace);
    if !directory.join("Cargo.toml").exists() {
        bail!(
            "{side} has no Cargo.toml in {}",
            if workspace.as_os_str().is_empty() { Path::new(".") } else { workspace }.display()
        );
    }
    let own_lock = directory.join("Cargo.lock").exists();
    if let (false, Some(lock)) = (own_lock, lock) {
        fs::copy(lock, directory.join("Cargo.lock")).context("failed to copy Cargo.lock into the slot")?;
    }
    let (read, mut notes) = read_workspace(side, slot, &directory, surroundings)?;
    if side == HEAD {
        read.check(wanted)?;
    }
    let (rustc, takes_unstable) = compiler(&directory, surroundings.environment)?;
    let selected = read.select(wanted, takes_unstable);
    if selected.targets.is_empty() {
        return Ok(Built { targets: Vec::new(), skipped: selected.skipped, rustc, workspace: directory, notes });
    }
    let config = config::Config::read(&directory, surroundings.environment);
    let wrapper = wrapper::Wrapper::install(slot, &config)?;
    let mut messages = Vec::new();
    for (package, arguments) in selected.calls(wanted) {
        let mut cargo = command::in_directory("cargo", &directory);
        cargo.env_clear().envs(surroundings.environment.iter().map(|(key, value)| (key, value)));
        let build: &[&str] = if wanted.scenario.is_some() { &["build", "--release"] } else { &["bench", "--no-run"] };
        cargo.args(build).args(["--message-format=json-render-diagnostics", "--target-dir"]);
        cargo.arg(slot.target(surroundings.alignment));
        if own_lock {
            cargo.arg("--locked");
        }
        cargo.args(arguments);
        wrapper.apply(&mut cargo, surroundings.alignment);
        messages.extend(run_cargo((side, package), &mut cargo, &slot.build_log(), surroundings)?);
    }
    let mut targets = collect(slot, &directory, &selected, wanted, &messages, surroundings)?;
    let variables = config.variables();
    for target in &mut targets {
        // Variables that cargo itself sets for a bench override the configuration.
        let own: Vec<OsString> = target.program.environment.iter().map(|(key, _)| key.clone()).collect();
        let forced = |key: &OsString| surroundings.environment.iter().any(|(set, _)| set == key);
        let added = variables.iter().filter(|(key, _)| !own.contains(key) || forced(key));
        target.program.environment.extend(added.cloned());
    }
    let runner = config.started_through().map(|runner| {
        format!("the runner `{runner}` of cargo's configuration is not used: benches are started directly")
    });
    notes.extend(runner);
    Ok(Built { targets, skipped: selected.skipped, rustc, workspace: directory, notes })
}

/// Reads the workspace in `directory` of the slot, and leads its path dependencies to where the user's work tree has
/// them. Returns the remarks on those outside the repository.
fn read_workspace(
    side: &str,
    slot: &Slot,
    directory: &Path,
    surroundings: &Surroundings<'_>,
) -> Result<(Workspace, Vec<String>)> {
    let read = || {
        Workspace::read(directory, surroundings.environment)
            .with_context(|| format!("failed to read the workspace of {side}"))
    };
    let tree = slot.tree().canonicalize().context("the slot's work tree is gone")?;
    let mut workspace = read()?;
    let mut remarks = BTreeSet::new();
    // A path that is led back into the tree may add a member, with dependencies of its own.
    while outside::refer_outside(&tree, surroundings.top, &workspace.manifests(), &mut remarks)? {
        workspace = read()?;
    }
    Ok((workspace, remarks.into_iter().collect()))
}

/// Runs cargo, shows its progress, and returns its messages. If it fails, its last lines are in the error, and all that
/// it said is in the file `slot_log`.
fn run_cargo(
    (side, package): (&str, &str),
    cargo: &mut std::process::Command,
    slot_log: &Path,
    surroundings: &Surroundings<'_>,
) -> Result<Vec<Message>> {
    cargo.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    die_with_parent(cargo);
    let mut group = Group::spawn(cargo).context("is cargo on the PATH?")?;
    let id = group.id();
    let child = group.child();
    let (stdout, stderr) = (child.stdout.take().context("no pipe")?, child.stderr.take().context("no pipe")?);
    let spinner = surroundings.console.spinner(&format!("building {side}: {package}"));
    let ended = AtomicBool::new(false);
    let (messages, log) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut log = String::new();
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                spinner.say(line.trim());
                log.push_str(&line);
                log.push('\n');
            }
            log
        });
        // Cargo runs in its own process group, which Ctrl-C does not reach: forward the interrupt.
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                if surroundings.interrupt.is_set() {
                    Group::kill_group(id);
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        });
        let messages: Vec<Message> = Message::parse_stream(BufReader::new(stdout)).map_while(Result::ok).collect();
        let log = reader.join().unwrap_or_default();
        ended.store(true, Ordering::Relaxed);
        (messages, log)
    });
    let status = group.child().wait().context("failed to wait for cargo")?;
    spinner.finish();
    surroundings.interrupt.check()?;
    if !status.success() {
        let kept = command::keep_log(slot_log, &log)
            .map_or_else(String::new, |path| format!("\nall of it: {}", path.display()));
        let said = format!(
            "{side} does not build ({status}); the last lines of `{}`:\n{}{kept}",
            command::shown(cargo),
            command::tail(log.as_bytes())
        );
        // A revision is not to blame for the disk.
        return Err(match disk::full(&log, slot_log) {
            Some(full) => anyhow::anyhow!(said).context(full),
            None => anyhow::Error::new(DoesNotBuild(said + &advice(&log))),
        });
    }
    Ok(messages)
}

/// What to do about a failed build, if its last lines show it.
fn advice(log: &str) -> String {
    let has = |words: &[&str]| words.iter().any(|word| log.contains(word));
    let broken = log.lines().find_map(|line| Some(line.split_once("(bench \"")?.1.split_once('"')?.0));
    if has(&["--locked"]) {
        "\nIts Cargo.lock does not fit its Cargo.toml: run `cargo update --workspace` there and commit it.".to_owned()
    } else if has(&["is not installed"]) {
        "\nInstall the toolchain that this revision asks for: rustup toolchain install NAME.".to_owned()
    } else if let Some(bench) = broken {
        format!("\nTo leave the bench `{bench}` out, name the others: --bench NAME.")
    } else {
        String::new()
    }
}

/// Copies the bench executables out of the target directory and adds the environment that `cargo bench` would set.
fn collect(
    slot: &Slot,
    directory: &Path,
    selected: &Selected,
    wanted: &Wanted,
    messages: &[Message],
    surroundings: &Surroundings<'_>,
) -> Result<Vec<Target>> {
    let programs = slot.programs(surroundings.alignment);
    let _ = fs::remove_dir_all(&programs);
    fs::create_dir_all(&programs).with_context(|| format!("failed to make {}", programs.display()))?;
    let libraries = library_path(&slot.target(surroundings.alignment), directory, surroundings.environment, messages);
    let mut targets = Vec::new();
    for message in messages {
        let Message::CompilerArtifact(artifact) = message else { continue };
        let (true, Some(executable)) = (wanted.takes(&artifact.target), &artifact.executable) else { continue };
        let Some((package, target)) = selected.find(&artifact.package_id, &artifact.target.name) else { continue };
        let copy = programs.join(format!("{:03}-0000", targets.len()));
        fs::copy(executable, &copy).with_context(|| format!("failed to copy {executable}; is the disk full?"))?;
        let source = target.src_path.as_std_path();
        targets.push(Target {
            package: package.name.to_string(),
            name: target.name.clone(),
            source: source.strip_prefix(slot.tree()).unwrap_or(source).to_string_lossy().into_owned(),
            program: Program {
                protocol: wanted.protocol(),
                executable: copy,
                processor: None,
                directory: package.manifest_path.parent().map_or_else(|| directory.to_owned(), |path| path.into()),
                environment: environment::of_bench(surroundings.environment, package, messages, &libraries),
            },
            link: Link::recorded(executable.as_std_path()),
        });
    }
    Ok(targets)
}

/// What `rustc --version` says in `directory`, and whether that compiler takes unstable features.
pub fn compiler(directory: &Path, environment: &[(OsString, OsString)]) -> Result<(String, bool)> {
    let mut rustc = command::in_directory("rustc", directory);
    rustc.env_clear().envs(environment.iter().map(|(key, value)| (key, value))).arg("--version");
    let version = command::stdout_of(&mut rustc)?.trim().to_owned();
    let bootstraps = environment.iter().any(|(key, _)| key == "RUSTC_BOOTSTRAP");
    let takes_unstable = bootstraps || version.contains("-nightly") || version.contains("-dev");
    Ok((version, takes_unstable))
}

/// Directories of dynamic libraries, as cargo sets them: build scripts' link paths, the target directory, the
/// toolchain.
fn library_path(
    target: &Path,
    directory: &Path,
    environment: &[(OsString, OsString)],
    messages: &[Message],
) -> Vec<PathBuf> {
    let linked = |message: &Message| match message {
        Message::BuildScriptExecuted(script) => script
            .linked_paths
            .iter()
            .map(|path| path.as_str())
            .map(|path| PathBuf::from(path.split_once('=').map_or(path, |(_, path)| path)))
            .filter(|path| path.starts_with(target))
            .collect(),
        _ => Vec::new(),
    };
    let mut path: Vec<PathBuf> = messages.iter().flat_map(linked).collect();
    path.extend([target.join("release/deps"), target.join("release")]);
    let mut rustc = command::in_directory("rustc", directory);
    rustc.env_clear().envs(environment.iter().map(|(key, value)| (key, value))).args(["--print", "sysroot"]);
    if let Ok(sysroot) = command::stdout_of(&mut rustc) {
        path.push(Path::new(sysroot.trim()).join("lib"));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::advice;

    #[test]
    fn failed_builds_come_with_advice() {
        for (log, cure) in [
            ("error: the lock file needs to be updated but --locked was passed", "cargo update --workspace"),
            ("error: toolchain 'nightly-2020-01-01' is not installed", "rustup toolchain install"),
            ("error: could not compile `x` (bench \"old\") due to 1 previous error", "leave the bench `old` out"),
        ] {
            assert!(advice(log).contains(cure), "{log}: {}", advice(log));
        }
        assert_eq!(advice("error[E0308]: mismatched types"), "");
    }
}
