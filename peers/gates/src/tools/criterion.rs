//! Criterion's own verdict, as its book says (`--save-baseline` before, `--baseline` after), and on the same two runs
//! the rule of most hand-made gates: the ratio of the two means over 5 %.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::{Tool, Workplace};
use crate::pair::{IDS, Pair, Side};
use crate::process::{command, succeed};
use crate::record::{Finding, Says};

const OWN: &str = "criterion, its own verdict";
const RATIO: &str = "ratio of one run each over 5 %";
const LIMIT: f64 = 1.05;
/// As in `subject/Cargo.toml`.
const VERSION: &str = "0.8.2";

pub(super) struct Criterion;

impl Tool for Criterion {
    fn name(&self) -> &'static str {
        "criterion"
    }

    fn version(&self, _: &Workplace) -> Result<String> {
        Ok(VERSION.to_owned())
    }

    fn install(&self, place: &Workplace) -> Result<()> {
        let mut cargo = place.repository(self.name())?.cargo();
        succeed(cargo.args(["bench", "--locked", "--quiet", "--bench", "kernels", "--no-run"])).map(drop)
    }

    fn compare(&self, place: &Workplace, pair: &Pair) -> Result<Vec<Finding>> {
        let repository = place.repository(self.name())?;
        let results = repository.root.join("target/criterion");
        let _ = fs::remove_dir_all(&results);
        let bench = |side, flag: &str| {
            repository.put(pair, side)?;
            let mut cargo = command("cargo", &repository.root);
            cargo.args(["bench", "--locked", "--bench", "kernels", "--", flag, "base"]);
            if place.quick {
                cargo.args(["--sample-size", "10", "--warm-up-time", "0.05", "--measurement-time", "0.1"]);
                cargo.args(["--nresamples", "1000"]);
            }
            succeed(&mut cargo)
        };
        bench(Side::Base, "--save-baseline")?;
        let text = bench(Side::Head, "--baseline")?;
        Ok(vec![read(&text)?, ratios(&results)?])
    }
}

/// Reads what criterion prints: a line with `time:` names the benchmark, one of four sentences follows.
fn read(text: &str) -> Result<Finding> {
    let mut finding = Finding::of(OWN);
    let mut id = None;
    for line in text.lines() {
        if let Some((before, _)) = line.split_once(" time: ") {
            // A long id stands on a line of its own; those of the subject are short.
            id = Some(before.trim().to_owned());
        }
        let says = match line.trim() {
            "Performance has regressed." => Says::Slower,
            "Performance has improved." => Says::Faster,
            "No change in performance detected." | "Change within noise threshold." => Says::Nothing,
            _ => continue,
        };
        let Some(id) = id.take() else { bail!("criterion gives a verdict on no benchmark: {line}") };
        finding.benchmarks.insert(id, says);
    }
    if let Some(id) = IDS.iter().find(|id| !finding.benchmarks.contains_key(**id)) {
        bail!("criterion gives no verdict on {id}");
    }
    Ok(finding)
}

/// Compares the means that criterion keeps in its two directories of every benchmark.
fn ratios(results: &Path) -> Result<Finding> {
    let mean = |id: &str, which: &str| {
        let path = results.join(id).join(which).join("estimates.json");
        let text = fs::read_to_string(&path).with_context(|| format!("criterion left no {}", path.display()))?;
        mean(&text).with_context(|| format!("{} has no mean", path.display()))
    };
    let mut finding = Finding::of(RATIO);
    for id in IDS {
        finding.benchmarks.insert(id.to_owned(), by_ratio(mean(id, "base")?, mean(id, "new")?));
    }
    Ok(finding)
}

fn mean(estimates: &str) -> Option<f64> {
    let estimates: serde_json::Value = serde_json::from_str(estimates).ok()?;
    estimates.get("mean")?.get("point_estimate")?.as_f64().filter(|mean| *mean > 0.0)
}

fn by_ratio(base: f64, head: f64) -> Says {
    match head / base {
        ratio if ratio > LIMIT => Says::Slower,
        ratio if ratio < 1.0 / LIMIT => Says::Faster,
        _ => Says::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(verdict: impl Fn(usize) -> &'static str) -> String {
        let one = |(at, id): (usize, &&str)| {
            format!(
                "{id:<24}time:   [1.1 µs 1.2 µs 1.3 µs]\n{:24}change: [+1.0% +2.0% +3.0%] (p = 0.00 < 0.05)\n\
                 {:24}{}\nFound 3 outliers among 100 measurements (3.00%)\n  3 (3.00%) high mild\n\n",
                "",
                "",
                verdict(at)
            )
        };
        IDS.iter().enumerate().map(one).collect()
    }

    #[test]
    fn the_four_sentences_are_read() {
        let finding = read(&printed(|at| {
            [
                "Performance has regressed.",
                "Performance has improved.",
                "No change in performance detected.",
                "Change within noise threshold.",
            ][at % 4]
        }));
        let finding = finding.unwrap();
        let says: Vec<Says> = IDS.iter().take(4).map(|id| finding.benchmarks[*id]).collect();
        assert_eq!(says, [Says::Slower, Says::Faster, Says::Nothing, Says::Nothing]);
    }

    #[test]
    fn a_benchmark_without_a_verdict_is_an_error() {
        let error = read(&printed(|at| if at == 3 { "" } else { "No change in performance detected." }));
        assert_eq!(error.unwrap_err().to_string(), format!("criterion gives no verdict on {}", IDS[3]));
        assert!(read("Performance has regressed.\n").is_err());
    }

    #[test]
    fn the_ratio_of_means_has_a_limit_on_both_sides() {
        assert_eq!(
            [106.0, 104.0, 96.0, 95.0].map(|head| by_ratio(100.0, head)),
            [Says::Slower, Says::Nothing, Says::Nothing, Says::Faster]
        );
        assert_eq!(mean(r#"{"mean":{"point_estimate":12.5},"median":{"point_estimate":1.0}}"#), Some(12.5));
        assert_eq!(mean(r#"{"mean":{"point_estimate":0.0}}"#), None);
    }
}
