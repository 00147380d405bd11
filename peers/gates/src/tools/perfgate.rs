//! perfgate's `paired`, as its README says: the two commands in turns, 30 pairs, a test of the mean difference.
//!
//! The documents use `--fail-on-regression 20`, which can find none of the slowdowns here; the program's help has 5,
//! which is used. The receipt also holds the test by itself, without the limit: that is a second rule.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::{Tool, Workplace, build};
use crate::pair::{IDS, Pair, Side};
use crate::process::{Ran, command, run};
use crate::record::{Finding, Says};

const LIMITED: &str = "perfgate `paired`, fails over 5 %";
const TEST: &str = "perfgate `paired`, its test alone";
const PACKAGE: &str = "perfgate-cli";
const PROGRAM: &str = "perfgate";
const VERSION: &str = "0.18.1";
/// Iterations of a process: about a third of a second, because it counts whole milliseconds.
const ITERATIONS: u32 = 500;
const PAIRS: u32 = 30;

pub(super) struct Perfgate;

impl Tool for Perfgate {
    fn name(&self) -> &'static str {
        "perfgate"
    }

    fn version(&self, _: &Workplace) -> Result<String> {
        Ok(VERSION.to_owned())
    }

    fn install(&self, place: &Workplace) -> Result<()> {
        place.install(PACKAGE, VERSION, PROGRAM)
    }

    fn compare(&self, place: &Workplace, pair: &Pair) -> Result<Vec<Finding>> {
        let repository = place.repository(self.name())?;
        for (side, name) in [(Side::Base, "old"), (Side::Head, "new")] {
            let mut cargo = repository.cargo();
            cargo.args(["build", "--locked", "--release", "--bin", "once"]);
            build(&repository, pair, side, cargo, &repository.root.join("target/sides").join(name))?;
        }
        let (pairs, iterations) = if place.quick { (3, ITERATIONS / 25) } else { (PAIRS, ITERATIONS) };
        let program = place.programs(&format!("{PACKAGE}-{VERSION}")).join("bin").join(PROGRAM);
        let receipt = repository.root.join("target/sides/receipt.json");
        let (mut limited, mut test) = (Finding::of(LIMITED), Finding::of(TEST));
        for id in IDS {
            let _ = fs::remove_file(&receipt);
            let mut perfgate = command(&program, &repository.root);
            perfgate.args(["paired", "--name", id]);
            perfgate.args(["--baseline-cmd", &format!("target/sides/old {id} {iterations}")]);
            perfgate.args(["--current-cmd", &format!("target/sides/new {id} {iterations}")]);
            perfgate.args(["--repeat", &pairs.to_string(), "--fail-on-regression", "5"]).arg("--out").arg(&receipt);
            limited.benchmarks.insert(id.to_owned(), by_status(&run(&mut perfgate)?)?);
            test.benchmarks.insert(id.to_owned(), by_receipt(&receipt)?);
        }
        Ok(vec![limited, test])
    }
}

/// What the status says. It fails alike for a regression and for a command that cannot run; the reason tells.
fn by_status(ran: &Ran) -> Result<Says> {
    match ran.code {
        Some(0) => Ok(Says::Nothing),
        Some(1 | 2) if ran.stderr.contains("wall time regression") && !ran.stderr.contains("exit ") => Ok(Says::Slower),
        _ => bail!("perfgate: {}", ran.reason()),
    }
}

fn by_receipt(path: &Path) -> Result<Says> {
    let text = fs::read_to_string(path).context("perfgate left no receipt")?;
    by_test(&text).context("perfgate's receipt is not a perfgate.paired.v1 with a test of wall_diff_ms")
}

/// What the receipt's test says: the sign of the mean difference, where the test calls it significant.
fn by_test(receipt: &str) -> Option<Says> {
    let receipt: serde_json::Value = serde_json::from_str(receipt).ok()?;
    let is_known = receipt.get("schema")?.as_str()? == "perfgate.paired.v1";
    let difference = receipt.get("stats")?.get("wall_diff_ms")?;
    let is_significant = difference.get("significance")?.get("significant")?.as_bool()?;
    let mean = difference.get("mean")?.as_f64()?;
    is_known.then_some(match is_significant {
        true if mean > 0.0 => Says::Slower,
        true => Says::Faster,
        false => Says::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(mean: f64, is_significant: bool) -> String {
        format!(
            r#"{{"schema":"perfgate.paired.v1","samples":[],
                "stats":{{"wall_diff_ms":{{"mean":{mean},"significance":{{"significant":{is_significant}}}}}}}}}"#
        )
    }

    #[test]
    fn the_test_is_read_from_the_receipt() {
        assert_eq!(by_test(&receipt(2.5, true)), Some(Says::Slower));
        assert_eq!(by_test(&receipt(-2.5, true)), Some(Says::Faster));
        assert_eq!(by_test(&receipt(2.5, false)), Some(Says::Nothing));
        assert_eq!(by_test(&receipt(1.0, true).replace("paired.v1", "paired.v2")), None);
        assert_eq!(by_test(r#"{"schema":"perfgate.paired.v1","stats":{}}"#), None);
    }

    #[test]
    fn a_regression_is_told_from_a_command_that_fails() {
        let ran = |code, stderr: &str| Ran { stdout: String::new(), stderr: stderr.to_owned(), code };
        assert_eq!(by_status(&ran(Some(0), "")).unwrap(), Says::Nothing);
        let slower = "Error: paired benchmark failed: wall time regression (8.10%) exceeded threshold (5.00%)";
        assert_eq!(by_status(&ran(Some(1), slower)).unwrap(), Says::Slower);
        for (code, stderr) in [(Some(1), "pair 1 current exit 1"), (Some(101), slower), (None, slower)] {
            assert!(by_status(&ran(code, stderr)).is_err(), "{code:?} {stderr}");
        }
    }
}
