//! Which processes run, in which order, and how long the rest may take.

use std::collections::BTreeMap;

use compare::measure::Random;
use record::stats;
use scenario::{Cell, Row};

/// One process that is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) cell: Cell,
    /// Which process of the cell, from 1.
    pub(crate) run: u32,
}

/// All processes that are not finished: every cell once, in random order, before one runs again. So a drift of the
/// machine meets all cells alike, and rows of the same number are neighbors in time.
pub(crate) fn tasks(cells: &[Cell], runs: u32, seed: u64, is_finished: impl Fn(&Cell, u32) -> bool) -> Vec<Task> {
    let mut random = Random::new(seed);
    let mut tasks = Vec::new();
    for run in 1..=runs {
        let mut round: Vec<&Cell> = cells.iter().collect();
        random.shuffle(&mut round);
        let open = round.into_iter().filter(|cell| !is_finished(cell, run));
        tasks.extend(open.map(|cell| Task { cell: cell.clone(), run }));
    }
    tasks
}

/// The time that tasks take, in words, from the processes before them: those of the same cell where there are any, else
/// the median of all. `None` before the first.
pub(crate) fn time_left(tasks: &[Task], rows: &[Row]) -> Option<String> {
    let mut known: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for row in rows {
        known.entry(&row.record.cell).or_default().push(row.process_s);
    }
    let typical = stats::median(&rows.iter().map(|row| row.process_s).collect::<Vec<_>>())?;
    let of = |task: &Task| {
        let own = known.get(task.cell.to_string().as_str()).and_then(|seconds| stats::median(seconds));
        own.unwrap_or(typical)
    };
    Some(in_words(tasks.iter().map(of).sum()))
}

fn in_words(seconds: f64) -> String {
    match seconds {
        ..100.0 => format!("about {seconds:.0} s"),
        ..6000.0 => format!("about {:.0} min", seconds / 60.0),
        _ => format!("about {:.1} h", seconds / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::journal::tests::row;

    fn cells() -> Vec<Cell> {
        (0..20).map(|i| format!("a={i}").parse().unwrap()).collect()
    }

    #[test]
    fn every_cell_runs_once_before_one_runs_again_in_an_order_that_the_seed_repeats() {
        let cells = cells();
        let all = tasks(&cells, 3, 1, |_, _| false);
        assert_eq!(all.len(), 60);
        for (round, tasks) in all.chunks(20).enumerate() {
            assert!(tasks.iter().all(|task| task.run == round as u32 + 1));
            assert_eq!(tasks.iter().map(|task| &task.cell).collect::<BTreeSet<_>>().len(), 20);
        }
        assert_eq!(tasks(&cells, 3, 1, |_, _| false), all);
        assert_ne!(tasks(&cells, 3, 2, |_, _| false), all);
        assert_ne!(all[..20], all[20..40]);
        let order: Vec<Cell> = all[..20].iter().map(|task| task.cell.clone()).collect();
        assert_ne!(order, cells, "not the order of the matrix");
    }

    #[test]
    fn what_is_finished_is_left_out_and_the_others_keep_their_order() {
        let cells = cells();
        let is_finished = |cell: &Cell, run: u32| run == 1 || cell.get("a") == Some("7");
        let open = tasks(&cells, 2, 1, is_finished);
        let all = tasks(&cells, 2, 1, |_, _| false);
        let expected: Vec<Task> = all.into_iter().filter(|task| !is_finished(&task.cell, task.run)).collect();
        assert_eq!((open.len(), open), (19, expected));
    }

    #[test]
    fn the_time_left_is_that_of_the_same_cells() {
        let tasks = tasks(&cells()[..2], 1, 1, |_, _| false);
        assert_eq!(time_left(&tasks, &[]), None);
        let rows = [(0, 5.0), (9, 5.0), (1, 60.0)].map(|(cell, process_s)| {
            let mut row = row(&format!("a={cell}"), 1);
            row.process_s = process_s;
            row
        });
        assert_eq!(time_left(&tasks, &rows).as_deref(), Some("about 65 s"));
        assert_eq!(time_left(&tasks, &rows[1..2]).as_deref(), Some("about 10 s"), "cells that are not known");
        assert_eq!(in_words(600.0), "about 10 min");
        assert_eq!(in_words(7200.0), "about 2.0 h");
    }
}
