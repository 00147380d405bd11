//! `bisect`: the commit that brought a regression, or a gain, by the test that also judges a gate.
//!
//! Every commit is compared with the good one, on fresh blocks: proven beyond the margin, it is changed; proven inside
//! the margin, it is as before; neither, it is measured longer, and passed over if that does not decide either. Both
//! ends of the answer are then compared with each other on fresh blocks: what the search selected does not test itself.

use anyhow::Result;
use regex_lite::Regex;

use super::bisect_answer::{Answer, Named, Taken, Tally, said};
use super::sought::Sought;
use super::{exclude, wanted};
use crate::build::{DoesNotBuild, Wanted};
use crate::cli::Bisect;
use crate::comparison::{Invocation, Options, Outcome, Project, Purpose, Revisions, Search, Step, lock, run};
use crate::exit::{Exit, usage};
use crate::judge::Verdict;
use crate::policy::Policy;
use crate::repo::{Git, Snapshot};
use crate::report::{Entry, Row};
use crate::slot::Slots;

/// Blocks of a step, and of its repetitions as long as it is undecided.
const BLOCKS: [usize; 3] = [12, 24, 48];
/// Blocks that confirm the answer.
const CONFIRMING: usize = 24;

/// Runs the command.
pub fn bisect(invocation: &Invocation, arguments: &Bisect) -> Result<Exit> {
    if arguments.scope.filter.is_none() {
        return Err(usage("name the benchmark that moved: --filter RE"));
    }
    let project = Project::open(invocation, arguments.scope.manifest_path.as_deref())?;
    let policy = Policy::read(&project.root)?;
    let commits = line(&project.git, arguments)?;
    let _lock = lock(invocation)?;
    let slots = Slots::open(&invocation.cache()?, &project.git)?;
    let tally = Tally::default();
    let (sought, notes, disturbed) = (None, Vec::new(), None);
    let project = &project;
    let mut steps = Steps { invocation, project, policy: &policy, arguments, slots, sought, tally, notes, disturbed };
    // With --json, standard output is for the answer alone.
    let say = |text: &str| -> Result<()> {
        if !arguments.json {
            return invocation.console.print(text);
        }
        invocation.console.note(text);
        Ok(())
    };
    let (good, bad) = (&commits[0], &commits[commits.len() - 1]);
    let row = steps.whole(good, bad)?;
    let direction = row.verdict;
    say(&format!("{}: {} over {} commits", row.shown_id(), said(&row), commits.len() - 1))?;
    let mut search = Search::new(commits.len() - 1);
    let mut taken = Vec::new();
    while let Some(at) = search.next() {
        invocation.interrupt.check()?;
        let (step, why) = steps.step(good, &commits[at], direction)?;
        search.record(at, step);
        let commit = named(&project.git, &commits[at])?;
        let left = search.steps_left();
        say(&format!("{}: {}: {why} (at most {left} steps left)", commit.label, step.word()))?;
        taken.push(Taken { commit, step: step.word(), why });
    }
    let (low, high) = search.ends();
    // What the search selected does not test itself: fresh blocks do.
    let row = match steps.compare(&commits[low], &commits[high], CONFIRMING)? {
        Ok(row) => row,
        Err(why) => return Err(anyhow::anyhow!("the answer could not be confirmed: {why}")),
    };
    let name = |commit: &String| named(&project.git, commit);
    let answer = Answer {
        is_confirmed: row.verdict == direction,
        disturbed: steps.disturbed,
        notes: steps.notes,
        before: name(&commits[low])?,
        suspects: commits[low + 1..=high].iter().map(name).collect::<Result<_>>()?,
        row,
        steps: taken,
        tally: steps.tally,
    };
    invocation.console.print(&if arguments.json { answer.json()? } else { answer.to_string() })?;
    Ok(answer.exit())
}

fn named(git: &Git, commit: &str) -> Result<Named> {
    let Snapshot { commit, label, .. } = Snapshot::of_commit(git, commit.to_owned())?;
    Ok(Named { commit, label })
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

/// How commits are compared.
struct Steps<'a> {
    invocation: &'a Invocation,
    project: &'a Project,
    policy: &'a Policy,
    arguments: &'a Bisect,
    /// Where they are built.
    slots: Slots,
    /// The benchmark that moved, once it is known.
    sought: Option<Sought>,
    tally: Tally,
    /// Remarks of all comparisons so far, each once.
    notes: Vec<String>,
    /// Why the newest comparison must not decide, if it must not.
    disturbed: Option<String>,
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
        self.sought = Some(Sought::of(row));
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
        let is_sought = |row: &&Row| self.sought.as_ref().is_some_and(|sought| sought.is(row));
        let Some(row) = entry.rows.iter().find(is_sought) else {
            return Ok(Err("it does not have the benchmark".to_owned()));
        };
        let tells = matches!(row.verdict, Verdict::Slower | Verdict::Faster | Verdict::Same | Verdict::Inconclusive);
        Ok(if tells { Ok(row.clone()) } else { Err(format!("{}: {}", row.verdict, row.why)) })
    }

    fn entry(&mut self, base: &str, head: &str, blocks: usize) -> Result<Entry> {
        let git = &self.project.git;
        let snapshot = |commit: &str| Snapshot::of_commit(git, commit.to_owned());
        let revisions = Revisions { base: Some(snapshot(base)?), others: Vec::new(), head: snapshot(head)? };
        // A slot that holds a commit has its build: cargo finds nothing to do there.
        self.tally.builds += [base, head].iter().filter(|commit| !self.slots.hold(commit)).count();
        let scope = &self.arguments.scope;
        // Once it is known which one moved, only its target is built.
        let (wanted, filter) = match &self.sought {
            Some(sought) => {
                let (packages, benches) = (vec![sought.package.clone()], vec![sought.target.clone()]);
                (Wanted { packages, benches, ..wanted(scope) }, sought.filter())
            }
            None => (wanted(scope), scope.filter.clone().unwrap_or_default()),
        };
        let options = Options {
            // Equal code needs no figures here.
            purpose: Purpose::Bisect,
            wanted,
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
            accept_quality: false,
            least_blocks: blocks,
        };
        match run(self.invocation, self.project, &revisions, &options, self.policy)? {
            Outcome::Measured(entry) => {
                let of = |row: &Row| [&row.base, &row.head].into_iter().flatten().map(|side| side.n).sum::<usize>();
                self.tally.processes += entry.rows.iter().map(of).sum::<usize>();
                self.disturbed.clone_from(&entry.contaminated);
                for note in entry.notes.iter().chain(&entry.contaminated) {
                    if !self.notes.contains(note) {
                        self.notes.push(note.clone());
                    }
                }
                Ok(*entry)
            }
            Outcome::Planned(_) => Err(anyhow::anyhow!("a bisection is never a dry run")),
        }
    }
}
