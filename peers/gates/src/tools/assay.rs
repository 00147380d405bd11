//! Our own gate, `cargo assay gate`, as docs/gate.md says.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::{Tool, Workplace};
use crate::pair::{Pair, Side};
use crate::process::{command, run, succeed};
use crate::record::{Finding, Says};

const RULE: &str = "`cargo assay gate`";
const REPORT: &str = "gate.json";

pub(super) struct Assay;

impl Tool for Assay {
    fn name(&self) -> &'static str {
        "assay"
    }

    fn version(&self, place: &Workplace) -> Result<String> {
        let git = |arguments: &[&str]| succeed(command("git", &place.assay).args(arguments));
        let revision = git(&["rev-parse", "--short=10", "HEAD"])?;
        let changed = git(&["status", "--porcelain", "--", "crates", "Cargo.toml", "Cargo.lock"])?;
        let state = if changed.trim().is_empty() { "" } else { " with uncommitted changes" };
        Ok(format!("{}{state}", revision.trim()))
    }

    fn install(&self, place: &Workplace) -> Result<()> {
        let mut cargo = command("cargo", &place.assay);
        cargo.args(["install", "--locked", "--quiet", "--path", "crates/compare", "--root"]);
        cargo.arg(place.programs("assay")).arg("--target-dir").arg(place.root.join("tools/target-assay"));
        succeed(&mut cargo).map(drop)
    }

    fn compare(&self, place: &Workplace, pair: &Pair) -> Result<Vec<Finding>> {
        let repository = place.repository(self.name())?;
        repository.put(pair, Side::Base)?;
        let base = repository.commit("base")?;
        repository.put(pair, Side::Head)?;
        repository.commit("head")?;
        let report = place.root.join(REPORT);
        let _ = fs::remove_file(&report);
        let mut gate = command(place.programs("assay").join("bin/cargo-assay"), &repository.root);
        gate.args(["assay", "gate", "--base", &base, "--json-file"]).arg(&report);
        // Its worktrees and builds belong to this workplace, too.
        gate.env("XDG_CACHE_HOME", place.root.join("cache"));
        let budget = place.budget.map(|budget| format!("{}s", budget.as_secs()));
        if let Some(budget) = budget.or(place.quick.then(|| "20s".to_owned())) {
            gate.args(["--budget", &budget]);
        }
        if place.quick {
            gate.args(["--wait", "0s"]);
        }
        let ran = run(&mut gate)?;
        let Ok(text) = fs::read_to_string(&report) else { bail!("no report: {}", ran.reason()) };
        read(&text).map(|finding| vec![finding])
    }
}

#[derive(Deserialize)]
struct Report {
    rows: Vec<Row>,
    contaminated: Option<String>,
    exit: u8,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    verdict: String,
}

/// Reads the gate's JSON. Exit 4 is no verdict, whatever the rows say. Exit 3 without a slower row is a regression of
/// something other than time, which is an alarm of the whole.
fn read(text: &str) -> Result<Finding> {
    let report: Report = serde_json::from_str(text).context("the gate's report is not as documented")?;
    let mut finding = Finding::of(RULE);
    match report.exit {
        0 | 3 => {}
        4 => {
            finding.no_verdict = Some(report.contaminated.unwrap_or_else(|| "exit 4".to_owned()));
            return Ok(finding);
        }
        exit => bail!("the gate ended with exit {exit}"),
    }
    let says = |verdict: &str| match verdict {
        "SLOWER" => Says::Slower,
        "FASTER" => Says::Faster,
        _ => Says::Nothing,
    };
    let benchmarks: BTreeMap<_, _> = report.rows.into_iter().map(|row| (row.id, says(&row.verdict))).collect();
    let named = benchmarks.values().any(|says| *says == Says::Slower);
    finding.whole = if report.exit == 3 && !named { Says::Slower } else { Says::Nothing };
    finding.benchmarks = benchmarks;
    Ok(finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(exit: u8, verdicts: [&str; 2]) -> String {
        let [a, b] = verdicts;
        format!(
            r#"{{"schema":1,"contaminated":"why","exit":{exit},
                "rows":[{{"id":"a","verdict":"{a}"}},{{"id":"b","verdict":"{b}"}}]}}"#
        )
    }

    #[test]
    fn verdicts_are_read_by_id() {
        let finding = read(&report(3, ["SLOWER", "FASTER"])).unwrap();
        assert_eq!((finding.benchmarks["a"], finding.benchmarks["b"]), (Says::Slower, Says::Faster));
        assert_eq!(finding.whole, Says::Nothing);
        assert!(!read(&report(0, ["NOT_FLAGGED", "SAME"])).unwrap().has_alarm());
    }

    #[test]
    fn exits_decide_what_the_rows_mean() {
        assert_eq!(read(&report(3, ["SAME", "SAME"])).unwrap().whole, Says::Slower, "memory grew, say");
        let none = read(&report(4, ["SLOWER", "SAME"])).unwrap();
        assert_eq!((none.no_verdict.as_deref(), none.has_alarm()), (Some("why"), false));
        assert!(read(&report(5, ["INVALID", "SAME"])).unwrap_err().to_string().contains("exit 5"));
        assert!(read("{}").is_err());
    }
}
