//! Whether the trained model still does what it was trained to do.

use std::collections::BTreeMap;
use std::fmt;

use ::rwkv7::{Vocabulary, greedy};
use anyhow::{Context as _, Result};
use gguf::File;

use crate::commands::rwkv7::Sequence;

/// Least shares of right answers; the model reaches 0.91, 1.00 and 0.98 on a thousand prompts.
const LEAST: [(&str, f64); 3] = [("recall", 0.85), ("copy", 0.97), ("sum", 0.9)];

/// Right answers and questions, by task.
#[derive(Debug, PartialEq)]
pub(super) struct Solved(BTreeMap<String, (usize, usize)>);

/// Answers all tasks, greedily.
pub(super) fn solve(file: &File, sequence: &mut Sequence<'_, '_>, tasks: &str, tokens: usize) -> Result<Solved> {
    let tasks: Vec<BTreeMap<String, String>> = serde_json::from_str(tasks).context("the tasks are no list of texts")?;
    let vocabulary = Vocabulary::from_metadata(file.metadata())?;
    let mut logits = vec![0.0; tokens];
    let mut solved = Solved(BTreeMap::new());
    for task in &tasks {
        let of = |key: &str| task.get(key).with_context(|| format!("a task lacks its {key}"));
        sequence.reset()?;
        sequence.last(&vocabulary.encode(of("prompt")?.as_bytes()), &mut logits)?;
        let mut is_right = true;
        for expected in vocabulary.encode(of("answer")?.as_bytes()) {
            let token = greedy(&logits);
            is_right &= token == expected;
            sequence.last(&[token], &mut logits)?;
        }
        let (right, asked) = solved.0.entry(of("task")?.clone()).or_default();
        *right += usize::from(is_right);
        *asked += 1;
    }
    Ok(solved)
}

impl Solved {
    /// Why the model is not what it was.
    pub(super) fn failure(&self) -> Option<String> {
        let is_too_few = |(name, least): &(&str, f64)| {
            self.0.get(*name).is_none_or(|&(right, asked)| (right as f64) < least * asked as f64)
        };
        LEAST.iter().find(|task| is_too_few(task)).map(|(name, least)| {
            format!("of the tasks `{name}`, less than {:.0} % are answered right: {self}", 100.0 * least)
        })
    }
}

impl fmt::Display for Solved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = self.0.iter().map(|(name, (right, asked))| format!("{name} {right} of {asked}"));
        f.write_str(&each.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_forgot_a_task_fails() {
        let solved = |recall| {
            let each = [("recall", recall), ("copy", 50), ("sum", 50)];
            Solved(each.map(|(name, right)| (name.to_owned(), (right, 50))).into())
        };
        assert_eq!(solved(45).failure(), None);
        assert!(solved(40).failure().unwrap().contains("recall 40 of 50"));
        assert!(Solved(BTreeMap::new()).failure().is_some());
    }
}
