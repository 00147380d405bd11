//! autor3search-rust, as its README says: `init`, `baseline`, a commit, `eval`.
//!
//! Its rounds run both sides with swapped order; a Mann-Whitney test decides. It keeps a change that makes something
//! faster (corrected by Bonferroni) and discards one that makes something slower by more than 5 % (not corrected).
//! It names the slower benchmarks. A change that it keeps is a gain of the whole, since it names no faster benchmark.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::{Tool, Workplace};
use crate::pair::{IDS, Pair, Side};
use crate::process::{command, run, succeed};
use crate::record::{Finding, Says};

const RULE: &str = "autor3search-rust `eval`";
const PACKAGE: &str = "autor3search-rust";
const VERSION: &str = "0.2.1";
/// Its configuration, in the repository.
const CONFIG: &str = ".autor3search/config.yaml";

pub(super) struct Autor3search;

impl Autor3search {
    fn program(place: &Workplace, repository: &crate::subject::Repository) -> Command {
        let mut program =
            command(place.programs(&format!("{PACKAGE}-{VERSION}")).join("bin").join(PACKAGE), &repository.root);
        program.env("AUTOR3SEARCH_RUST_STATE_HOME", state(place));
        program
    }
}

/// Where it keeps the worktree of the base.
fn state(place: &Workplace) -> std::path::PathBuf {
    place.root.join("autor3search-state")
}

impl Tool for Autor3search {
    fn name(&self) -> &'static str {
        "autor3search-rust"
    }

    fn version(&self, _: &Workplace) -> Result<String> {
        Ok(VERSION.to_owned())
    }

    fn install(&self, place: &Workplace) -> Result<()> {
        place.install(PACKAGE, VERSION, PACKAGE)?;
        let repository = place.repository(self.name())?;
        repository.git(&["checkout", "--quiet", "--force", "main"])?;
        let config = repository.root.join(CONFIG);
        if config.is_file() {
            let _ = fs::remove_file(&config);
        }
        succeed(Self::program(place, &repository).args(["init", "--force"]))?;
        if place.quick {
            let text = fs::read_to_string(&config).context("`init` wrote no configuration")?;
            fs::write(&config, shortened(&text))?;
        }
        repository.commit("autor3search-rust init").map(drop)
    }

    fn compare(&self, place: &Workplace, pair: &Pair) -> Result<Vec<Finding>> {
        let repository = place.repository(self.name())?;
        repository.git(&["checkout", "--quiet", "--force", "main"])?;
        // The worktree of the last comparison, with its builds.
        let _ = fs::remove_dir_all(state(place));
        repository.git(&["worktree", "prune"])?;
        // Its table of experiments: `baseline` refuses to begin beside that of an earlier run.
        let _ = fs::remove_file(repository.root.join("results.tsv"));
        repository.put(pair, Side::Base)?;
        let base = repository.commit("base")?;
        // It refuses the tag of an earlier run.
        let tag = format!("{}-{}-{}", pair.kind.name(), pair.number, &base[..10]);
        let _ = repository.git(&["branch", "--quiet", "-D", &format!("{PACKAGE}/{tag}")]);
        succeed(Self::program(place, &repository).args(["baseline", "--tag", &tag]))?;
        repository.put(pair, Side::Head)?;
        repository.commit("head")?;
        let ran = run(Self::program(place, &repository).args(["eval", "--json"]))?;
        if ran.stdout.trim().is_empty() {
            bail!("`eval` printed nothing: {}", ran.reason());
        }
        read(&ran.stdout).map(|finding| vec![finding])
    }
}

/// The configuration with next to no measurement.
fn shortened(config: &str) -> String {
    let line = |line: &str| match line.split_once(':').map_or("", |(key, _)| key) {
        "count" => "count: 4".to_owned(),
        "sample_size" => "sample_size: 10".to_owned(),
        "measurement_time" => "measurement_time: 100ms".to_owned(),
        "warm_up_time" => "warm_up_time: 50ms".to_owned(),
        _ => line.to_owned(),
    };
    config.lines().map(|text| line(text) + "\n").collect()
}

#[derive(Deserialize)]
struct Verdict {
    status: String,
    reason: String,
    message: String,
    #[serde(default)]
    regressions: Vec<Regression>,
}

#[derive(Deserialize)]
struct Regression {
    name: String,
}

/// Reads the one object that `eval --json` prints.
fn read(text: &str) -> Result<Finding> {
    let verdict: Verdict = serde_json::from_str(text.trim()).context("`eval --json` printed no verdict")?;
    let mut finding = Finding::of(RULE);
    finding.benchmarks = IDS.iter().map(|id| ((*id).to_owned(), Says::Nothing)).collect();
    match (verdict.status.as_str(), verdict.reason.as_str()) {
        ("KEEP", _) => finding.whole = Says::Faster,
        ("DISCARD", "guard_regression") => {
            if verdict.regressions.is_empty() {
                bail!("it discards for regressions and names none");
            }
            finding.benchmarks.extend(verdict.regressions.into_iter().map(|one| (one.name, Says::Slower)));
        }
        ("DISCARD", "no_significant_improvement" | "improvement_below_min_effect") => {}
        (status, reason) => bail!("{status} ({reason}): {}", verdict.message),
    }
    Ok(finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: &str, reason: &str, regressions: &str) -> String {
        format!(
            r#"{{"status":"{status}","reason":"{reason}","score":1.01,"message":"why",{regressions}"stop_requested":false}}"#
        ) + "\n"
    }

    #[test]
    fn regressions_are_named_and_gains_are_of_the_whole() {
        let regressions = format!(r#""regressions":[{{"name":"{}","pct_change":8.2,"p":0.001}}],"#, IDS[2]);
        let finding = read(&verdict("DISCARD", "guard_regression", &regressions)).unwrap();
        assert_eq!((finding.benchmarks[IDS[2]], finding.benchmarks[IDS[3]]), (Says::Slower, Says::Nothing));
        assert_eq!(read(&verdict("KEEP", "improved", "")).unwrap().whole, Says::Faster);
        assert!(!read(&verdict("DISCARD", "no_significant_improvement", "")).unwrap().has_alarm());
        assert!(!read(&verdict("DISCARD", "improvement_below_min_effect", "")).unwrap().has_alarm());
    }

    #[test]
    fn what_did_not_measure_is_an_error() {
        for text in [
            verdict("FAIL", "scope_violation", ""),
            verdict("CRASH", "build_failed", ""),
            verdict("DISCARD", "guard_regression", ""),
            "no json".to_owned(),
        ] {
            assert!(read(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_short_configuration_changes_four_lines() {
        let short = shortened("benchmarks:\n- count_ones\ncount: 10\nsample_size: 50\nmeasurement_time: 2s\n");
        assert_eq!(short, "benchmarks:\n- count_ones\ncount: 4\nsample_size: 10\nmeasurement_time: 100ms\n");
    }
}
