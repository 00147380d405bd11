//! Options that select no benchmark: reported as early as the ids are known, with those that were perhaps meant.

use anyhow::Result;

use super::catalog::{Catalog, ProblemKind};
use super::known::{Known, State};
use super::options::{Options, Revisions};
use super::project::Project;
use crate::build;
use crate::exit::usage;
use crate::nearest::nearest;
use crate::policy::Policy;
use crate::repo::Snapshot;
use crate::report::Row;

/// Ids that are shown where none is near.
const SHOWN: usize = 5;

/// Where the ids come from that a message shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// An earlier list of the same state: nothing was built now.
    Earlier,
    /// The head's programs, built and listed now.
    Listed,
}

/// Why no benchmark of `benches` (id and tier) is wanted.
pub(super) fn unmatched(options: &Options, benches: &[(String, u8)], source: Source) -> anyhow::Error {
    let n = benches.len();
    let filtered: Vec<&(String, u8)> = benches.iter().filter(|(id, tier)| options.selects(id, *tier)).collect();
    let reason = match &options.filter {
        _ if !filtered.is_empty() => {
            format!("--exclude leaves out all {} that the other options select", filtered.len())
        }
        Some(filter) => format!("no id matches the filter `{filter}`"),
        None => format!("none is of tier {} or below (--tier)", options.tier),
    };
    let near = options.filter.as_ref().map(|filter| {
        nearest(filter.as_str(), benches.iter().map(|(id, _)| id.as_str())).into_iter().map(str::to_owned).collect()
    });
    let near: Vec<String> = near.unwrap_or_default();
    let mut text = format!("no {} to measure: {reason}", noun(options));
    if near.is_empty() || !filtered.is_empty() {
        text += &format!("; there are {n} of them:");
        benches.iter().take(SHOWN).for_each(|(id, tier)| text += &format!("\n  {id} (tier {tier})"));
        text += if n > SHOWN { "\n  …" } else { "" };
    } else {
        text += "; did you mean:";
        near.iter().for_each(|id| text += &format!("\n  {id}"));
    }
    text += match source {
        Source::Earlier => "\n(ids of the last build of this state; --list builds it again and shows all)",
        Source::Listed => "\n(--list shows all)",
    };
    usage(text)
}

/// Why a list is empty.
pub(super) fn unmatched_list(options: &Options, head: &Catalog) -> anyhow::Error {
    unmatched(options, &ids(head), Source::Listed)
}

/// Why there is nothing to measure on any side. `rows` say what was skipped.
pub(super) fn nothing(options: &Options, head: &Catalog, rows: &[Row]) -> anyhow::Error {
    let ids = ids(head);
    if rows.is_empty() && !ids.is_empty() {
        return unmatched(options, &ids, Source::Listed);
    }
    let what = match &options.wanted.scenario {
        Some(_) => "no program `assay` in this workspace lists cells of that scenario",
        None if rows.is_empty() => "the selected packages have no bench targets",
        None => "no selected bench target has one",
    };
    let skipped: String = rows.iter().map(|row| format!("\n  {}: {}: {}", row.verdict, row.id, row.why)).collect();
    usage(format!("no {} to measure: {what}{skipped}", noun(options)))
}

fn ids(catalog: &Catalog) -> Vec<(String, u8)> {
    catalog.benches.iter().map(|listed| (listed.key.id(), listed.tier)).collect()
}

/// What earlier runs know of the sides' ids.
pub(super) struct KnownIds {
    /// Of every base and then the head.
    states: Vec<State>,
    lists: Vec<Option<Vec<(String, u8)>>>,
}

impl KnownIds {
    pub(super) fn of(project: &Project, revisions: &Revisions, options: &Options, known: &Known) -> Result<Self> {
        let (rustc, takes_unstable) = build::compiler(&project.root, &project.environment)?;
        let toolchain = if takes_unstable { format!("{rustc}, unstable features") } else { rustc };
        let state = |side: &Snapshot| {
            let tree = project.git.tree(&side.commit)?;
            Ok(State::new(tree, &project.relative, &toolchain, &options.wanted))
        };
        let states: Vec<State> = revisions.bases().chain([&revisions.head]).map(state).collect::<Result<_>>()?;
        let list = |state: &State| {
            // Cells are listed by another program, and not kept.
            let list = known.list(state).filter(|_| options.wanted.scenario.is_none())?;
            Some(list.benches.into_iter().map(|bench| (bench.id, bench.tier)).collect())
        };
        Ok(Self { lists: states.iter().map(list).collect(), states })
    }

    /// The states of every base and then of the head.
    pub(super) fn states(&self) -> &[State] {
        &self.states
    }

    /// An error if the options select nothing of the head and no base can have what they mean. `listed` is what the
    /// head's programs offer; before they are built, an earlier list answers, or nothing does.
    pub(super) fn check_head(&self, options: &Options, policy: &Policy, listed: Option<&Catalog>) -> Result<()> {
        let takes = |(id, tier): &(String, u8)| options.takes(id, *tier);
        let Some((of_head, of_bases)) = self.lists.split_last() else { return Ok(()) };
        let (ids, source) = match (listed, of_head) {
            (Some(catalog), _) => (ids(catalog), Source::Listed),
            (None, Some(known)) => (known.clone(), Source::Earlier),
            (None, None) => return Ok(()),
        };
        // A program that failed may have what is meant: its failure is reported, not the filter.
        let is_whole =
            listed.is_none_or(|catalog| catalog.problems.iter().all(|problem| problem.kind == ProblemKind::Skipped));
        // A base whose ids are not known may have it: what the options select would be GONE, and that must not depend
        // on what earlier runs happened to list.
        let base_may_have = of_bases.iter().any(|known| known.as_ref().is_none_or(|known| known.iter().any(takes)));
        let is_removed = policy.removes(&|id| options.takes(id, 1));
        if ids.is_empty() || !is_whole || base_may_have || is_removed || ids.iter().any(takes) {
            return Ok(());
        }
        Err(unmatched(options, &ids, source))
    }
}

fn noun(options: &Options) -> &'static str {
    if options.wanted.scenario.is_some() { "cell" } else { "benchmark" }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use regex_lite::Regex;

    use super::super::options::Purpose;
    use super::*;
    use crate::build::Wanted;

    fn options(filter: &str) -> Options {
        Options {
            purpose: Purpose::Gate,
            wanted: Wanted::default(),
            filter: Some(Regex::new(filter).unwrap()),
            exclude: Vec::new(),
            tier: 1,
            budget_s: 1.0,
            timeout: Duration::from_secs(1),
            wait: Duration::ZERO,
            dry_run: false,
            json: false,
            seed: None,
            one_link: false,
            all_instructions: false,
            accept_quality: false,
            least_blocks: 0,
        }
    }

    #[test]
    fn a_filter_is_called_wrong_only_where_every_base_is_known_to_lack_it() {
        let list = |ids: &[&str]| Some(ids.iter().map(|id| ((*id).to_owned(), 1)).collect::<Vec<_>>());
        let is_wrong = |bases: &[Option<Vec<(String, u8)>>]| {
            let lists = bases.iter().cloned().chain([list(&["here"])]).collect();
            let known = KnownIds { states: Vec::new(), lists };
            known.check_head(&options("^gone$"), &Policy::default(), None).is_err()
        };
        assert!(is_wrong(&[]) && is_wrong(&[list(&["here"])]));
        assert!(!is_wrong(&[list(&["here", "gone"])]), "it is GONE");
        assert!(!is_wrong(&[None]), "it may be GONE: the base is built to find out");
        assert!(!is_wrong(&[list(&["here"]), None]));
    }
}
