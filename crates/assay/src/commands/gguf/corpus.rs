//! `assay gguf corpus`: the hostile files, with the verdict that a reader should reach.
//!
//! `index.json` lists the single files: `name` (of `name.gguf`), `verdict`, `rule`, and as `not_finite` the first block
//! of the only tensor whose scale is not finite. `sets.json` lists the models in several files, each in its own
//! directory. Every file appears as a whole, and the lists appear last.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Args;
use gguf::{
    Gguf,
    corpus::{Mutator, Verdict, cases, sets},
};
use serde_json::{Value, json};

use crate::print;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The directory to write to; created if it does not exist
    directory: PathBuf,
    /// Also write N files made by random changes; their verdict is that of this reader
    #[arg(long, value_name = "N", default_value_t = 0)]
    mutated: u64,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let directory = &arguments.directory;
    create_directory(directory)?;
    let mut index = single(directory)?;
    index.extend(mutated(directory, arguments.mutated)?);
    let sets = in_several_files(directory)?;
    let (files, models) = (index.len(), sets.len());
    write(&directory.join("index.json"), format!("{:#}\n", json!(index)).as_bytes())?;
    write(&directory.join("sets.json"), format!("{:#}\n", json!(sets)).as_bytes())?;
    let to = directory.display();
    print::lines([format!("{files} files and index.json, {models} models in several files and sets.json in {to}")])
}

fn spelled(verdict: Verdict) -> (&'static str, Option<&'static str>) {
    match verdict {
        Verdict::Accepted => ("accepted", None),
        Verdict::Refused(rule) => ("refused", Some(rule)),
        Verdict::OnRequest(rule) => ("refused unless asked for", Some(rule)),
    }
}

fn single(directory: &Path) -> Result<Vec<Value>> {
    let mut index = Vec::new();
    for case in cases() {
        let (verdict, rule) = spelled(case.verdict);
        write(&directory.join(format!("{}.gguf", case.name)), &case.bytes)?;
        index.push(json!({ "name": case.name, "verdict": verdict, "rule": rule, "not_finite": case.not_finite }));
    }
    Ok(index)
}

fn mutated(directory: &Path, count: u64) -> Result<Vec<Value>> {
    let (mutator, mut bytes, mut index) = (Mutator::default(), Vec::new(), Vec::new());
    for seed in 0..count {
        mutator.fill(seed, &mut bytes);
        let name = format!("mutated-{seed}");
        write(&directory.join(format!("{name}.gguf")), &bytes)?;
        index.push(match Gguf::parse(&bytes[..]) {
            Ok(_) => json!({ "name": name, "verdict": "accepted", "rule": null }),
            Err(error) => json!({ "name": name, "verdict": "refused", "rule": error.rule.name() }),
        });
    }
    Ok(index)
}

/// The sets; the first file of each is the one to open.
fn in_several_files(directory: &Path) -> Result<Vec<Value>> {
    let mut index = Vec::new();
    for set in sets() {
        let directory = directory.join(&set.name);
        create_directory(&directory)?;
        for (name, bytes) in &set.files {
            write(&directory.join(name), bytes)?;
        }
        let (verdict, rule) = spelled(set.verdict);
        let files: Vec<_> = set.files.iter().map(|(name, _)| name).collect();
        index.push(json!({ "name": set.name, "files": files, "verdict": verdict, "rule": rule }));
    }
    Ok(index)
}

fn create_directory(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("failed to create {}", directory.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    whole_file::write(path, |mut file| file.write_all(bytes))
        .with_context(|| format!("failed to write {}", path.display()))
}
