//! `assay nifti check`: reads and verifies everything, keeps nothing.

use std::path::Path;

use anyhow::Result;
use nifti_decode::{Decoder, VolumeFile, Watch};
use serde_json::{Value, json};

use super::{Files, LARGE, for_all, input::name, named, open};
use crate::{print, progress::Progress};

pub(super) fn run(files: &Files) -> Result<()> {
    let watch = Watch::new();
    let mut decoder = Decoder::new().watched(watch.clone());
    let progress = Progress::watching("check", files.voxel_bytes(), watch);
    let mut values = Vec::new();
    let outcome = for_all(&files.files, Some(&progress), |path| {
        decoder.shrink(LARGE);
        let checked = check(path, &mut decoder);
        if files.json {
            let error = checked.as_ref().err().map(|error| format!("{error:#}"));
            let warnings = checked.as_ref().map_or(Vec::new(), warnings);
            let name = name(path);
            values.push(json!({ "file": name, "ok": error.is_none(), "error": error, "warnings": warnings }));
        } else if let Ok(file) = &checked {
            let warnings = warnings(file).into_iter().map(|warning| format!("  warning: {warning}"));
            progress.aside(|| print::lines([format!("{}: sound", name(path))].into_iter().chain(warnings)))?;
        }
        checked.map(drop)
    });
    if files.json {
        print::json(&Value::Array(values))?;
    }
    outcome
}

fn check(path: &Path, decoder: &mut Decoder) -> Result<VolumeFile> {
    let file = open(path)?;
    file.verify(decoder).map_err(|error| named(path, error))?;
    Ok(file)
}

fn warnings(file: &VolumeFile) -> Vec<String> {
    file.warnings().iter().map(ToString::to_string).collect()
}
