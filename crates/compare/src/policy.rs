//! `assay.toml` at the workspace's root: decisions about benchmarks, each with a reason and an expiry date.
//!
//! ```toml
//! [accepted]                      # known regressions: reported, never failing, until the date
//! "gemm/f32/…/auto" = { reason = "bounds checks, see #12", until = "2027-01-31" }
//!
//! [removed]                       # benchmarks that are meant to be gone
//! "gemm/old" = { reason = "replaced by gemm/f32", until = "2027-01-31" }
//!
//! [excluded]                      # benchmarks, and whole targets as "(package/target)", that are not run
//! "io/network" = { reason = "needs a server", until = "2027-01-31" }
//!
//! [metrics]                       # growth that the rules allow, as fractions
//! peak_rss = 0.05
//! ```
//!
//! `[settings]` beside these is described in [`crate::settings`].

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use toml::Spanned;

use crate::comparison::target_name;
use crate::exit::usage;
use crate::judge::Verdict;
use crate::report::{Row, Rules};
use crate::settings::{self, Settings};

/// Name of the file.
pub const FILE: &str = "assay.toml";

/// The decisions and settings.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    accepted: BTreeMap<String, Decision>,
    removed: BTreeMap<String, Decision>,
    excluded: BTreeMap<String, Decision>,
    metrics: Metrics,
    /// What the command line does not say.
    pub settings: Settings,
    /// `ID=REASON` from the command line, valid for this run. It is split once the benchmarks are known, because an id
    /// may contain `=`.
    given: Vec<String>,
}

/// The file as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    accepted: BTreeMap<String, Spanned<Decision>>,
    removed: BTreeMap<String, Spanned<Decision>>,
    excluded: BTreeMap<String, Spanned<Decision>>,
    metrics: Metrics,
    settings: settings::Written,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    reason: String,
    /// `YYYY-MM-DD`; the decision no longer counts after this day.
    until: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Metrics {
    allocations: Option<f64>,
    peak_rss: Option<f64>,
    program: Option<f64>,
    program_gates: Option<bool>,
    instructions: Option<f64>,
}

impl Policy {
    /// Reads the file of the workspace in `root`; without a file the policy is empty.
    pub fn read(root: &Path) -> Result<Self> {
        let path = root.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).with_context(|| format!("in {}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("failed to read {}", path.display())),
        }
    }

    fn parse(text: &str) -> Result<Self> {
        let written: Written = toml::from_str(text).map_err(|error| usage(error.to_string()))?;
        let checked = |decisions: BTreeMap<String, Spanned<Decision>>| {
            let check = |(id, decision): (String, Spanned<Decision>)| {
                let (span, decision) = (decision.span(), decision.into_inner());
                let date: Result<jiff::civil::Date, _> = decision.until.parse();
                if date.is_err() || decision.reason.trim().is_empty() {
                    let wrong = format!("\"{id}\" needs a reason and a date `until = \"YYYY-MM-DD\"`");
                    return Err(settings::error_at(text, span, &wrong));
                }
                Ok((id, decision))
            };
            decisions.into_iter().map(check).collect::<Result<BTreeMap<_, _>>>()
        };
        Ok(Self {
            accepted: checked(written.accepted)?,
            removed: checked(written.removed)?,
            excluded: checked(written.excluded)?,
            metrics: written.metrics,
            settings: written.settings.checked(text)?,
            given: Vec::new(),
        })
    }

    /// Adds a decision from the command line, `ID=REASON`, valid for this run.
    pub fn accept(&mut self, text: &str) -> Result<()> {
        let sound = text.split_once('=').is_some_and(|(id, rest)| !id.trim().is_empty() && !rest.trim().is_empty());
        if !sound {
            return Err(usage(format!("--accept takes ID=REASON, not `{text}`")));
        }
        self.given.push(text.to_owned());
        Ok(())
    }

    /// Why a benchmark of the target `target_name` is not run on `today` (`YYYY-MM-DD`), if it is not.
    pub fn exclusion(&self, id: &str, target_name: &str, today: &str) -> Option<String> {
        let decided = self.decided_exclusion(id, today).or_else(|| self.target_exclusion(target_name, today));
        decided.or_else(|| self.settings.exclusion(id).map(str::to_owned))
    }

