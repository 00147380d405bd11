//! Where a comparison happens: the workspace, its repository, this machine's cache directory and lock.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::build::{self, Surroundings, Workspace};
use crate::command::{Interrupt, is_interrupted};
use crate::console::Console;
use crate::exit::usage;
use crate::log::Log;
use crate::repo::Git;
use crate::slot::{Alignment, Slots};

/// What a command takes from its process: collected once, in `main`.
#[derive(Debug)]
pub struct Invocation {
    /// Environment variables, as they came.
    pub variables: Vec<(OsString, OsString)>,
    /// Working directory.
    pub directory: PathBuf,
    /// How the user calls this tool, for messages: `cargo xtask` or `cargo assay`.
    pub called: String,
    /// Output.
    pub console: Console,
    /// Ctrl-C.
    pub interrupt: Interrupt,
}

impl Invocation {
    /// From the running process.
    pub fn of_process(called: &str) -> Result<Self> {
        Ok(Self {
            variables: std::env::vars_os().collect(),
            directory: std::env::current_dir().context("the working directory is gone")?,
            called: called.to_owned(),
            console: Console::standard(),
            interrupt: Interrupt::install()?,
        })
    }

    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<PathBuf> {
        let found = self.variables.iter().find(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| PathBuf::from(value))
    }

    /// The tool's directory in the user's cache directory, created if needed.
    pub fn cache(&self) -> Result<PathBuf> {
        let home = || self.variable("HOME");
        let parent = if cfg!(target_os = "macos") {
            home().map(|home| home.join("Library/Caches"))
        } else if cfg!(windows) {
            self.variable("LOCALAPPDATA")
        } else {
            self.variable("XDG_CACHE_HOME").or_else(|| home().map(|home| home.join(".cache")))
        };
        let cache = parent.ok_or_else(|| usage("no cache directory: HOME is not set"))?.join("assay");
        fs::create_dir_all(&cache).map_err(|error| {
            usage(format!("cannot make {} ({error}); set XDG_CACHE_HOME to a directory with room", cache.display()))
        })?;
        Ok(cache)
    }
}

/// A workspace in a repository.
#[derive(Debug)]
pub struct Project {
    /// The repository.
    pub git: Git,
    /// Root of the workspace.
    pub root: PathBuf,
    /// The same, relative to the top of the work tree.
    pub relative: PathBuf,
    /// Environment for builds and benches.
    pub environment: Vec<(OsString, OsString)>,
    /// Notes on the environment for the report.
    pub notes: Vec<String>,
    /// Its log.
    pub log: Log,
}

impl Project {
    /// The workspace of `manifest` (a Cargo.toml or its directory), or of the working directory.
    pub fn open(invocation: &Invocation, manifest: Option<&Path>) -> Result<Self> {
        let mut environment = build::cleaned(invocation.variables.iter().cloned());
        let mut notes = build::notes(invocation.variables.iter().cloned());
        let start = match manifest {
            None => invocation.directory.clone(),
            Some(path) => {
                let path = invocation.directory.join(path);
                let directory = if path.is_dir() { Some(path.as_path()) } else { path.parent() };
                directory
                    .filter(|directory| directory.join("Cargo.toml").exists())
                    .map(Path::to_owned)
                    .ok_or_else(|| usage(format!("--manifest-path: there is no Cargo.toml at {}", path.display())))?
            }
        };
        let workspace = Workspace::read(&start, &environment).map_err(|error| match is_interrupted(&error) {
            true => error,
            false => {
                usage(format!("{} is not in a Cargo workspace, or its manifest is broken:\n{error:#}", start.display()))
            }
        })?;
        let root = workspace.root().canonicalize().context("the workspace's root is gone")?;
        let mut git = Git::discover(&root)?;
        // Without a cache directory there is no store either; a command that needs one says so.
        if let Ok(cache) = invocation.cache() {
            let store = Slots::directory(&cache, &git).join("store");
            git = git.with_store_if_needed(&store)?;
        }
        if git.store().is_some() {
            notes.push(format!(
                "{} cannot be written: snapshots and worktrees are kept in the cache directory instead",
                git.common_dir().display()
            ));
        }
        let top = git.top().canonicalize().context("the work tree's top is gone")?;
        let relative = root.strip_prefix(&top).map(Path::to_owned).unwrap_or_default();
        if let Some(asked) = invocation.variable("RUSTUP_TOOLCHAIN").filter(|_| invocation.directory.starts_with(&root))
            && build::asked_toolchain(&root, &environment, &asked)
        {
            // `cargo xtask` runs in its own workspace, whose toolchain is not one that the user requested.
            if invocation.called == "cargo assay" {
                environment.push(("RUSTUP_TOOLCHAIN".into(), asked.clone().into()));
                notes.push(format!("both sides are built with the toolchain {}, as asked", asked.display()));
            } else {
                notes.push(format!("RUSTUP_TOOLCHAIN={} in the environment is not used", asked.display()));
            }
        }
        notes.extend(configured_above(&top));
        notes.iter().for_each(|note| invocation.console.note(note));
        let log = Log::open(&root);
        Ok(Self { git, root, relative, environment, notes, log })
    }

