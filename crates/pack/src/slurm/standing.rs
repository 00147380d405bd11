//! What is to be done about one task, from its records and from what the queue knows.

use std::collections::BTreeSet;

use super::queue::Element;

/// Submissions of a task in a row that give no record; then it is given up.
pub(super) const SUBMISSIONS: u32 = 3;

/// Looks at an ended task before its missing records count as missing: shared folders show files late.
const LOOKS: u32 = 2;

/// What is known of a task.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// Places of the units that have records.
    pub(super) measured: BTreeSet<usize>,
    /// Units that it has.
    pub(super) units: usize,
    /// Submissions since its last record.
    pub(super) submissions: u32,
    /// Looks in a row that saw it ended.
    pub(super) looks: u32,
    /// Why it was given up.
    pub(super) given_up: Option<String>,
}

/// What becomes of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: it is measured, or given up.
    Nothing,
    /// The queue has it.
    Wait,
    /// The queue has it and will never start it.
    Never,
    /// Somebody cancelled it.
    Cancelled,
    /// It is neither measured nor in the queue.
    Submit,
    /// It failed too often.
    GiveUp,
}

impl Standing {
    pub(super) fn is_open(&self) -> bool {
        self.measured.len() < self.units && self.given_up.is_none()
    }

    /// From what the queue knows of it in jobs that this command watches.
    pub(super) fn next(&mut self, elements: &[&Element]) -> Next {
        if !self.is_open() {
            return Next::Nothing;
        }
        if let Some(active) = elements.iter().find(|element| !element.is_ended()) {
            self.looks = 0;
            return if active.never_starts() { Next::Never } else { Next::Wait };
        }
        self.looks += 1;
        if self.submissions > 0 && self.looks < LOOKS {
            return Next::Wait;
        }
        let last = elements.iter().max_by_key(|element| element.job);
        if last.is_some_and(|last| last.is_cancelled()) {
            return Next::Cancelled;
        }
        if self.submissions < SUBMISSIONS { Next::Submit } else { Next::GiveUp }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(job: u64, state: &str, reason: &str) -> Element {
        Element { job, task: 0, state: state.into(), nodes: "n1".into(), reason: reason.into() }
    }

    fn standing(measured: usize, submissions: u32) -> Standing {
        Standing { measured: (0..measured).collect(), units: 2, submissions, ..Standing::default() }
    }

    #[test]
    fn what_is_neither_measured_nor_in_the_queue_is_submitted() {
        let (running, failed) = (element(2, "RUNNING", "None"), element(1, "FAILED", "NonZeroExitCode"));
        assert_eq!(standing(0, 0).next(&[]), Next::Submit);
        assert_eq!(standing(2, 1).next(&[&failed]), Next::Nothing, "records decide, not the state");
        assert_eq!(standing(1, 0).next(&[&failed, &running]), Next::Wait, "the newer one runs");
        assert_eq!(standing(0, 0).next(&[&failed]), Next::Submit, "of a call before this one");
        let pending = element(1, "PENDING", "PartitionTimeLimit");
        assert_eq!(standing(0, 1).next(&[&pending]), Next::Never);
        let given_up = Standing { given_up: Some("x".into()), ..standing(0, 3) }.next(&[]);
        assert_eq!(given_up, Next::Nothing);
    }

    #[test]
    fn a_task_without_new_records_is_given_up_after_so_many_submissions() {
        use Next::{GiveUp, Submit, Wait};
        let failed = element(1, "NODE_FAIL", "NodeDown");
        let mut task = standing(0, 0);
        let mut seen = Vec::new();
        for _ in 0..8 {
            let next = task.next(&[&failed]);
            seen.push(next);
            if next == Submit {
                (task.submissions, task.looks) = (task.submissions + 1, 0);
            }
        }
        assert_eq!(seen, [Submit, Wait, Submit, Wait, Submit, Wait, GiveUp, GiveUp], "each is looked at twice");
    }

    #[test]
    fn a_job_that_somebody_cancelled_is_not_submitted_again() {
        let (before, cancelled) = (element(1, "FAILED", "x"), element(2, "CANCELLED", "None"));
        let mut task = standing(1, 1);
        assert_eq!(task.next(&[&before, &cancelled]), Next::Wait);
        assert_eq!(task.next(&[&before, &cancelled]), Next::Cancelled);
    }
}
