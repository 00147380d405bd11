//! What the self-test found, kept per machine class: each benchmark's noise, and how often the gate is wrong.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use machine::Fingerprint;
use record::jsonl;
use serde::{Deserialize, Serialize};

use crate::judge::{Margins, Verdict};

/// Version of the lines.
pub const SCHEMA: u32 = 1;

/// One benchmark of one run of the self-test: unchanged code, or a slowdown put in on purpose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Null {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// When, UTC.
    pub at: String,
    /// The comparison that it belongs to.
    pub run: String,
    /// Full id.
    pub id: String,
    /// Slowdown that was put in, as a fraction; 0 for unchanged code.
    pub injected: f64,
    /// Whether all benchmarks ran the full number of blocks.
    pub one_stage: bool,
    /// Hodges-Lehmann effect on the log scale.
    pub effect: Option<f64>,
    /// Standard deviation of the blocks' effects.
    pub block_sd: Option<f64>,
    /// Blocks behind the effect.
    pub n: usize,
    /// Layouts per side.
    pub links: usize,
    /// The verdict.
    pub verdict: Verdict,
    /// What criterion's own rule says of the first process of each side: slower or faster.
    pub criterion_fires: bool,
    /// What "one run each, ratio over 5 %" says: slower or faster.
    pub ratio_fires: bool,
    /// Metrics beside time that their rules called worse; `None` in rounds that did not look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worse: Option<Vec<String>>,
}

/// The file of a machine class.
pub fn path(root: &Path, class: &str) -> PathBuf {
    root.join("baselines").join(class).join("selftest.jsonl")
}

/// What is known of this machine class in the workspace of `root`.
pub fn read(root: &Path) -> Result<Vec<Null>> {
    let path = path(root, &Fingerprint::collect().class());
    if !path.exists() {
        return Ok(Vec::new());
    }
    Ok(jsonl::read::<Null>(&path, SCHEMA).with_context(|| format!("failed to read {}", path.display()))?.rows)
}

/// Margins by what is known.
pub fn margins(nulls: &[Null]) -> Margins {
    // A screen's three blocks say too little, and a single link says nothing of layout.
    let usable = nulls.iter().filter(|null| null.injected == 0.0 && null.links > 1 && null.n > 3);
    Margins::from_nulls(usable.filter_map(|null| Some((null.id.clone(), null.effect?))))
}
