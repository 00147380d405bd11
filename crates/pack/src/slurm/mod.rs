//! `run NAME --slurm` and `compare --slurm`: a pack that the nodes of a cluster measure, by the cluster's own Slurm.
//!
//! A job is a folder that this machine and the nodes share (`job`): the pack, and a list of tasks (`tasks`). A
//! task is one cell of a scenario or one benchmark of a comparison, with all its units, so that what is divided by each
//! other was measured on one node. Tasks are elements of an array job; each calls the pack's `run` with `--only` and a
//! directory of records of its own. Here nothing is scheduled: `watch` submits what is not in the queue (`queue`)
//! and not measured, gathers records, and asks again.
//!
//! Records are the only truth about what is measured. What is in the queue, Slurm knows: the job's name is made of the
//! request and the state of the work tree, so the same command finds its job again, whatever happened in between.
//!
//! Nodes of different machine classes never mix: the first task writes its class into the folder, and `run` measures
//! nothing on a machine of another one. Its node is left out when the task is submitted again.

mod job;
mod queue;
mod standing;
mod tasks;
mod watch;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use compare::cli;
use compare::comparison::{Invocation, Project};
use compare::exit::{Exit, usage};
use compare::repo::Snapshot;

use crate::checksum;
use crate::folder::MOST_SHARED_BYTES;
use crate::import;
use crate::pack::{self, Packable};

pub use job::Job;

/// How Slurm is used.
// Without a group, whose name would be that of the other arguments of the command.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Arguments {
    /// Measure on the nodes of a cluster, as a job of Slurm; this machine builds, waits and gathers
    #[arg(long)]
    slurm: bool,
    /// More options for `sbatch`, separated by blanks: "--partition=p --constraint=c"
    #[arg(long, value_name = "OPTIONS", requires = "slurm", allow_hyphen_values = true)]
    sbatch: Option<String>,
    /// Folder that this machine and all nodes share [default: target/slurm]
    #[arg(long, value_name = "DIR", requires = "slurm")]
    shared: Option<PathBuf>,
    /// So many processors of a node for each task [default: a whole node]
    #[arg(long, value_name = "N", requires = "slurm")]
    cpus: Option<NonZeroU32>,
    /// Time between two looks at the queue
    #[arg(long, value_name = "TIME", requires = "slurm", default_value = "10s", value_parser = cli::duration)]
    poll: Duration,
}

/// Arguments of a command that measures here or by Slurm.
#[derive(Debug, Clone, clap::Args)]
pub struct OrSlurm<T: clap::Args> {
    /// The command.
    #[command(flatten)]
    pub here: T,
    /// Slurm.
    #[command(flatten)]
    pub slurm: Arguments,
}

impl<T: clap::Args> OrSlurm<T> {
    /// Whether Slurm is asked for.
    pub fn is_slurm(&self) -> bool {
        self.slurm.slurm
    }
}

impl AsRef<cli::Compare> for OrSlurm<cli::Compare> {
    fn as_ref(&self) -> &cli::Compare {
        &self.here
    }
}

/// Runs `run NAME --slurm`.
///
/// # Errors
/// What `run` reports before it measures, a cluster that takes no job, tasks that fail again and again, an interrupt.
pub fn run(invocation: &Invocation, root: &Path, arguments: &OrSlurm<scenarios::Arguments>) -> Result<Exit> {
    let scenarios::Arguments { name, choice, again, dry_run, seed, render } = &arguments.here;
    if *render || seed.is_some() {
        return Err(usage("--render measures nothing, and Slurm has its own order: leave out --slurm, or --seed"));
    }
    let name = name.clone().ok_or_else(|| usage("say which scenario: `cargo xtask run` lists them"))?;
    let what = Packable::Scenario { name, choice: choice.clone(), with_loader: false };
    let job = open(invocation, root, &what, &arguments.slurm)?;
    if *again {
        job.forget(&invocation.console)?;
    }
    build(invocation, root, &what, &job)?;
    if *dry_run {
        invocation.console.print(&job.tasks()?.join("\n"))?;
        return Ok(Exit::Fine);
    }
    // What is measured stays: the same command shows the report again.
    measured(invocation, root, &job, (&arguments.slurm, false))
}

/// Runs `compare --slurm`.
///
/// # Errors
/// As [`run()`].
pub fn compare(invocation: &Invocation, root: &Path, arguments: &OrSlurm<cli::Compare>) -> Result<Exit> {
    invocation.console.set_quiet(arguments.here.scope.quiet);
    // How it is reported is no matter of the pack.
    let what = Packable::Compare(Box::new(cli::Compare { json: false, ..arguments.here.clone() }));
    let job = open(invocation, root, &what, &arguments.slurm)?;
    build(invocation, root, &what, &job)?;
    let exit = measured(invocation, root, &job, (&arguments.slurm, arguments.here.json))?;
    // The next comparison measures anew.
    job.remove()?;
    Ok(exit)
}

/// The job of a request in the present state of the work tree.
fn open(invocation: &Invocation, root: &Path, what: &Packable, arguments: &Arguments) -> Result<Job> {
    queue::find()?;
    let project = Project::open(invocation, Some(root))?;
    let state = Snapshot::of_work_tree(&project.git, &project.own_paths())?;
    let own = match what {
        Packable::Scenario { choice, .. } => choice.own_state()?,
        _ => String::new(),
    };
    let request = format!("{}\n{}\n{what:?}\n{own}", root.display(), state.commit);
    let name = format!("{}-{:.10}", what.name(), checksum::of(request.as_bytes()));
    let shared = arguments.shared.as_ref().map(|shared| invocation.directory.join(shared));
    Job::open(&shared.unwrap_or_else(|| root.join("target/slurm")).join(&name), &name)
}

/// Writes the pack of a job, unless an earlier call has.
fn build(invocation: &Invocation, root: &Path, what: &Packable, job: &Job) -> Result<()> {
    if job.is_built() {
        invocation.console.note(&format!("going on with the job in {}", job.folder().display()));
        return Ok(());
    }
    let part = job.folder().join("pack.part");
    pack::write(invocation, root, what, (job.name(), &part, MOST_SHARED_BYTES))?;
    job.begin(&part)
}

/// Measures a job and imports its records; a comparison is shown as a table or as JSON.
fn measured(invocation: &Invocation, root: &Path, job: &Job, (arguments, json): (&Arguments, bool)) -> Result<Exit> {
    let records = job.measure(invocation, arguments)?;
    import::import_directory(invocation, root, &records, json)
        .with_context(|| format!("the records are kept: `cargo xtask import {}`", records.display()))
}
