//! `bisect`: the commit that brought a regression, or a gain, by the test that also judges a gate.
//!
//! Every commit is compared with the good one, on fresh blocks: proven beyond the margin, it is changed; proven inside
//! the margin, it is as before; neither, it is measured longer, and passed over if that does not decide either. Both
//! ends of the answer are then compared with each other on fresh blocks: what the search selected does not test itself.

use anyhow::Result;
use regex_lite::Regex;

use super::{exclude, wanted};
use crate::build::DoesNotBuild;
use crate::cli::Bisect;
use crate::comparison::{Invocation, Options, Outcome, Project, Purpose, Revisions, Search, Step, lock, run};
use crate::exit::{Exit, usage};
use crate::judge::Verdict;
use crate::policy::Policy;
use crate::repo::{Git, Snapshot};
use crate::report::{Entry, Row};

/// Blocks of a step, and of its repetitions as long as it is undecided.
const BLOCKS: [usize; 3] = [12, 24, 48];

/// Runs the command.
pub fn bisect(invocation: &Invocation, arguments: &Bisect) -> Result<Exit> {
    if arguments.scope.filter.is_none() {
        return Err(usage("name the benchmark that moved: --filter RE"));
    }
    let project = Project::open(invocation, arguments.scope.manifest_path.as_deref())?;
    let policy = Policy::read(&project.root)?;
    let commits = line(&project.git, arguments)?;
    let _lock = lock(invocation)?;
    let mut steps = Steps { invocation, project: &project, policy: &policy, arguments, id: None, processes: 0 };
    let (good, bad) = (&commits[0], &commits[commits.len() - 1]);
    let row = steps.whole(good, bad)?;
    let direction = row.verdict;
    invocation.console.print(&format!("{}: {} over {} commits", row.shown_id(), said(&row), commits.len() - 1))?;
    let mut search = Search::new(commits.len() - 1);
    while let Some(at) = search.next() {
        invocation.interrupt.check()?;
        let (step, why) = steps.step(good, &commits[at], direction)?;
        search.record(at, step);
        let name = label(&project.git, &commits[at])?;
        let word = match step {
            Step::Before => "as before",
            Step::After => "changed",
            Step::Skipped => "passed over",
        };
        let left = search.steps_left();
        invocation.console.print(&format!("{name}: {word}: {why} (at most {left} steps left)"))?;
    }
    answer(&mut steps, &commits, search.ends(), direction)
}

/// The commits from the good one to the bad one, along first parents.
fn line(git: &Git, arguments: &Bisect) -> Result<Vec<String>> {
    let good = git.require_commit(&arguments.good, "--good")?;
    let bad = git.require_commit(&arguments.bad, "--bad")?;
    if good == bad || !git.succeeds(&["merge-base", "--is-ancestor", &good, &bad])? {
        return Err(usage(format!("{} is no earlier commit of {}", arguments.good, arguments.bad)));
    }
    let between = git.read(&["rev-list", "--reverse", "--first-parent", &format!("{good}..{bad}")])?;
    Ok(std::iter::once(good).chain(between.lines().map(str::to_owned)).collect())
}

fn label(git: &Git, commit: &str) -> Result<String> {
    Ok(Snapshot::of_commit(git, commit.to_owned())?.label)
}

/// The effect and its interval.
fn said(row: &Row) -> String {
    format!("{} {} (95 % interval {})", row.verdict, row.shown_effect(), row.shown_interval())
}

/// Compares the ends with each other and names the commit, or those that remain suspects.
fn answer(steps: &mut Steps<'_>, commits: &[String], (low, high): (usize, usize), direction: Verdict) -> Result<Exit> {
    let (git, console) = (&steps.project.git, &steps.invocation.console);
    let last = BLOCKS[1];
    let row = match steps.compare(&commits[low], &commits[high], last)? {
        Ok(row) => row,
        Err(why) => return Err(anyhow::anyhow!("the answer could not be confirmed: {why}")),
    };
    let suspects = &commits[low + 1..=high];
    let names: Vec<String> = suspects.iter().map(|commit| label(git, commit)).collect::<Result<_>>()?;
    let processes = steps.processes;
    if row.verdict != direction {
        console.print(&format!(
            "not confirmed: between {} and {} it is {}; the change may have come in several steps\n{processes} measured processes",
            label(git, &commits[low])?,
            names[names.len() - 1],
            said(&row)
        ))?;
        return Ok(Exit::NoVerdict);
    }
    let list = names.join("\n  ");
    let head = if names.len() == 1 { "the commit is" } else { "one of these commits, which could not be told apart" };
    console.print(&format!("\n{head}:\n  {list}\n{}: {}, on {last} fresh blocks", row.shown_id(), said(&row)))?;
    console.print(&format!("{processes} measured processes"))?;
    Ok(if names.len() == 1 { Exit::Fine } else { Exit::NoVerdict })
}

