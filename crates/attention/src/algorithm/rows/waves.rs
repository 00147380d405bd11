//! The order of the work on few rows, and its memory, which grows with neither keys nor sequences.
//!
//! A task is a part of the keys of a sequence, some of its queries, and a team of heads of K and V. Parts that no query
//! sees are no tasks. One part of some heads comes after the other, then the next part of them.
//!
//! Threads compute the tasks of a wave, each into memory of its own. Then the calling thread merges the results, in the
//! order of the tasks, into a state for each head, and a head whose last part is merged is written. The merges are the
//! same wherever a wave ends, so the number of threads does not matter to the result.

use std::ops::Range;

use op::Threads;
use simd::InstructionSet;

use super::{Cut, Merge, PART, RowsOfPart};
use crate::{
    parts::{for_each, ranges},
    problem::{Problem, Sequence},
};

/// Floats of states: as many heads take turns, or are a team, as have room in them, at least one.
const STATE_FLOATS: usize = 32 << 10;

/// Floats of results for each thread, if a thread has those of no fewer than two teams.
const RESULT_FLOATS: usize = 64 << 10;

/// Tasks that a thread has at least, if heads are in teams.
const TASKS: usize = 4;

/// A part of the keys, for some queries and a team of heads.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(super) sequence: Sequence,
    /// Counted from the first query of the sequence.
    pub(super) queries: Range<usize>,
    /// Of K and V.
    pub(super) heads: Range<usize>,
    /// Keys from `part` times PART on.
    pub(super) part: usize,
    /// Whether it is the first for these queries and heads.
    pub(super) is_first: bool,
    /// Whether it is the last for them.
    pub(super) is_last: bool,
}

impl Task {
    /// The query of a row of a head of K and V, counted from the first of the sequence, and its own head.
    pub(super) fn place(&self, cut: &Cut, kv_head: usize, row: usize) -> (usize, usize) {
        (self.queries.start + row / cut.group, kv_head * cut.group + row % cut.group)
    }
}

/// The tasks of some sequences for teams of `team` heads. Queries that see no key have one, whose result is that of no
/// keys.
pub(crate) fn tasks<'p>(
    problem: &'p Problem<'_>,
    cut: Cut,
    team: usize,
    sequences: impl Iterator<Item = Sequence> + Clone + 'p,
) -> impl Iterator<Item = Task> + Clone + 'p {
    let (kv_heads, together) = (cut.kv_heads, cut.heads());
    sequences.flat_map(move |sequence| {
        ranges(sequence.queries.len(), cut.queries).flat_map(move |queries| {
            // Both ends of what a query sees grow with the query.
            let first = problem.visible(&sequence, queries.start).start / PART;
            let end = problem.visible(&sequence, queries.end - 1).end.div_ceil(PART).max(first + 1);
            let sequence = sequence.clone();
            ranges(kv_heads, together).flat_map(move |heads| {
                let (sequence, queries) = (sequence.clone(), queries.clone());
                (first..end).flat_map(move |part| {
                    let (sequence, queries, start) = (sequence.clone(), queries.clone(), heads.start);
                    ranges(heads.len(), team).map(move |team| Task {
                        sequence: sequence.clone(),
                        queries: queries.clone(),
                        heads: start + team.start..start + team.end,
                        part,
                        is_first: part == first,
                        is_last: part + 1 == end,
                    })
                })
            })
        })
    })
}

impl Cut {
    /// How many tasks there are without a mask, `batch` sequences of `queries` queries and `keys` keys.
    pub(crate) fn most_tasks(&self, batch: usize, queries: usize, keys: usize) -> usize {
        let factors = [batch, queries.div_ceil(self.queries), self.kv_heads, keys.div_ceil(PART).max(1)];
        factors.into_iter().fold(1, usize::saturating_mul)
    }

    /// Heads of K and V that take turns.
    pub(super) fn heads(&self) -> usize {
        (STATE_FLOATS / self.part_floats()).clamp(1, self.kv_heads.max(1))
    }

    /// Heads of a team: as many as take turns where the heads of a token lie side by side, unless threads had too
    /// little to share then.
    pub(crate) fn team(
        &self,
        problem: &Problem<'_>,
        sequences: impl Iterator<Item = Sequence> + Clone,
        threads: Threads,
    ) -> usize {
        let strides = problem.k.strides();
        let mut team = if strides.head < strides.token { self.heads() } else { 1 };
        let enough = if threads.is_serial() { 1 } else { TASKS * threads.get() };
        while team > 1 && tasks(problem, *self, team, sequences.clone()).nth(enough - 1).is_none() {
            team = team.div_ceil(2);
        }
        team
    }

    /// Floats of the states of the heads that take turns, of the results of a wave, and of what threads work in.
    fn shares(&self, threads: Threads) -> [usize; 3] {
        // A single thread merges a result while the cache still holds it.
        let results = match threads.get() {
            1 => self.heads(),
            count => count.saturating_mul((RESULT_FLOATS / self.part_floats()).max(2 * self.heads())),
        };
        let part = self.part_floats();
        [
            self.heads().saturating_mul(part),
            results.saturating_mul(part),
            self.scratch_floats().saturating_mul(threads.get()),
        ]
    }

    /// Floats of memory that [`Waves::compute`] needs.
    pub(crate) fn floats(&self, threads: Threads) -> usize {
        self.shares(threads).into_iter().fold(0, usize::saturating_add)
    }
}

