//! One benchmark's line in a report.

use record::bench_row::SourceLine;
use serde::{Deserialize, Serialize};

use super::figures::Figures;
use super::metrics::Change;
use crate::bench::Key;
use crate::exit::Exit;
use crate::judge::{Finding, Margin, Verdict};

/// On which side a benchmark gave no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Before: the head may have mended it.
    Base,
    /// After.
    Head,
    /// Both alike: the change cannot be the cause.
    Both,
    /// Neither: only in entries of older versions, for targets that are no criterion benchmark.
    Target,
}

/// One benchmark, compared. Effects are ratios of head time to base time minus one: -0.25 is a quarter less time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Package.
    pub package: String,
    /// Bench target.
    pub target: String,
    /// Full id, with `#2` … for repeated ones.
    pub id: String,
    /// Tier of the benchmark.
    pub tier: u8,
    /// The verdict.
    pub verdict: Verdict,
    /// The verdict's reason in words.
    pub why: String,
    /// Hodges-Lehmann estimate.
    pub effect: Option<f64>,
    /// 95 % interval of the effect.
    pub ci: Option<[f64; 2]>,
    /// Blocks.
    pub n: usize,
    /// Margin, where one was applied.
    pub margin: Option<f64>,
    /// Holm-adjusted p.
    pub p: Option<f64>,
    /// Too noisy to fail a gate; shown only.
    pub advisory: bool,
    /// Why a known regression, or the benchmark's absence, is accepted.
    pub accepted: Option<String>,
    /// Which side gave no number.
    pub fault: Option<Fault>,
    /// Before.
    pub base: Option<Figures>,
    /// After.
    pub head: Option<Figures>,
    /// Metrics other than time.
    pub metrics: Vec<Change>,
    /// Where the benchmark is declared.
    pub source: Option<SourceLine>,
    /// Log ratio of each block.
    pub blocks: Vec<f64>,
}

impl Row {
    /// A row that says only `verdict`.
    pub fn new(key: &Key, tier: u8, verdict: Verdict, why: impl Into<String>) -> Self {
        Self {
            package: key.package.clone(),
            target: key.target.clone(),
            id: key.to_string(),
            tier,
            verdict,
            why: why.into(),
            effect: None,
            ci: None,
            n: 0,
            margin: None,
            p: None,
            advisory: false,
            accepted: None,
            fault: None,
            base: None,
            head: None,
            metrics: Vec::new(),
            source: None,
            blocks: Vec::new(),
        }
    }

    /// Takes over what the statistics found.
    pub fn set_finding(&mut self, finding: &Finding, margin: Margin, family: usize) {
        self.verdict = finding.verdict;
        self.p = finding.p;
        self.margin = Some(margin.ratio);
        self.advisory = margin.is_advisory();
        if let Some(estimate) = finding.estimate {
            self.effect = Some(estimate.effect.exp_m1());
            self.ci = estimate.interval.map(|interval| [interval.low.exp_m1(), interval.high.exp_m1()]);
            self.n = estimate.n;
        }
        self.why = why(self, margin, family);
    }

    /// What this row alone would make a command end with.
    pub fn exit(&self) -> Exit {
        if self.accepted.is_some() {
            return Exit::Fine;
        }
        let worse_metric = self.metrics.iter().any(|change| change.worse && change.gates);
        match (self.verdict, self.fault) {
            (Verdict::Invalid | Verdict::Timeout, Some(Fault::Base | Fault::Both | Fault::Target)) => Exit::Fine,
            (Verdict::Invalid | Verdict::Timeout, _) | (Verdict::Gone, _) => Exit::Invalid,
            (Verdict::Slower, _) if !self.advisory => Exit::Regression,
            _ if worse_metric => Exit::Regression,
            _ => Exit::Fine,
        }
    }

    /// The id for people; data hold it as it is.
    pub fn shown_id(&self) -> String {
        crate::bench::shown(&self.id)
    }

    /// The effect in percent, with sign.
    pub fn shown_effect(&self) -> String {
        self.effect.map_or_else(|| "-".to_owned(), percent)
    }

    /// The interval in percent.
    pub fn shown_interval(&self) -> String {
        self.ci.map_or_else(|| "-".to_owned(), |[low, high]| format!("{} .. {}", percent(low), percent(high)))
    }
}

/// A ratio minus one as a percentage with sign.
pub(super) fn percent(x: f64) -> String {
    format!("{:+.1} %", 100.0 * x)
}

fn why(row: &Row, margin: Margin, family: usize) -> String {
    let Some(effect) = row.effect else { return "no usable blocks".to_owned() };
    let base = format!("{} over {} blocks", percent(effect), row.n);
    let margin_text = format!("margin {:.1} %", 100.0 * margin.ratio);
    let p = row.p.map_or_else(String::new, |p| format!(", p {p:.4} after Holm over {family}"));
    let text = match row.verdict {
        Verdict::Slower | Verdict::Faster => format!("{base}, beyond the {margin_text}{p}"),
        Verdict::Same => format!("{base}; the 90 % interval lies inside the {margin_text}"),
        Verdict::NotFlagged => format!("{base} of the screen: not moved enough to confirm; no claim"),
        _ => format!("{base}; neither beyond the {margin_text} nor proven inside it{p}"),
    };
    if row.advisory { format!("{text}; advisory: this benchmark is too noisy to gate") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::RawId;

    fn row(verdict: Verdict) -> Row {
        let raw = RawId { group: "g".into(), function: None, value: None };
        Row::new(&Key { package: "p".into(), target: "t".into(), raw, occurrence: 0 }, 1, verdict, "because")
    }

    #[test]
    fn every_verdict_has_its_exit() {
        for (verdict, exit) in [
            (Verdict::Slower, Exit::Regression),
            (Verdict::Faster, Exit::Fine),
            (Verdict::Same, Exit::Fine),
            (Verdict::Inconclusive, Exit::Fine),
            (Verdict::NotFlagged, Exit::Fine),
            (Verdict::Invalid, Exit::Invalid),
            (Verdict::Timeout, Exit::Invalid),
            (Verdict::Gone, Exit::Invalid),
            (Verdict::New, Exit::Fine),
            (Verdict::Skipped, Exit::Fine),
        ] {
            assert_eq!(row(verdict).exit(), exit, "{verdict}");
        }
    }

    #[test]
    fn advisory_accepted_and_base_faults_do_not_fail() {
        assert_eq!(Row { advisory: true, ..row(Verdict::Slower) }.exit(), Exit::Fine);
        assert_eq!(Row { accepted: Some("known".into()), ..row(Verdict::Slower) }.exit(), Exit::Fine);
        assert_eq!(Row { fault: Some(Fault::Base), ..row(Verdict::Invalid) }.exit(), Exit::Fine);
        assert_eq!(Row { fault: Some(Fault::Both), ..row(Verdict::Timeout) }.exit(), Exit::Fine);
        assert_eq!(Row { fault: Some(Fault::Head), ..row(Verdict::Timeout) }.exit(), Exit::Invalid);
    }
}
