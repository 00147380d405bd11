//! The search for the commit that caused a change, separate from how a commit is judged.
//!
//! The commits form a line from one that is known to be as before to one that is known to be changed. Each step judges
//! a commit near the middle of the remaining range. A commit that does not build or stays undecided cannot be judged.
//! It is skipped as by `git bisect skip`: its neighbors are tried. If only such commits are left, all of them remain
//! suspects.

use std::collections::BTreeSet;

/// The result of judging a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// As before the change.
    Before,
    /// Changed already.
    After,
    /// It cannot be judged.
    Skipped,
}

impl Step {
    /// As a report says it.
    pub fn word(self) -> &'static str {
        match self {
            Step::Before => "as before",
            Step::After => "changed",
            Step::Skipped => "passed over",
        }
    }
}

/// A search over commits 0 (as before) to `last` (changed).
#[derive(Clone, Debug)]
pub struct Search {
    low: usize,
    high: usize,
    skipped: BTreeSet<usize>,
}

impl Search {
    /// A search in which only both ends are judged.
    pub fn new(last: usize) -> Self {
        Self { low: 0, high: last, skipped: BTreeSet::new() }
    }

    /// The next commit to judge: the nearest to the middle that was not skipped; `None` when the search is over.
    pub fn next(&self) -> Option<usize> {
        let middle = self.low + (self.high - self.low) / 2;
        let open = (self.low + 1..self.high).filter(|at| !self.skipped.contains(at));
        open.min_by_key(|at| (at.abs_diff(middle), *at))
    }

    /// Records the result of a step.
    pub fn record(&mut self, at: usize, step: Step) {
        match step {
            Step::Before => self.low = self.low.max(at),
            Step::After => self.high = self.high.min(at),
            Step::Skipped => drop(self.skipped.insert(at)),
        }
    }

    /// The last commit that is known to be as before, and the first that is known to be changed.
    pub fn ends(&self) -> (usize, usize) {
        (self.low, self.high)
    }

    /// Most steps that are left if no commit is skipped.
    pub fn steps_left(&self) -> u32 {
        (self.high - self.low).next_power_of_two().trailing_zeros()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches 60 commits for `culprit`, where some cannot be judged; returns both ends and the steps.
    fn found(culprit: usize, skipped: &[usize]) -> ((usize, usize), usize) {
        let mut search = Search::new(60);
        let mut steps = 0;
        while let Some(at) = search.next() {
            let step = match at {
                _ if skipped.contains(&at) => Step::Skipped,
                _ if at >= culprit => Step::After,
                _ => Step::Before,
            };
            search.record(at, step);
            steps += 1;
        }
        (search.ends(), steps)
    }

    #[test]
    fn every_culprit_among_sixty_is_found_in_six_steps() {
        assert_eq!(Search::new(60).steps_left(), 6);
        for culprit in 1..=60 {
            let (ends, steps) = found(culprit, &[]);
            assert_eq!(ends, (culprit - 1, culprit));
            assert!(steps <= 6, "{steps} steps to {culprit}");
        }
    }

    #[test]
    fn commits_that_cannot_be_judged_are_passed_over_or_stay_suspects() {
        assert_eq!(found(45, &[30, 29, 31]).0, (44, 45));
        assert_eq!(found(30, &[29, 30, 31]).0, (28, 32), "all of them may have brought it");
        assert_eq!(found(1, &(1..60).collect::<Vec<_>>()), ((0, 60), 59));
        assert_eq!(Search::new(1).next(), None);
    }
}
