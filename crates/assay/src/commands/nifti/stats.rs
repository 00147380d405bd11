//! `assay nifti stats`: exact statistics of the scaled values.

use anyhow::{Context, Result};
use nifti_decode::{Decoder, Stats, Watch};
use serde_json::{Value, json};

use super::{Files, LARGE, for_all, open, voxel_bytes};
use crate::{print, progress::Progress};

pub(super) fn run(files: &Files) -> Result<()> {
    let watch = Watch::new();
    let mut decoder = Decoder::new().parallel(true).watched(watch.clone());
    // Of files that cannot be opened, nothing is read.
    let total = files.files.iter().filter_map(|path| open(path).ok()).map(|file| voxel_bytes(&file)).sum();
    let progress = Progress::watching("statistics", total, watch);
    let mut values = Vec::new();
    let outcome = for_all(&files.files, |path| {
        let file = open(path)?;
        decoder.shrink(LARGE);
        let stats = file.stats(&mut decoder).with_context(|| path.display().to_string())?;
        let name = path.display().to_string();
        if files.json {
            values.push(json!({ "file": name, "stats": stats }));
            Ok(())
        } else {
            progress.aside(|| print::lines(lines(&name, &stats)))
        }
    });
    if files.json {
        print::json(&Value::Array(values))?;
    }
    outcome.map(drop)
}

fn lines(name: &str, s: &Stats) -> Vec<String> {
    vec![
        name.to_owned(),
        format!("  voxels   {} ({} NaN, {} other than 0)", s.n, s.n_nan, s.n_nonzero),
        format!("  range    {} to {}", s.min, s.max),
        format!("  mean     {} (std {})", s.mean, s.std),
        format!("  0.5 %    {}", s.p0_5),
        format!("  median   {}", s.median),
        format!("  99.5 %   {}", s.p99_5),
        format!("  clipped  mean {} (std {})", s.robust_mean, s.robust_std),
    ]
}
