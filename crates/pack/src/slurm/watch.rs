//! Watches a job until all of it is measured: gathers records, looks at the queue, submits what is in neither.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use compare::command;
use compare::comparison::Invocation;
use compare::console::Progress;
use compare::exit::usage;

use super::queue::{self, ARRAY, Element, Submission, Submitted};
use super::standing::{Next, SUBMISSIONS, Standing};
use super::tasks::Task;
use super::{Arguments, Job};
use crate::manifest::{FILE, Manifest};
use crate::records::{self, Plan};
use crate::run::conclude;

/// Between two questions whether the user interrupts.
const SLICE: Duration = Duration::from_millis(100);

/// A job that is being measured.
pub(super) struct Watch<'a> {
    invocation: &'a Invocation,
    arguments: &'a Arguments,
    job: &'a Job,
    manifest: &'a Manifest,
    /// Identity of the pack.
    pack: &'a str,
    tasks: &'a [Task],
    standings: Vec<Standing>,
    /// Jobs that this command submitted or found in the queue.
    jobs: BTreeSet<u64>,
    /// Nodes of another machine class.
    foreign: BTreeSet<String>,
    /// Tasks that are submitted at once; fewer while the queue is full.
    most: usize,
    /// What was said last of the cluster's trouble.
    said: String,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        invocation: &'a Invocation,
        arguments: &'a Arguments,
        job: &'a Job,
        (manifest, pack): (&'a Manifest, &'a str),
        tasks: &'a [Task],
    ) -> Self {
        let standing = |task: &Task| Standing { units: task.units.len(), ..Standing::default() };
        let standings = tasks.iter().map(standing).collect();
        let (jobs, foreign) = (BTreeSet::new(), BTreeSet::new());
        let said = String::new();
        Self { invocation, arguments, job, manifest, pack, tasks, standings, jobs, foreign, most: ARRAY, said }
    }

    /// Until every task is measured or given up. On an error, an interrupt included, the job is cancelled.
    pub(super) fn finish(mut self) -> Result<()> {
        if let Err(error) = self.watch() {
            let jobs = self.jobs.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
            let cancelled = match queue::cancel(&self.jobs) {
                Ok(()) if jobs.is_empty() => "there is no job".to_owned(),
                Ok(()) => format!("job {jobs} is cancelled"),
                Err(why) => format!("job {jobs} could not be cancelled ({why}): `scancel {jobs}`"),
            };
            let (kept, all) = (self.measured(), self.manifest.plan.len());
            return Err(error.context(format!(
                "{cancelled}; {kept} of {all} units are measured and kept: the same command goes on"
            )));
        }
        self.conclude()?;
        self.check()
    }

    fn measured(&self) -> usize {
        self.standings.iter().map(|standing| standing.measured.len()).sum()
    }

    fn watch(&mut self) -> Result<()> {
        let console = &self.invocation.console;
        self.gather(None)?;
        let (done, all) = (self.measured(), self.manifest.plan.len());
        console.note(&format!(
            "{}: {}, {done} of {all} units are measured; in {}",
            self.job.name(),
            counted(self.tasks.len(), "task"),
            self.job.folder().display()
        ));
        let progress = console.bar("measuring by Slurm", (all - done) as u64, "units");
        while self.standings.iter().any(Standing::is_open) {
            match queue::look(self.job.name(), self.tasks.len())? {
                Ok(elements) => {
                    // After the look: what ended before it has its records by now.
                    self.gather(Some(&progress))?;
                    progress.say(&in_words(&elements));
                    self.step(&elements)?;
                }
                Err(why) => self.trouble(&why),
            }
            if self.standings.iter().any(Standing::is_open) {
                self.pause()?;
            }
        }
        progress.finish();
        Ok(())
    }

    /// Says what keeps the cluster from answering, once.
    fn trouble(&mut self, why: &str) {
        if self.said != why {
            self.invocation.console.note(&format!("waiting: {why}"));
            why.clone_into(&mut self.said);
        }
    }

    fn pause(&self) -> Result<()> {
        let until = Instant::now() + self.arguments.poll;
        loop {
            self.invocation.interrupt.check()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(SLICE));
        }
    }

    /// Copies new records to where all come together.
    fn gather(&mut self, progress: Option<&Progress>) -> Result<()> {
        let Some(class) = self.job.class()? else { return Ok(()) };
        let out = self.job.records();
        for (number, (task, standing)) in self.tasks.iter().zip(&mut self.standings).enumerate() {
            let directory = self.job.measured(number);
            if !standing.is_open() || !directory.is_dir() {
                continue;
            }
            let mut is_more = false;
            for &place in task.units.iter().filter(|place| !standing.measured.contains(place)).collect::<Vec<_>>() {
                let unit = &self.manifest.plan[place];
                let path = records::path(&directory, place, unit);
                let Some(record) = records::read(&path, self.pack, unit)? else { continue };
                ensure!(record.class == class, "{} is of {}, the job is of {class}", path.display(), record.class);
                if record.error.is_some() {
                    continue;
                }
                records::write(&records::path(&out, place, unit), &record)?;
                standing.measured.insert(place);
                is_more = true;
                if let Some(progress) = progress {
                    progress.step();
                }
            }
            if is_more {
                standing.submissions = 0;
            }
            if is_more && !standing.is_open() && progress.is_some() && !self.invocation.console.is_interactive() {
                let node = self.job.node(number)?.unwrap_or_default();
                self.invocation.console.note(&format!("{}: {} on {node}", task.name, counted(standing.units, "unit")));
            }
        }
        Ok(())
    }

    /// Acts on what the queue knows.
    fn step(&mut self, elements: &[Element]) -> Result<()> {
        // A job of an earlier call is ours while it is in the queue; what is left of one that was cancelled is not.
        self.jobs.extend(elements.iter().filter(|element| element.goes_on()).map(|element| element.job));
        let mut of_task: BTreeMap<usize, Vec<&Element>> = BTreeMap::new();
        for element in elements.iter().filter(|element| self.jobs.contains(&element.job)) {
            of_task.entry(element.task).or_default().push(element);
        }
        let mut open = Vec::new();
        for number in 0..self.tasks.len() {
            let own = of_task.get(&number).map(Vec::as_slice).unwrap_or_default();
            match self.standings[number].next(own) {
                Next::Nothing | Next::Wait => {}
                Next::Never => return Err(self.never(own)),
                Next::Cancelled => bail!("somebody cancelled the job"),
                Next::Submit => {
                    self.told(number, own)?;
                    open.push(number);
                }
                Next::GiveUp if self.leaves_out_node(number)? => open.push(number),
                Next::GiveUp => {
                    let why = self.why(number, own)?;
                    self.invocation.console.note(&format!("given up: {}: {why}", self.tasks[number].name));
                    self.standings[number].given_up = Some(why);
                }
            }
        }
        self.submit(&open)
    }

    /// Why a job never starts.
    fn never(&self, elements: &[&Element]) -> anyhow::Error {
        let reasons: BTreeSet<&str> = elements.iter().map(|element| element.reason.as_str()).collect();
        let reasons = reasons.into_iter().collect::<Vec<_>>().join(", ");
        usage(format!("the cluster never starts the job ({reasons}): change --sbatch or --cpus{}", self.left_out()))
    }

    /// The nodes that are left out, in words.
    fn left_out(&self) -> String {
        if self.foreign.is_empty() {
            return String::new();
        }
        let nodes = self.foreign.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        format!("; {nodes} are left out, which are of another machine class (`--sbatch --constraint=…` chooses one)")
    }

    /// Says why a task is submitted again. A submission to a node of another machine class does not count.
    fn told(&mut self, number: usize, elements: &[&Element]) -> Result<()> {
        if self.standings[number].submissions > 0 || !elements.is_empty() {
            if self.leaves_out_node(number)? {
                self.standings[number].submissions = self.standings[number].submissions.saturating_sub(1);
            }
            let why = self.why(number, elements)?.replace('\n', " | ");
            self.invocation.console.note(&format!("again: {}: {why}", self.tasks[number].name));
        }
        Ok(())
    }

    /// Whether a task came to a node of another machine class, which is left out from now on.
    fn leaves_out_node(&mut self, number: usize) -> Result<bool> {
        let (Some(class), Some(machine), Some(node)) =
            (self.job.class()?, self.job.machine(number)?, self.job.node(number)?)
        else {
            return Ok(false);
        };
        let is_news = machine.class() != class && self.foreign.insert(node.clone());
        if is_news {
            self.invocation.console.note(&format!("{node} is left out: it is of {}, not of {class}", machine.class()));
        }
        Ok(is_news)
    }

    /// How a task ended: its state, and its last lines.
    fn why(&self, number: usize, elements: &[&Element]) -> Result<String> {
        let Some(last) = elements.iter().max_by_key(|element| element.job) else {
            return Ok("the queue does not know it any more, and it left no record".to_owned());
        };
        let directory = self.job.measured(number);
        for &place in &self.tasks[number].units {
            let unit = &self.manifest.plan[place];
            let record = records::read(&records::path(&directory, place, unit), self.pack, unit)?;
            if let Some(error) = record.and_then(|record| record.error) {
                return Ok(format!("{unit}: {error}"));
            }
        }
        let log = self.job.log(last.job, number % ARRAY);
        let at = if last.nodes.is_empty() { String::new() } else { format!(" on {}", last.nodes) };
        Ok(format!("{} ({}){at}\n{log}", last.state, last.reason))
    }

    /// Submits tasks, array by array, as far as the queue takes them.
    fn submit(&mut self, open: &[usize]) -> Result<()> {
        let mut left = open;
        while let Some(first) = left.first() {
            let is_same = |task: &usize| task / ARRAY == first / ARRAY;
            let count = left.iter().take(self.most).take_while(|task| is_same(task)).count();
            let (now, later) = left.split_at(count);
            let submission = Submission {
                name: self.job.name(),
                folder: self.job.folder(),
                options: self.arguments.sbatch.as_deref(),
                cpus: self.arguments.cpus.map(u32::from),
                exclude: &self.foreign,
            };
            match submission.submit(now).with_context(|| format!("tasks were not submitted{}", self.left_out()))? {
                Submitted::Job(job) => {
                    self.invocation.console.note(&format!("submitted {} as job {job}", counted(count, "task")));
                    self.jobs.insert(job);
                    for &number in now {
                        self.standings[number].submissions += 1;
                        self.standings[number].looks = 0;
                    }
                    self.most = (self.most * 2).min(ARRAY);
                    self.said.clear();
                    left = later;
                }
                Submitted::Later(why) => {
                    self.most = (count / 2).max(1);
                    self.trouble(&why);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Completes the directory of records, as `run` leaves it.
    fn conclude(&self) -> Result<()> {
        let (out, pack) = (self.job.records(), self.job.pack());
        Plan::keep(&out, self.pack, &self.manifest.plan)?;
        whole_file::replace(&out.join(FILE), &fs::read(pack.join(FILE))?).context("failed to copy the manifest")?;
        let mut machine = None;
        let mut nodes = BTreeSet::new();
        for (number, standing) in self.standings.iter().enumerate() {
            if !standing.measured.is_empty() {
                machine = machine.or(self.job.machine(number)?);
                nodes.extend(self.job.node(number)?);
            }
        }
        let Some(machine) = machine else { return Ok(()) };
        let nodes = nodes.into_iter().collect::<Vec<_>>();
        let note = format!("measured by Slurm, each benchmark on one node; nodes: {}", nodes.join(", "));
        conclude(self.invocation, (&pack, self.manifest, self.pack), &out, (&machine, &[note]))
    }

    /// Whether every task is measured.
    fn check(&self) -> Result<()> {
        let reason = |(standing, task): (&Standing, &Task)| {
            standing.given_up.as_ref().map(|why| format!("{}: {why}", task.name))
        };
        let given_up: Vec<String> = self.standings.iter().zip(self.tasks).filter_map(reason).collect();
        if given_up.is_empty() {
            return Ok(());
        }
        let (count, all, records) = (given_up.len(), self.tasks.len(), self.job.records());
        const SHOWN: usize = 5;
        let reasons = command::tail(given_up[..count.min(SHOWN)].join("\n").as_bytes());
        bail!(
            "{count} of {all} tasks failed {SUBMISSIONS} times:\n{reasons}\nThe same command tries them again; `cargo xtask \
             import {}` takes what there is",
            records.display()
        )
    }
}

/// "1 unit", "13 units".
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The elements that run and wait.
fn in_words(elements: &[Element]) -> String {
    let runs = elements.iter().filter(|element| element.is_running()).count();
    let waits: Vec<&Element> = elements.iter().filter(|element| element.state == "PENDING").collect();
    let reasons: BTreeSet<&str> = waits.iter().map(|element| element.reason.as_str()).collect();
    let reasons = reasons.into_iter().collect::<Vec<_>>().join(", ");
    if waits.is_empty() { format!("{runs} run") } else { format!("{runs} run, {} wait ({reasons})", waits.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(job: u64, state: &str, reason: &str) -> Element {
        Element { job, task: 0, state: state.into(), nodes: "n1".into(), reason: reason.into() }
    }

    #[test]
    fn the_queue_is_told_in_words() {
        let elements = [element(1, "RUNNING", "None"), element(1, "PENDING", "Resources"), element(1, "FAILED", "x")];
        assert_eq!(in_words(&elements), "1 run, 1 wait (Resources)");
        assert_eq!(in_words(&elements[..1]), "1 run");
    }
}
