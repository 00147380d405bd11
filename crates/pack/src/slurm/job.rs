//! The folder of a job, which this machine and the nodes share.
//!
//! ```text
//! pack/            what is measured
//! tasks            one line a task: what `run --only` takes
//! task.sh          what Slurm runs
//! class            the machine class, written by the task that starts first
//! measured/N/      records of task N, and the node where it ran last
//! logs/            what tasks printed
//! records/         all records, as `run` leaves them and `import` takes them
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use compare::comparison::Invocation;
use compare::console::Console;
use machine::Fingerprint;

use super::tasks::{Task, tasks};
use super::watch::Watch;
use super::{Arguments, queue};
use crate::manifest::Manifest;
use crate::run::MACHINE;

/// What Slurm runs.
const SCRIPT: &str = include_str!("task.sh");

/// A pack that a cluster measures.
#[derive(Clone, Debug)]
pub struct Job {
    folder: PathBuf,
    name: String,
}

impl Job {
    /// The job of this name in `folder`, which is made if needed.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(folder: &Path, name: &str) -> Result<Self> {
        let make = || format!("failed to make {}; --shared names another folder", folder.display());
        fs::create_dir_all(folder).with_context(make)?;
        Ok(Self { folder: folder.canonicalize().with_context(make)?, name: name.to_owned() })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn pack(&self) -> PathBuf {
        self.folder.join("pack")
    }

    /// Where all records come together.
    pub(super) fn records(&self) -> PathBuf {
        self.folder.join("records")
    }

    /// Records of one task.
    pub(super) fn measured(&self, task: usize) -> PathBuf {
        self.folder.join("measured").join(task.to_string())
    }

    /// Whether the pack is there.
    pub(super) fn is_built(&self) -> bool {
        self.pack().is_dir()
    }

    /// Takes a pack from `part`, a folder beside it. From then on the job can be submitted.
    ///
    /// # Errors
    /// A pack that Slurm does not measure, or a full disk.
    pub fn begin(&self, part: &Path) -> Result<()> {
        let tasks = tasks(&Manifest::read(part)?.0)?;
        for directory in ["logs", "measured", "records"] {
            fs::create_dir_all(self.folder.join(directory)).context("failed to make the folders of a job")?;
        }
        let lines: String = tasks.iter().map(|task| format!("{}\n", task.only)).collect();
        for (name, text) in [("tasks", lines.as_str()), ("task.sh", SCRIPT)] {
            let path = self.folder.join(name);
            whole_file::replace(&path, text.as_bytes())
                .with_context(|| format!("failed to write {}; is the disk full?", path.display()))?;
        }
        fs::rename(part, self.pack()).context("failed to put the pack into its place")
    }

    /// Names of the tasks.
    pub(super) fn tasks(&self) -> Result<Vec<String>> {
        Ok(tasks(&Manifest::read(&self.pack())?.0)?.into_iter().map(|task| task.name).collect())
    }

    /// Submits what is not measured, until everything is. Gives the directory of the records, which can be imported.
    ///
    /// # Errors
    /// A cluster that refuses the job or never starts it, tasks that fail again and again, a job that somebody else
    /// cancelled, an interrupt. The job is cancelled then; its records stay.
    pub fn measure(&self, invocation: &Invocation, arguments: &Arguments) -> Result<PathBuf> {
        let _lock = self.lock()?;
        let pack = self.pack();
        let (manifest, identity) = Manifest::read(&pack)?;
        manifest.verify(&pack)?;
        let tasks: Vec<Task> = tasks(&manifest)?;
        Watch::new(invocation, arguments, self, (&manifest, &identity), &tasks).finish()?;
        Ok(self.records())
    }

    /// Cancels the job, and removes what it measured and its pack.
    pub(super) fn forget(&self, console: &Console) -> Result<()> {
        let _lock = self.lock()?;
        if self.is_built() {
            match queue::look(&self.name, self.tasks()?.len())? {
                Ok(elements) => {
                    let active = elements.iter().filter(|element| !element.is_ended()).map(|element| element.job);
                    if let Err(why) = queue::cancel(&active.collect()) {
                        bail!("the job {} cannot be cancelled: {why}", self.name);
                    }
                }
                Err(why) => console.note(&why),
            }
        }
        self.remove()?;
        fs::create_dir_all(&self.folder).context("failed to make the folder of a job")
    }

    /// Removes the folder.
    pub(super) fn remove(&self) -> Result<()> {
        fs::remove_dir_all(&self.folder).with_context(|| format!("failed to remove {}", self.folder.display()))
    }

    /// One command watches a job.
    fn lock(&self) -> Result<File> {
        let path = self.folder.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("failed to write {}", path.display()))?;
        ensure!(file.try_lock().is_ok(), "another command watches the job in {}", self.folder.display());
        Ok(file)
    }

    /// The machine class of the job; `None` before its first task.
    pub(super) fn class(&self) -> Result<Option<String>> {
        Ok(read(&self.folder.join("class"))?.map(|class| class.trim().to_owned()))
    }

    /// Where a task ran last, if it says.
    pub(super) fn node(&self, task: usize) -> Result<Option<String>> {
        Ok(read(&self.measured(task).join("node"))?.map(|node| node.trim().to_owned()).filter(|node| !node.is_empty()))
    }

    /// The machine where a task ran last, if it says.
    pub(super) fn machine(&self, task: usize) -> Result<Option<Fingerprint>> {
        // Half a file of a node that went down says nothing.
        Ok(read(&self.measured(task).join(MACHINE))?.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// The last lines that a task printed.
    pub(super) fn log(&self, job: u64, element: usize) -> String {
        let bytes = fs::read(self.folder.join("logs").join(format!("{job}_{element}.log"))).unwrap_or_default();
        compare::command::tail(&bytes)
    }
}

/// The text of a file; `None` if there is none.
fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).with_context(|| format!("failed to read {}", path.display())),
    }
}
