//! Slurm's own commands, and what they say. Their text forms are used: the JSON of `squeue` differs between versions.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Result, bail};
use compare::command;
use compare::exit::usage;

use super::tasks::{array, numbers};

/// Elements of one array. Slurm's default allows 1001 numbers, from 0.
pub(super) const ARRAY: usize = 1000;

/// Slurm's commands that are used.
const PROGRAMS: [&str; 4] = ["sbatch", "squeue", "scancel", "sinfo"];

/// Seconds after which a command of Slurm is given up. `sbatch` waits for ever when the queue is full. A job that was
/// taken all the same is found in the queue.
const PATIENCE_S: u32 = 10;

/// What `squeue` prints of each element: array, number, name, state, nodes, reason.
const FORMAT: &str = "%F|%K|%j|%T|%N|%r";

/// States in which an element is not going to do anything.
const ENDED: [&str; 10] = [
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "TIMEOUT",
];

/// Reasons for which an element waits for ever.
const NEVER: [&str; 8] = [
    "BadConstraints",
    "DependencyNeverSatisfied",
    "InvalidAccount",
    "InvalidQOS",
    "JobHeldAdmin",
    "PartitionConfig",
    "PartitionNodeLimit",
    "PartitionTimeLimit",
];

/// An element of one of our arrays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Element {
    /// Number of the array job.
    pub(super) job: u64,
    /// Number of the task.
    pub(super) task: usize,
    pub(super) state: String,
    /// Where it runs or ran.
    pub(super) nodes: String,
    /// Why it waits or ended.
    pub(super) reason: String,
}

impl Element {
    pub(super) fn is_ended(&self) -> bool {
        ENDED.contains(&self.state.as_str())
    }

    /// Whether it waits or runs. What is completing may have been cancelled.
    pub(super) fn goes_on(&self) -> bool {
        !self.is_ended() && self.state != "COMPLETING"
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.state == "CANCELLED"
    }

    pub(super) fn is_running(&self) -> bool {
        !self.is_ended() && self.state != "PENDING"
    }

    /// Whether it waits for what will not come.
    pub(super) fn never_starts(&self) -> bool {
        self.state == "PENDING" && NEVER.contains(&self.reason.as_str())
    }
}

/// What `sbatch` answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Submitted {
    /// It has this number.
    Job(u64),
    /// There is no room in the queue, or nobody answers, for this reason: try again later.
    Later(String),
}

/// How tasks are submitted.
#[derive(Debug)]
pub(super) struct Submission<'a> {
    /// Of the job.
    pub(super) name: &'a str,
    pub(super) folder: &'a Path,
    /// Options of the user.
    pub(super) options: Option<&'a str>,
    pub(super) cpus: Option<u32>,
    /// Nodes of another machine class.
    pub(super) exclude: &'a BTreeSet<String>,
}

impl Submission<'_> {
    /// Submits tasks, which are of the same array.
    pub(super) fn submit(&self, tasks: &[usize]) -> Result<Submitted> {
        let output = command::output_of(&mut self.command(tasks))?;
        submitted(&output, self.folder)
    }

    fn command(&self, tasks: &[usize]) -> Command {
        let first = tasks.first().map_or(0, |task| task / ARRAY * ARRAY);
        let elements: Vec<usize> = tasks.iter().map(|task| task - first).collect();
        let mut command = patient("sbatch");
        command.args(self.options.unwrap_or_default().split_whitespace());
        // What the user chose is about where and how long; these hold in any case.
        command.args(["--parsable", "--requeue", "--open-mode=append", "--nodes=1", "--ntasks=1"]);
        match self.cpus {
            Some(cpus) => command.arg(format!("--cpus-per-task={cpus}")),
            None => command.arg("--exclusive"),
        };
        if !self.exclude.is_empty() {
            let nodes: Vec<&str> = self.exclude.iter().map(String::as_str).collect();
            command.arg(format!("--exclude={}", nodes.join(",")));
        }
        command.arg(format!("--job-name={}", name_of(self.name, first)));
        command.arg(format!("--output={}/logs/%A_%a.log", self.folder.display()));
        command.arg(format!("--array={}", array(&elements)));
        command.arg(self.folder.join("task.sh")).arg(self.folder).arg(first.to_string());
        command
    }
}

