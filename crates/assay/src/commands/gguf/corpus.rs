//! `assay gguf corpus`: the hostile files, with what a reader has to say.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use gguf::corpus::{Verdict, cases};
use serde_json::json;

use crate::print;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to write them; it is made if it is not there
    directory: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let directory = &arguments.directory;
    fs::create_dir_all(directory).with_context(|| format!("failed to make {}", directory.display()))?;
    let cases = cases();
    let mut index = Vec::with_capacity(cases.len());
    for case in &cases {
        let (verdict, rule) = match case.verdict {
            Verdict::Accepted => ("accepted", None),
            Verdict::Refused(rule) => ("refused", Some(rule)),
            Verdict::OnRequest(rule) => ("refused unless asked for", Some(rule)),
        };
        let path = directory.join(format!("{}.gguf", case.name));
        fs::write(&path, &case.bytes).with_context(|| format!("failed to write {}", path.display()))?;
        index.push(json!({ "name": case.name, "verdict": verdict, "rule": rule }));
    }
    let path = directory.join("index.json");
    fs::write(&path, format!("{:#}\n", json!(index))).with_context(|| format!("failed to write {}", path.display()))?;
    print::lines([format!("{} files and index.json in {}", cases.len(), directory.display())])
}
