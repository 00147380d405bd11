//! Charts from kept rows: ratios to the peers of all ops, and for an op what its file asks for (`[[chart]]`).

mod rates;
mod ratios;
mod times;

use anyhow::Result;
use serde::Deserialize;

use crate::results::Measured;
use crate::row::{Outcome, Row};

pub(crate) use ratios::ratios;

/// A chart of one op.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Chart {
    /// Rate against the size of a square matrix product, one line a tool, under the ceiling.
    Rates {
        title: String,
        /// Regular expression of ids. Its first group is n, the size of a product of n × n matrices.
        cases: String,
        /// Number of threads.
        threads: usize,
        /// The peers that are shown.
        peers: Vec<String>,
    },
    /// Time by tool, one panel a case.
    Times {
        title: String,
        /// Number of threads.
        threads: usize,
        panels: Vec<Panel>,
    },
}

/// A case as a panel of a chart.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Panel {
    pub(crate) case: String,
    /// Its heading.
    pub(crate) label: String,
}

impl Chart {
    /// Word in the name of its file.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Rates { .. } => "rates",
            Self::Times { .. } => "times",
        }
    }

    pub(crate) fn title(&self) -> &str {
        match self {
            Self::Rates { title, .. } | Self::Times { title, .. } => title,
        }
    }

    /// Ids of cases that it names.
    pub(crate) fn cases(&self) -> impl Iterator<Item = &str> {
        let panels: &[Panel] = match self {
            Self::Rates { .. } => &[],
            Self::Times { panels, .. } => panels,
        };
        panels.iter().map(|panel| panel.case.as_str())
    }
}

/// An op's chart as an SVG document.
pub(crate) fn chart(measured: &Measured, chart: &Chart, class: &str) -> Result<String> {
    match chart {
        Chart::Rates { title, cases, threads, peers } => rates::rates(measured, (title, class), cases, *threads, peers),
        Chart::Times { title, threads, panels } => Ok(times::times(measured, (title, class), *threads, panels)),
    }
}

/// Ratio and interval of a row that was timed.
fn timed(row: &Row) -> Option<(f64, [f64; 2])> {
    match row.outcome {
        Outcome::Timed { ratio, low, high, .. } => Some((ratio, [low, high])),
        _ => None,
    }
}

impl Measured {
    /// Whether a peer is our own code, with other parameters or in another program.
    fn is_own(&self, peer: &str) -> bool {
        self.suite.peers.iter().any(|known| known.name == peer && known.is_ours())
    }

    /// Name of a peer in charts.
    fn label<'a>(&'a self, peer: &'a str) -> &'a str {
        let known = self.suite.peers.iter().find(|known| known.name == peer);
        known.and_then(|known| known.label.as_deref()).unwrap_or(peer)
    }

    /// Second line of a chart.
    fn subtitle(&self, class: &str, threads: usize) -> String {
        format!("{}, {}, machine class {class}", crate::report::counted(threads), self.revision())
    }
}