/// Name of the array whose first task has this number.
fn name_of(job: &str, first: usize) -> String {
    if first == 0 { job.to_owned() } else { format!("{job}+{first}") }
}

/// A command of Slurm that ends after a while.
fn patient(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args([&PATIENCE_S.to_string(), program]);
    command
}

/// Whether jobs can be submitted here.
///
/// # Errors
/// What is missing, and how to get it. A controller that does not answer is no error: it is waited for.
pub(super) fn find() -> Result<()> {
    let missing = PROGRAMS.iter().filter(|name| Command::new(name).arg("--version").output().is_err());
    let missing: Vec<String> = missing.map(|name| format!("`{name}`")).collect();
    if !missing.is_empty() {
        return Err(usage(format!(
            "--slurm: this machine has no {}. Call it where jobs of the cluster are submitted, or install Slurm's \
             commands (Debian: apt install slurm-client) and the cluster's slurm.conf; without a cluster, leave out --slurm",
            missing.join(", ")
        )));
    }
    let asked = command::output_of(patient("sinfo").arg("--noheader"))?;
    let said = command::tail(&asked.stderr);
    if asked.status.success() || asked.status.code() == Some(124) || is_passing(&said) {
        return Ok(());
    }
    Err(usage(format!(
        "--slurm: Slurm's commands are here, but they know no cluster (`sinfo` fails, {}): call it where jobs are \
         submitted, or name the cluster's configuration by SLURM_CONF\n{said}",
        asked.status
    )))
}

fn submitted(output: &Output, folder: &Path) -> Result<Submitted> {
    let said = command::tail(&output.stderr);
    if output.status.success() {
        // "JOB", or "JOB;CLUSTER".
        let text = String::from_utf8_lossy(&output.stdout);
        let id = text.trim().split(';').next().and_then(|id| id.parse().ok());
        return match id {
            Some(id) => Ok(Submitted::Job(id)),
            None => bail!("`sbatch --parsable` printed {text:?} and no number\n{said}"),
        };
    }
    if output.status.code() == Some(124) {
        return Ok(Submitted::Later(format!("`sbatch` did not end within {PATIENCE_S} s. {said}")));
    }
    if is_passing(&said) {
        return Ok(Submitted::Later(said));
    }
    bail!("`sbatch` refuses the job in {} ({})\n{said}", folder.display(), output.status)
}

/// Whether an error is about the cluster's present state and not about the job.
fn is_passing(said: &str) -> bool {
    const PASSING: [&str; 6] = [
        "Unable to contact slurm controller",
        "Socket timed out",
        "Connection refused",
        "temporarily unable to accept job",
        "MaxSubmitJob",
        "Slurm backup controller in standby mode",
    ];
    PASSING.iter().any(|text| said.contains(text))
}

/// All elements of a job with so many tasks that the queue knows, ended ones too; an error in words if it does not
/// answer.
pub(super) fn look(job: &str, tasks: usize) -> Result<Result<Vec<Element>, String>> {
    let names: Vec<String> = (0..tasks.max(1)).step_by(ARRAY).map(|first| name_of(job, first)).collect();
    let mut squeue = patient("squeue");
    squeue.args(["--noheader", "--array", "--me", "--states=all", "--name"]).arg(names.join(","));
    squeue.args(["--format", FORMAT]);
    let output = command::output_of(&mut squeue)?;
    if !output.status.success() {
        return Ok(Err(format!("`squeue` fails ({}): {}", output.status, command::tail(&output.stderr))));
    }
    Ok(Ok(elements(job, &String::from_utf8_lossy(&output.stdout))))
}

/// What `squeue` printed about a job.
fn elements(job: &str, text: &str) -> Vec<Element> {
    let mut elements = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.splitn(6, '|').map(str::trim).collect();
        let &[array, of, name, state, nodes, reason] = fields.as_slice() else { continue };
        let first = match name.strip_prefix(job) {
            Some("") => Some(0),
            Some(more) => more.strip_prefix('+').and_then(|first| first.parse().ok()),
            None => None,
        };
        let (Some(first), Ok(job), Some(numbers)) = (first, array.parse(), numbers(of)) else { continue };
        elements.extend(numbers.into_iter().map(|number| Element {
            job,
            task: first + number,
            state: state.to_owned(),
            nodes: nodes.to_owned(),
            reason: reason.to_owned(),
        }));
    }
    elements
}

