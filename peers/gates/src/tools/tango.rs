//! tango-bench, as its README says: the base's program is kept, the head's compares itself with it.

use anyhow::{Result, bail};

use super::{Tool, Workplace, build};
use crate::pair::{IDS, Pair, Side};
use crate::process::{command, run, succeed};
use crate::record::{Finding, Says};

const RULE: &str = "tango `compare`";
/// As in `subject/tango/Cargo.toml`.
const VERSION: &str = "0.9.0";

pub(super) struct Tango;

impl Tool for Tango {
    fn name(&self) -> &'static str {
        "tango"
    }

    fn version(&self, _: &Workplace) -> Result<String> {
        Ok(VERSION.to_owned())
    }

    fn install(&self, place: &Workplace) -> Result<()> {
        let directory = place.repository(self.name())?.root.join("tango");
        let mut cargo = command("cargo", &directory);
        succeed(cargo.args(["bench", "--locked", "--quiet", "--bench", "kernels", "--no-run"])).map(drop)
    }

    fn compare(&self, place: &Workplace, pair: &Pair) -> Result<Vec<Finding>> {
        let repository = place.repository(self.name())?;
        let directory = repository.root.join("tango");
        // The README exports the program with `cargo export`, which copies what cargo built.
        let mut cargo = command("cargo", &directory);
        cargo.args(["bench", "--locked", "--bench", "kernels", "--no-run"]);
        build(&repository, pair, Side::Base, cargo, &directory.join("target/benchmarks/kernels"))?;
        repository.put(pair, Side::Head)?;
        let mut cargo = command("cargo", &directory);
        cargo.args(["bench", "--locked", "-q", "--bench", "kernels", "--", "compare", "target/benchmarks/kernels"]);
        if place.quick {
            cargo.args(["-s", "10"]);
        }
        // It fails when something is slower, so the lines decide, not the status.
        let ran = run(&mut cargo)?;
        let finding = read(&ran.stdout)?;
        if let Some(id) = IDS.iter().find(|id| !finding.benchmarks.contains_key(**id)) {
            bail!("tango says nothing of {id}: {}", ran.reason());
        }
        Ok(vec![finding])
    }
}

/// Reads lines such as `name  [ 375.5 ns ... 369.0 ns ]  -1.58%*`; the asterisk marks what it calls significant.
fn read(text: &str) -> Result<Finding> {
    let mut finding = Finding::of(RULE);
    for line in text.lines() {
        let Some((id, rest)) = line.split_once('[') else { continue };
        let Some((_, change)) = rest.split_once(']') else { continue };
        let (change, is_significant) = match change.trim().strip_suffix('*') {
            Some(change) => (change, true),
            None => (change.trim(), false),
        };
        let Some(percent) = change.strip_suffix('%').and_then(|percent| percent.trim().parse::<f64>().ok()) else {
            bail!("tango's line has no percentage: {line}");
        };
        let says = match is_significant {
            true if percent > 0.0 => Says::Slower,
            true => Says::Faster,
            false => Says::Nothing,
        };
        finding.benchmarks.insert(id.trim().to_owned(), says);
    }
    Ok(finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_asterisk_and_the_sign_decide() {
        let text = "\
            WARN: something\n\
            up      [ 100.0 ns ... 110.0 ns ]     +10.00%*\n\
            down    [   1.2 us ...   1.1 us ]      -8.33%*\n\
            near    [   1.2 ms ...   1.2 ms ]      +0.40%\n";
        let finding = read(text).unwrap();
        let says = |id: &str| finding.benchmarks[id];
        assert_eq!((says("up"), says("down"), says("near")), (Says::Slower, Says::Faster, Says::Nothing));
        assert_eq!(finding.benchmarks.len(), 3);
    }

    #[test]
    fn another_form_is_an_error_instead_of_silence() {
        assert!(read("up [ 1 ns ... 2 ns ] slower*\n").is_err());
    }
}