/// How commits are compared.
struct Steps<'a> {
    invocation: &'a Invocation,
    project: &'a Project,
    policy: &'a Policy,
    arguments: &'a Bisect,
    /// The benchmark that moved, once it is known.
    id: Option<String>,
    processes: usize,
}

impl Steps<'_> {
    /// Compares both ends and picks the benchmark that moved most; an error if none did.
    fn whole(&mut self, good: &str, bad: &str) -> Result<Row> {
        let entry = self.entry(good, bad, BLOCKS[0])?;
        let moved = entry.rows.iter().filter(|row| matches!(row.verdict, Verdict::Slower | Verdict::Faster));
        let size = |row: &&Row| row.effect.map_or(0.0, |effect| effect.ln_1p().abs());
        let Some(row) = moved.max_by(|a, b| size(a).total_cmp(&size(b))) else {
            let seen: String = entry.rows.iter().map(|row| format!("\n  {}: {}", row.shown_id(), said(row))).collect();
            return Err(usage(format!("between --good and --bad no benchmark is proven slower or faster:{seen}")));
        };
        self.id = Some(row.id.clone());
        Ok(row.clone())
    }

    /// Judges a commit against the good one; measures longer while it is undecided.
    fn step(&mut self, good: &str, commit: &str, direction: Verdict) -> Result<(Step, String)> {
        let mut why = String::new();
        for blocks in BLOCKS {
            match self.compare(good, commit, blocks) {
                Ok(Ok(row)) if row.verdict == direction => return Ok((Step::After, said(&row))),
                Ok(Ok(row)) if matches!(row.verdict, Verdict::Same | Verdict::Slower | Verdict::Faster) => {
                    return Ok((Step::Before, said(&row)));
                }
                Ok(Ok(row)) => why = format!("{} after {blocks} blocks", said(&row)),
                Ok(Err(why)) => return Ok((Step::Skipped, why)),
                Err(error) if error.chain().any(|cause| cause.is::<DoesNotBuild>()) => {
                    return Ok((Step::Skipped, "it does not build".to_owned()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok((Step::Skipped, why))
    }

    /// The row of the benchmark between two commits, or why there is none that tells of its speed.
    fn compare(&mut self, base: &str, head: &str, blocks: usize) -> Result<Result<Row, String>> {
        let entry = match self.entry(base, head, blocks) {
            Err(error) if error.chain().any(|cause| cause.is::<crate::exit::Usage>()) => {
                return Ok(Err(format!("{error:#}").lines().next().unwrap_or_default().to_owned()));
            }
            result => result?,
        };
        let Some(row) = entry.rows.iter().find(|row| Some(&row.id) == self.id.as_ref()) else {
            return Ok(Err("it does not have the benchmark".to_owned()));
        };
        let tells = matches!(row.verdict, Verdict::Slower | Verdict::Faster | Verdict::Same | Verdict::Inconclusive);
        Ok(if tells { Ok(row.clone()) } else { Err(format!("{}: {}", row.verdict, row.why)) })
    }

    fn entry(&mut self, base: &str, head: &str, blocks: usize) -> Result<Entry> {
        let git = &self.project.git;
        let snapshot = |commit: &str| Snapshot::of_commit(git, commit.to_owned());
        let revisions = Revisions { base: Some(snapshot(base)?), head: snapshot(head)? };
        let scope = &self.arguments.scope;
        let filter = match &self.id {
            Some(id) => format!("^(?:{})$", regex_lite::escape(id)),
            None => scope.filter.clone().unwrap_or_default(),
        };
        let options = Options {
            // Equal code needs no figures here.
            purpose: Purpose::Bisect,
            wanted: wanted(scope),
            filter: Some(Regex::new(&filter).map_err(|error| usage(format!("--filter: {error}")))?),
            exclude: exclude(scope)?,
            tier: u8::MAX,
            budget_s: self.arguments.budget.as_secs_f64(),
            timeout: scope.timeout,
            wait: scope.wait,
            dry_run: false,
            json: false,
            seed: None,
            one_link: scope.one_link,
            all_instructions: false,
            least_blocks: blocks,
        };
        match run(self.invocation, self.project, &revisions, &options, self.policy)? {
            Outcome::Measured(entry) => {
                let of = |row: &Row| [&row.base, &row.head].into_iter().flatten().map(|side| side.n).sum::<usize>();
                self.processes += entry.rows.iter().map(of).sum::<usize>();
                Ok(*entry)
            }
            Outcome::Planned(_) => Err(anyhow::anyhow!("a bisection is never a dry run")),
        }
    }
}
