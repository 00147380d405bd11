//! Results of the self-test, stored per machine class: each benchmark's noise, and how often the gate is wrong.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use machine::Fingerprint;
use record::jsonl;
use serde::{Deserialize, Serialize};

use crate::judge::{Margins, Verdict};

/// Version of the line format.
pub const SCHEMA: u32 = 1;

/// Result of one benchmark in one round of the self-test: unchanged code, or an injected slowdown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Null {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// Time of the round, UTC.
    pub at: String,
    /// The comparison that it belongs to.
    pub run: String,
    /// Full id.
    pub id: String,
    /// Injected slowdown, as a fraction; 0 for unchanged code.
    pub injected: f64,
    /// Whether all benchmarks ran the full number of blocks.
    pub one_stage: bool,
    /// Hodges-Lehmann effect on the log scale.
    pub effect: Option<f64>,
    /// Standard deviation of the blocks' effects.
    pub block_sd: Option<f64>,
    /// Number of blocks behind the effect.
    pub n: usize,
    /// Layouts per side.
    pub links: usize,
    /// The verdict.
    pub verdict: Verdict,
    /// Whether criterion's own rule reports a change for the first process of each side.
    pub criterion_fires: bool,
    /// Whether the rule "one run each, ratio over 5 %" reports a change.
    pub ratio_fires: bool,
    /// Metrics other than time that their rules report as worse; `None` in rounds that did not record them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worse: Option<Vec<String>>,
}

/// The file of a machine class.
pub fn path(root: &Path, class: &str) -> PathBuf {
    root.join("baselines").join(class).join("selftest.jsonl")
}

/// Reads the results of this machine class in the workspace of `root`.
pub fn read(root: &Path) -> Result<Vec<Null>> {
    let path = path(root, &Fingerprint::collect().class());
    if !path.exists() {
        return Ok(Vec::new());
    }
    Ok(jsonl::read::<Null>(&path, SCHEMA).with_context(|| format!("failed to read {}", path.display()))?.rows)
}

/// Margins from these results.
pub fn margins(nulls: &[Null]) -> Margins {
    // A screen has too few blocks (three), and a single link does not vary the layout.
    let usable = nulls.iter().filter(|null| null.injected == 0.0 && null.links > 1 && null.n > 3);
    Margins::from_nulls(usable.filter_map(|null| Some((null.id.clone(), null.effect?))))
}