/// Cancels jobs. It works after an interrupt too, and says why it does not.
pub(super) fn cancel(jobs: &BTreeSet<u64>) -> Result<(), String> {
    if jobs.is_empty() {
        return Ok(());
    }
    let mut scancel = patient("scancel");
    // In a group of its own, which the terminal's Ctrl-C does not reach.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut scancel, 0);
    let output = scancel.args(jobs.iter().map(u64::to_string)).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(command::tail(&output.stderr)),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_squeue_prints_is_read() {
        let text = "17|0|run-x|COMPLETED|node1|None\n17|1|run-x|RUNNING|node2|None\n17|2-4%2|run-x|PENDING||Resources\n\
            18|7|run-x+1000|FAILED|node3|NonZeroExitCode\n19|N/A|run-x|RUNNING|node1|None\n20|0|run-xy|RUNNING|n|None\n\
            nonsense\n21|5|run-x|PENDING||Nodes required for job are DOWN, DRAINED | other\n";
        let elements = elements("run-x", text);
        let short: Vec<(u64, usize, &str)> =
            elements.iter().map(|element| (element.job, element.task, element.state.as_str())).collect();
        let pending = |task| (17, task, "PENDING");
        let expected = [(17, 0, "COMPLETED"), (17, 1, "RUNNING"), pending(2), pending(3), pending(4)];
        assert_eq!(short[..5], expected);
        assert_eq!(short[5..], [(18, 1007, "FAILED"), (21, 5, "PENDING")]);
        assert_eq!(elements[6].reason, "Nodes required for job are DOWN, DRAINED | other");
        assert!(elements[0].is_ended() && elements[1].is_running() && !elements[2].is_running());
    }

    #[test]
    fn what_waits_for_ever_is_told_from_what_waits() {
        let waits = |state: &str, reason: &str| {
            Element { job: 1, task: 0, state: state.into(), nodes: String::new(), reason: reason.into() }.never_starts()
        };
        assert!(waits("PENDING", "PartitionTimeLimit") && waits("PENDING", "PartitionConfig"));
        assert!(
            !waits("PENDING", "Resources") && !waits("PENDING", "BeginTime") && !waits("RUNNING", "PartitionConfig")
        );
    }

    #[test]
    fn tasks_are_submitted_in_their_array_with_our_options_last() {
        let exclude = BTreeSet::from(["n1".to_owned(), "n2".to_owned()]);
        let folder = Path::new("/shared/j");
        let submission =
            Submission { name: "j", folder, options: Some("--partition=p  -t 5"), cpus: None, exclude: &exclude };
        let shown = command::whole(&submission.command(&[1001, 1002, 1007]));
        assert!(shown.starts_with("timeout 10 sbatch --partition=p -t 5 --parsable --requeue"), "{shown}");
        assert!(shown.contains(" --exclusive --exclude=n1,n2 --job-name=j+1000 "), "{shown}");
        assert!(shown.ends_with("--array=1-2,7 /shared/j/task.sh /shared/j 1000"), "{shown}");
        let submission = Submission { cpus: Some(4), exclude: &BTreeSet::new(), ..submission };
        let shown = command::whole(&submission.command(&[0]));
        assert!(shown.contains("--cpus-per-task=4 --job-name=j ") && !shown.contains("--ex"), "{shown}");
    }

    #[test]
    #[cfg(unix)]
    fn what_sbatch_answers_is_a_number_a_later_or_an_error() {
        let answer = |script: &str| {
            submitted(&Command::new("sh").args(["-c", script]).output().unwrap(), Path::new("/f"))
                .map_err(|e| e.to_string())
        };
        assert_eq!(answer("echo 42"), Ok(Submitted::Job(42)));
        assert_eq!(answer("echo '42;cluster'"), Ok(Submitted::Job(42)));
        assert!(
            matches!(answer("echo 'sleeping and retrying' >&2; exit 124"), Ok(Submitted::Later(why)) if why.contains("retrying"))
        );
        assert!(matches!(
            answer(
                "echo 'sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)' >&2; exit 1"
            ),
            Ok(Submitted::Later(_))
        ));
        let refused = answer("echo 'sbatch: error: invalid partition specified: x' >&2; exit 1").unwrap_err();
        assert!(refused.contains("refuses the job in /f") && refused.contains("invalid partition"), "{refused}");
        assert!(answer("echo hello").unwrap_err().contains("no number"));
    }
}
