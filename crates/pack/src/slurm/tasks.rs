//! Which units one task of a job measures.

use anyhow::{Context as _, Result, bail, ensure};
use regex_lite::Regex;

use crate::manifest::{Manifest, What};

/// Units that stay on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    /// The cell, or the benchmark.
    pub(super) name: String,
    /// What `run --only` takes.
    pub(super) only: String,
    /// Places of the units in the plan.
    pub(super) units: Vec<usize>,
}

/// The tasks of a pack, in its order of importance: units of the same cell or benchmark are one.
pub(super) fn tasks(manifest: &Manifest) -> Result<Vec<Task>> {
    let (before, after) = match manifest.what {
        What::Scenario(_) => ("", " process [0-9]+"),
        What::Compare(_) => ("(?:pilot|block [0-9]+|figures) ", ""),
        What::Peers(_) | What::Bench(_) => bail!("only scenarios and comparisons are measured by Slurm"),
    };
    grouped(&manifest.plan, (before, after))
}

/// Units whose names differ only in what precedes and follows their subject.
fn grouped(plan: &[String], (before, after): (&str, &str)) -> Result<Vec<Task>> {
    let unit = Regex::new(&format!("^{before}(.*){after}$"))?;
    let mut tasks: Vec<Task> = Vec::new();
    for (place, name) in plan.iter().enumerate() {
        let subject = unit.captures(name).and_then(|captures| captures.get(1));
        let subject = subject.with_context(|| format!("{name:?} is no unit of a task"))?.as_str();
        ensure!(!subject.contains('\n'), "{name:?} has several lines");
        match tasks.iter_mut().find(|task| task.name == subject) {
            Some(task) => task.units.push(place),
            None => tasks.push(Task {
                name: subject.to_owned(),
                only: format!("^{before}{}{after}$", regex_lite::escape(subject)),
                units: vec![place],
            }),
        }
    }
    Ok(tasks)
}

/// Numbers as `sbatch --array` takes them: 0-3,7.
pub(super) fn array(numbers: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let shown = |(first, last): &(usize, usize)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    ranges.iter().map(shown).collect::<Vec<_>>().join(",")
}

/// The numbers that Slurm shows for elements of an array: 3, 2-11%2 or 1,4-6. A step, `0-8:2`, is never submitted here.
pub(super) fn numbers(text: &str) -> Option<Vec<usize>> {
    let list = text.split_once('%').map_or(text, |(list, _)| list);
    let mut numbers = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        numbers.extend(first.parse::<usize>().ok()?..=last.parse().ok()?);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    /// What `--only` chooses of a plan.
    fn chosen(task: &Task, plan: &[String]) -> Vec<usize> {
        let only = Regex::new(&task.only).unwrap();
        (0..plan.len()).filter(|place| only.is_match(&plan[*place])).collect()
    }

    #[test]
    fn all_processes_of_a_cell_are_one_task() {
        let plan = names(&["a=1,b=x.y process 1", "a=1,b=xzy process 1", "a=1,b=x.y process 2"]);
        let tasks = grouped(&plan, ("", " process [0-9]+")).unwrap();
        assert_eq!(tasks.iter().map(|task| task.name.as_str()).collect::<Vec<_>>(), ["a=1,b=x.y", "a=1,b=xzy"]);
        assert_eq!((tasks[0].units.as_slice(), tasks[1].units.as_slice()), (&[0, 2][..], &[1][..]));
        for task in &tasks {
            assert_eq!(chosen(task, &plan), task.units, "a name is no pattern");
        }
        assert!(grouped(&names(&["a=1"]), ("", " process [0-9]+")).is_err());
    }

    #[test]
    fn pilot_and_blocks_of_a_benchmark_are_one_task() {
        let plan = names(&["pilot p/t x", "pilot p/t x/1", "block 1 p/t x/1", "block 1 p/t x", "figures p/t y (z)"]);
        let tasks = grouped(&plan, ("(?:pilot|block [0-9]+|figures) ", "")).unwrap();
        let units: Vec<&[usize]> = tasks.iter().map(|task| task.units.as_slice()).collect();
        assert_eq!(units, [&[0, 3][..], &[1, 2], &[4]]);
        for task in &tasks {
            assert_eq!(chosen(task, &plan), task.units);
        }
    }

    #[test]
    fn elements_of_arrays_are_written_and_read() {
        assert_eq!(array(&[0, 1, 2, 3, 7, 9, 10]), "0-3,7,9-10");
        assert_eq!(numbers("0-3,7,9-10%2"), Some(vec![0, 1, 2, 3, 7, 9, 10]));
        assert_eq!((numbers("5"), numbers("N/A"), numbers("1-8:2"), numbers("")), (Some(vec![5]), None, None, None));
    }
}