    /// Why nothing of a target is run on `today`, if that is decided. The expressions of `[settings]` are for ids
    /// alone: one that happens to match the name of a target must not turn its failure into an exclusion.
    pub fn target_exclusion(&self, target_name: &str, today: &str) -> Option<String> {
        self.decided_exclusion(target_name, today)
    }

    fn decided_exclusion(&self, name: &str, today: &str) -> Option<String> {
        let decision = self.excluded.get(name).filter(|decision| decision.until.as_str() >= today)?;
        Some(format!("{} (until {})", decision.reason, decision.until))
    }

    /// Whether the absence of a benchmark that `matches` is decided.
    pub fn removes(&self, matches: &dyn Fn(&str) -> bool) -> bool {
        self.removed.keys().any(|id| matches(id))
    }

    /// Splits a decision from the command line into id and decision. The id is the longest id of a row that `text`
    /// begins with, or else the text before the first `=`.
    fn of_command_line(text: &str, rows: &[Row]) -> (String, Decision) {
        let ids = rows.iter().map(|row| row.id.as_str());
        let found = ids.filter_map(|id| Some((id, text.strip_prefix(id)?.strip_prefix('=')?.trim())));
        let found = found.filter(|(_, reason)| !reason.is_empty()).max_by_key(|(id, _)| id.len());
        let (id, reason) = found.or_else(|| text.split_once('=')).unwrap_or((text, ""));
        let decision = Decision { reason: reason.trim().to_owned(), until: "9999-12-31".to_owned() };
        (id.trim().to_owned(), decision)
    }

    /// Rules for the metrics other than time.
    pub fn rules(&self) -> Rules {
        let default = Rules::default();
        Rules {
            allocations: self.metrics.allocations.unwrap_or(default.allocations),
            peak_rss: self.metrics.peak_rss.unwrap_or(default.peak_rss),
            program: self.metrics.program.unwrap_or(default.program),
            program_gates: self.metrics.program_gates.unwrap_or(default.program_gates),
            instructions: self.metrics.instructions.unwrap_or(default.instructions),
        }
    }

