//! `assay gguf corpus`: the hostile files, with what a reader has to say.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Args;
use gguf::{
    Gguf,
    corpus::{Mutator, Verdict, cases},
};
use serde_json::json;

use crate::print;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to write them; it is made if it is not there
    directory: PathBuf,
    /// Files beyond those, made from them by random changes; their verdict is that of our reader
    #[arg(long, value_name = "N", default_value_t = 0)]
    mutated: u64,
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
        write(directory, &case.name, &case.bytes)?;
        index.push(json!({ "name": case.name, "verdict": verdict, "rule": rule }));
    }
    let (mutator, mut bytes) = (Mutator::default(), Vec::new());
    for seed in 0..arguments.mutated {
        mutator.fill(seed, &mut bytes);
        let name = format!("mutated-{seed}");
        write(directory, &name, &bytes)?;
        index.push(match Gguf::parse(&bytes[..]) {
            Ok(_) => json!({ "name": name, "verdict": "accepted", "rule": null }),
            Err(error) => json!({ "name": name, "verdict": "refused", "rule": error.rule() }),
        });
    }
    let path = directory.join("index.json");
    let files = index.len();
    fs::write(&path, format!("{:#}\n", json!(index))).with_context(|| format!("failed to write {}", path.display()))?;
    print::lines([format!("{files} files and index.json in {}", directory.display())])
}

fn write(directory: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = directory.join(format!("{name}.gguf"));
    fs::write(&path, bytes).with_context(|| format!("failed to write {}", path.display()))
}
