//! `assay nifti stats`: exact statistics of the scaled values.

use anyhow::Result;
use nifti_decode::{Decoder, Stats, Threads, Watch};
use serde_json::{Value, json};

use super::{Files, LARGE, for_all, input::name, named, open};
use crate::{print, progress::Progress};

pub(super) fn run(files: &Files) -> Result<()> {
    let watch = Watch::new();
    let mut decoder = Decoder::new().with_threads(Threads::available()).watched(watch.clone());
    let progress = Progress::watching("statistics", files.voxel_bytes(), watch);
    let mut values = Vec::new();
    let outcome = for_all(&files.files, Some(&progress), |path| {
        decoder.shrink(LARGE);
        let stats = open(path).and_then(|file| file.stats(&mut decoder).map_err(|error| named(path, error)));
        if files.json {
            let error = stats.as_ref().err().map(|error| format!("{error:#}"));
            values.push(json!({ "file": name(path), "stats": stats.as_ref().ok(), "error": error }));
        } else if let Ok(stats) = &stats {
            progress.aside(|| print::lines(lines(&name(path), stats)))?;
        }
        stats.map(drop)
    });
    if files.json {
        print::json(&Value::Array(values))?;
    }
    outcome
}

fn lines(name: &str, s: &Stats) -> Vec<String> {
    let number = print::number;
    vec![
        name.to_owned(),
        format!("  voxels   {} ({} NaN, {} other than 0)", s.n, s.n_nan, s.n_nonzero),
        format!("  range    {} to {}", number(s.min), number(s.max)),
        format!("  mean     {} (std {})", number(s.mean), number(s.std)),
        format!("  0.5 %    {}", number(s.p0_5)),
        format!("  median   {}", number(s.median)),
        format!("  99.5 %   {}", number(s.p99_5)),
        format!("  clipped  mean {} (std {})", number(s.robust_mean), number(s.robust_std)),
    ]
}