    /// Marks the rows that a decision covers on `today` (`YYYY-MM-DD`). Returns remarks about settings, and about
    /// decisions that expired or match no benchmark. The id `*` covers every row.
    pub fn apply(&self, rows: &mut [Row], today: &str) -> Vec<String> {
        let mut remarks = self.settings.remarks(&|id| rows.iter().any(|row| row.id == id));
        let mut accepted = self.accepted.clone();
        accepted.extend(self.given.iter().map(|text| Self::of_command_line(text, rows)));
        let tables = [("accepted", &accepted), ("removed", &self.removed), ("excluded", &self.excluded)];
        for (table, decisions) in tables {
            for (id, decision) in decisions {
                if decision.until.as_str() < today {
                    remarks.push(format!("the decision on {id} in [{table}] ran out on {}", decision.until));
                    continue;
                }
                let mut matched = false;
                let of_target = |row: &Row| table == "excluded" && target_name(&row.package, &row.target) == *id;
                for row in rows.iter_mut().filter(|row| row.id == *id || id == "*" || of_target(row)) {
                    matched = true;
                    let covers = match table {
                        "removed" => row.verdict == Verdict::Gone,
                        // An excluded benchmark already has a row with the reason.
                        "excluded" => false,
                        // Wrong output cannot be accepted.
                        _ => row.exit() == crate::exit::Exit::Regression,
                    };
                    if covers {
                        row.accepted = Some(decision.reason.clone());
                    }
                }
                if !matched {
                    remarks.push(format!("the decision on {id} in [{table}] matches no benchmark of this run"));
                }
            }
        }
        remarks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::report::example_entry;

    const TEXT: &str = "[accepted]\n\"slow|er\" = { reason = \"known\", until = \"2026-12-31\" }\n\
        \"broken\" = { reason = \"hush\", until = \"2026-12-31\" }\n[metrics]\npeak_rss = 0.5\n";

    #[test]
    fn an_accepted_regression_passes_until_its_date_and_wrong_output_never_does() {
        let policy = Policy::parse(TEXT).unwrap();
        let mut rows = example_entry().rows;
        assert_eq!(policy.apply(&mut rows, "2026-06-01"), Vec::<String>::new());
        assert_eq!((rows[0].exit(), rows[0].accepted.as_deref()), (Exit::Fine, Some("known")));
        assert_eq!(rows[3].exit(), Exit::Invalid, "an invalid row cannot be accepted");
        let mut rows = example_entry().rows;
        assert!(policy.apply(&mut rows, "2027-01-01")[0].contains("ran out"));
        assert_eq!(rows[0].exit(), Exit::Regression);
        assert_eq!(policy.rules().peak_rss, 0.5);
    }

    #[test]
    fn settings_exclude_and_explain_themselves() {
        let text = "[settings]\nmargin = { ratio = 0.05, reason = \"why\" }\n\
            exclude = [{ filter = \"^slow\", reason = \"flaky\" }]\n";
        let policy = Policy::parse(text).unwrap();
        assert_eq!(policy.exclusion("slow|er", "(p/t)", "2026-01-01").as_deref(), Some("flaky"));
        let remarks = policy.apply(&mut example_entry().rows, "2026-01-01").join("\n");
        assert!(remarks.contains("the margin to 5.0 % (why)") && remarks.contains("`^slow` (flaky)"), "{remarks}");
        let error = Policy::parse("[accepted]\nx = { reason = \"y\", until = \"soon\" }").unwrap_err().to_string();
        assert!(error.contains("line 2: \"x\" needs a reason and a date"), "{error}");
    }

    #[test]
    fn a_target_is_excluded_by_its_name_and_by_no_expression() {
        let excluded = "[excluded]\n\"(p/t)\" = { reason = \"no server\", until = \"2026-12-31\" }\n";
        let policy = Policy::parse(excluded).unwrap();
        let why = Some("no server (until 2026-12-31)");
        assert_eq!(policy.target_exclusion("(p/t)", "2026-06-01").as_deref(), why);
        assert_eq!(policy.exclusion("slow|er", "(p/t)", "2026-06-01").as_deref(), why, "nothing of it is run");
        assert_eq!(policy.target_exclusion("(p/t)", "2027-01-01"), None);
        assert_eq!(policy.apply(&mut example_entry().rows, "2026-06-01"), Vec::<String>::new(), "it matches its rows");
        let all = Policy::parse("[settings]\nexclude = [{ filter = \"t\", reason = \"r\" }]\n").unwrap();
        assert_eq!(all.target_exclusion("(p/t)", "2026-06-01"), None);
        assert_eq!(all.exclusion("fast", "(p/t)", "2026-06-01").as_deref(), Some("r"));
    }

    #[test]
    fn malformed_policies_are_usage_errors() {
        for text in [
            "[accepted]\nx = { reason = \"y\" }",
            "[accepted]\nx = { reason = \"\", until = \"2026-01-01\" }",
            "[other]",
            "[accepted]\nx = { reason = \"y\", until = \"soon\" }",
        ] {
            assert_eq!(crate::exit::of_error(&Policy::parse(text).unwrap_err()), Exit::Usage, "{text}");
        }
        assert!(Policy::default().accept("no reason").is_err());
    }

    #[test]
    fn ids_may_contain_an_equals_sign() {
        let mut rows = example_entry().rows;
        rows[0].id = "size=0.1,type=f16".into();
        let mut policy = Policy::default();
        policy.accept("size=0.1,type=f16=known, see a=b").unwrap();
        policy.accept("unknown=size=1").unwrap();
        let remarks = policy.apply(&mut rows, "2026-01-01");
        assert_eq!(rows[0].accepted.as_deref(), Some("known, see a=b"));
        assert!(remarks.len() == 1 && remarks[0].contains("on unknown in"), "{remarks:?}");
        for wrong in ["=reason", "id=", "id"] {
            assert!(Policy::default().accept(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn unmatched_decisions_are_mentioned() {
        let mut policy = Policy::default();
        policy.accept("nothing=because").unwrap();
        assert!(policy.apply(&mut example_entry().rows, "2026-01-01")[0].contains("matches no benchmark"));
    }
}