    /// Surroundings for a build.
    pub fn surroundings<'a>(&'a self, invocation: &'a Invocation, alignment: Alignment) -> Surroundings<'a> {
        Surroundings {
            alignment,
            environment: &self.environment,
            top: self.git.top(),
            console: &invocation.console,
            interrupt: &invocation.interrupt,
        }
    }

    /// Paths that the log writes, relative to the top of the work tree; the later ones are patterns with a `*`.
    pub fn own_paths(&self) -> Vec<String> {
        let join = |path: &str| self.relative.join(path).to_string_lossy().into_owned();
        Log::own_paths().into_iter().chain(Log::leftover_patterns()).map(join).collect()
    }
}

/// A remark on cargo's configuration above the repository, which does not apply in a slot: slots are in the cache
/// directory.
fn configured_above(top: &Path) -> Option<String> {
    let above = top.ancestors().skip(1).map(|directory| directory.join(".cargo"));
    // Cargo always reads the file in its own home.
    let found = above.filter(|directory| !directory.join("registry").exists()).find_map(|directory| {
        ["config.toml", "config"].into_iter().map(|name| directory.join(name)).find(|path| path.is_file())
    })?;
    Some(format!("{} lies above the repository and is not used: the sides are built elsewhere", found.display()))
}

/// Holds the machine: one comparison at a time. Released when dropped, or by the kernel when the process dies.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock lives as long as the file is open")] File);

/// Takes the machine's lock; prints a note if it has to wait.
pub fn lock(invocation: &Invocation) -> Result<Lock> {
    hold(invocation, &invocation.cache()?.join("lock"), "another comparison is running on this machine")
}

/// Takes the lock of the repository's log. Two runs with different cache directories do not share the machine's lock.
/// The later one would write a log that lacks what the earlier one added.
pub fn lock_log(invocation: &Invocation, git: &Git) -> Result<Lock> {
    let path = git.common_dir().join("assay.lock");
    hold(invocation, &path, "another run is writing the log of this repository")
}

fn hold(invocation: &Invocation, path: &Path, what: &str) -> Result<Lock> {
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .map_err(|error| usage(format!("cannot open the lock file {} ({error})", path.display())))?;
    if file.try_lock().is_err() {
        let mut holder = String::new();
        let _ = file.read_to_string(&mut holder);
        invocation.console.note(&format!("{what} ({}); waiting for it", holder.trim()));
        while file.try_lock().is_err() {
            invocation.interrupt.check()?;
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
    }
    let written =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "process {}", std::process::id()));
    written.with_context(|| format!("failed to write {}; is the disk full?", path.display()))?;
    Ok(Lock(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn invocation(directory: &Path, cache: &Path) -> Invocation {
        let mut variables: Vec<_> = std::env::vars_os().filter(|(key, _)| key != "XDG_CACHE_HOME").collect();
        variables.push(("XDG_CACHE_HOME".into(), cache.into()));
        Invocation {
            variables,
            directory: directory.to_owned(),
            called: "cargo assay".into(),
            console: Console::silent(),
            interrupt: Interrupt::default(),
        }
    }

    #[test]
    fn a_directory_without_a_manifest_is_a_usage_error() {
        let directory = tempfile::tempdir().unwrap();
        let invocation = invocation(directory.path(), directory.path());
        for manifest in [None, Some(Path::new("nowhere/Cargo.toml"))] {
            let error = Project::open(&invocation, manifest).unwrap_err();
            assert_eq!(crate::exit::of_error(&error), crate::exit::Exit::Usage, "{error:#}");
        }
    }

    #[test]
    fn the_machine_is_held_by_one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let invocation = invocation(directory.path(), directory.path());
        let held = lock(&invocation).unwrap();
        let other = File::options().read(true).write(true).open(directory.path().join("assay/lock")).unwrap();
        assert!(other.try_lock().is_err());
        drop(held);
        assert!(other.try_lock().is_ok());
    }
}
