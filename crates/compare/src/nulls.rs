//! Runs of unchanged code, kept per machine class: what each benchmark's noise is estimated from.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use machine::Fingerprint;
use record::jsonl;
use serde::{Deserialize, Serialize};

use crate::comparison::Place;
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
    /// Run that it belongs to.
    pub run: String,
    /// Full id.
    pub id: String,
    /// Slowdown that was put in, as a fraction; 0 for unchanged code.
    pub injected: f64,
    /// Hodges-Lehmann effect on the log scale.
    pub effect: Option<f64>,
    /// Blocks behind it.
    pub n: usize,
    /// What was said of it.
    pub verdict: Verdict,
    /// What criterion's own rule says of the first process of each side: "regressed", "improved" or "".
    pub criterion: Option<bool>,
    /// What "ratio of one run each over 5 %" says.
    pub ratio_over_5: Option<bool>,
    /// Layouts per side.
    pub links: usize,
}

/// The file of a machine class.
pub fn path(root: &Path, class: &str) -> PathBuf {
    root.join("baselines").join(class).join("selftest.jsonl")
}

/// Margins by what the file of this machine class tells.
pub fn margins(place: &Place) -> Result<Margins> {
    let path = path(&place.root, &Fingerprint::collect().class());
    if !path.exists() {
        return Ok(Margins::default());
    }
    let lines = jsonl::read::<Null>(&path, SCHEMA).with_context(|| format!("failed to read {}", path.display()))?;
    let unchanged = lines.rows.into_iter().filter(|null| null.injected == 0.0 && null.links > 1 && null.n > 3);
    Ok(Margins::from_nulls(unchanged.filter_map(|null| Some((null.id, null.effect?)))))
}