/// What computes tasks.
pub(crate) struct Waves<'p> {
    pub(crate) kernel: InstructionSet,
    pub(crate) problem: &'p Problem<'p>,
    pub(crate) cut: Cut,
    /// Heads of a task at most.
    pub(crate) team: usize,
    pub(crate) threads: Threads,
}

impl Waves<'_> {
    /// Computes the rows of the output that the tasks belong to.
    pub(crate) fn compute(&self, mut tasks: impl Iterator<Item = Task> + Clone + Send, memory: &mut [f32]) {
        let [states, results, scratch] = self.cut.shares(self.threads);
        let (states, memory) = memory.split_at_mut(states);
        let (results, memory) = memory.split_at_mut(results);
        let scratch = &mut memory[..scratch];
        if self.threads.is_serial() {
            for task in tasks {
                self.compute_task(&task, results, scratch);
                self.merge(&task, results, states);
            }
            return;
        }
        let len = self.team * self.cut.part_floats();
        while tasks.clone().next().is_some() {
            let wave = tasks.clone().zip(results.chunks_exact_mut(len));
            for_each(wave, self.threads, scratch, &|(task, result), scratch| {
                self.compute_task(&task, result, scratch);
            });
            for (result, task) in results.chunks_exact(len).zip(&mut tasks) {
                self.merge(&task, result, states);
            }
        }
    }

    fn compute_task(&self, task: &Task, results: &mut [f32], scratch: &mut [f32]) {
        let Self { problem, cut, .. } = *self;
        self.kernel.run(RowsOfPart { problem, task, cut, results, scratch });
    }

    fn merge(&self, task: &Task, results: &[f32], states: &mut [f32]) {
        let Self { problem, cut, .. } = *self;
        let len = cut.part_floats();
        for (kv_head, result) in task.heads.clone().zip(results.chunks_exact(len)) {
            let state = &mut states[kv_head % cut.heads() * len..][..len];
            self.kernel.run(Merge { problem, task, kv_head, cut, result, state });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Extents, Mask, Options, Strides, View, ViewMut};

    /// What the tasks of one query with `keys` keys and 20 heads are: heads and parts.
    fn places(keys: usize, mask: Mask, length: Option<usize>) -> Vec<[usize; 2]> {
        let (x, mut out) = ([0.5_f32; 40], [0.0_f32; 40]);
        let extents = Extents { batch: 1, tokens: keys, heads: 20, head_dim: 2 };
        let k = View::with_strides(&x, extents, Strides { batch: 0, token: 0, head: 2 }).unwrap().into();
        let q = View::from_bnhd(&x, [1, 1, 20, 2]).unwrap().into();
        let (lengths, out) = (length.map(|length| [length]), ViewMut::from_bnhd(&mut out, [1, 1, 20, 2]).unwrap());
        let options = match &lengths {
            Some(lengths) => Options::NONE.mask(mask).key_lengths(lengths),
            None => Options::NONE.mask(mask),
        };
        let problem = Problem::new([q, k, k], out.into(), None, options).unwrap();
        let cut = Cut::new(&problem, problem.sequences());
        let ends = |task: &Task| assert!(!task.is_first || !task.is_last || length == Some(0), "{task:?}");
        let tasks = tasks(&problem, cut, 1, problem.sequences()).inspect(ends);
        tasks.map(|task| [task.heads.start, task.part]).collect()
    }

    #[test]
    fn there_is_a_task_for_each_head_and_each_part_that_is_seen() {
        let all =
            |parts: Range<usize>| -> Vec<_> { parts.flat_map(|part| (0..20).map(move |head| [head, part])).collect() };
        assert_eq!(places(5 * PART + 1, Mask::None, None), all(0..6));
        assert_eq!(places(50 * PART, Mask::Window { left: PART, right: 0 }, None), all(48..50));
        assert_eq!(places(50 * PART, Mask::Causal, Some(PART + 1)), all(0..2));
        assert_eq!(places(50 * PART, Mask::Causal, Some(0)), all(0..1), "rows of 0 are written too");
    }

    #[test]
    fn heads_are_a_team_where_they_lie_side_by_side_and_threads_have_enough_to_do() {
        let team = |by_token: bool, keys: usize, threads: usize| {
            let x = vec![0.5_f32; keys * 8 * 16];
            let mut out = [0.0_f32; 8 * 16];
            let k = match by_token {
                true => View::from_bnhd(&x, [1, keys, 8, 16]).unwrap().into(),
                false => View::from_bhnd(&x, [1, 8, keys, 16]).unwrap().into(),
            };
            let q = View::from_bnhd(&x[..8 * 16], [1, 1, 8, 16]).unwrap().into();
            let out = ViewMut::from_bnhd(&mut out, [1, 1, 8, 16]).unwrap();
            let problem = Problem::new([q, k, k], out.into(), None, Options::NONE).unwrap();
            let sequences = problem.sequences();
            Cut::new(&problem, sequences.clone()).team(&problem, sequences, Threads::new(threads).unwrap())
        };
        assert_eq!((team(true, 10, 1), team(false, 10, 1)), (8, 1));
        assert_eq!((team(true, 8 * PART, 2), team(true, 2 * PART, 2), team(true, 10, 2)), (8, 2, 1));
    }
}
