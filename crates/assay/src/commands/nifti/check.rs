//! `assay nifti check`: reads everything, keeps nothing.

use std::path::Path;

use anyhow::{Context, Result};
use nifti_decode::{Decoder, VolumeFile};
use serde_json::{Value, json};

use super::{Files, for_all, open};
use crate::{print, progress::Progress};

pub(super) fn run(files: &Files) -> Result<()> {
    let mut decoder = Decoder::new();
    let total = files.files.iter().filter_map(|path| path.metadata().ok()).map(|metadata| metadata.len()).sum();
    let progress = Progress::bytes("check", total);
    let mut values = Vec::new();
    let outcome = for_all(&files.files, |path| {
        let checked = check(path, &mut decoder);
        progress.add(path.metadata().map_or(0, |metadata| metadata.len()));
        if files.json {
            let error = checked.as_ref().err().map(|error| format!("{error:#}"));
            let warnings = checked.as_ref().map_or(Vec::new(), warnings);
            let name = path.display().to_string();
            values.push(json!({ "file": name, "ok": error.is_none(), "error": error, "warnings": warnings }));
        } else if let Ok(file) = &checked {
            print::lines([format!("{}: sound", path.display())])?;
            print::lines(warnings(file).iter().map(|warning| format!("  warning: {warning}")))?;
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
    file.view(decoder).with_context(|| path.display().to_string())?;
    Ok(file)
}

fn warnings(file: &VolumeFile) -> Vec<String> {
    file.warnings().iter().map(ToString::to_string).collect()
}
