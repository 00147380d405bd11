//! `assay nifti check`: reads everything, keeps nothing.

use std::path::Path;

use anyhow::{Context, Result};
use nifti_decode::{Decoder, VolumeFile, Watch};
use serde_json::{Value, json};

use super::{Files, LARGE, for_all, open, voxel_bytes};
use crate::{print, progress::Progress};

pub(super) fn run(files: &Files) -> Result<()> {
    let watch = Watch::new();
    let mut decoder = Decoder::new().watched(watch.clone());
    let total = files.files.iter().filter_map(|path| open(path).ok()).map(|file| voxel_bytes(&file)).sum();
    let progress = Progress::watching("check", total, watch);
    let mut values = Vec::new();
    let outcome = for_all(&files.files, |path| {
        decoder.shrink(LARGE);
        let checked = check(path, &mut decoder);
        if files.json {
            let error = checked.as_ref().err().map(|error| format!("{error:#}"));
            let warnings = checked.as_ref().map_or(Vec::new(), warnings);
            let name = path.display().to_string();
            values.push(json!({ "file": name, "ok": error.is_none(), "error": error, "warnings": warnings }));
        } else if let Ok(file) = &checked {
            let warnings = warnings(file).into_iter().map(|warning| format!("  warning: {warning}"));
            progress.aside(|| print::lines([format!("{}: sound", path.display())].into_iter().chain(warnings)))?;
        }
        checked.map(drop)
    });
    if files.json {
        print::json(&Value::Array(values))?;
    }
    outcome.map(drop)
}

fn check(path: &Path, decoder: &mut Decoder) -> Result<VolumeFile> {
    let file = open(path)?;
    file.verify(decoder).with_context(|| path.display().to_string())?;
    Ok(file)
}

fn warnings(file: &VolumeFile) -> Vec<String> {
    file.warnings().iter().map(ToString::to_string).collect()
}
