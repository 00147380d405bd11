//! `assay gguf corpus`: the hostile files, with what a reader has to say.
//!
//! `index.json` lists the single files: `name` (of `name.gguf`), `verdict`, `rule`, and as `not_finite` the first block of the
//! only tensor whose scale is no finite number. `sets.json` lists the models in several files, each in a directory of its own.

use std::{
    fs,
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
    /// Where to write them; it is made if it is not there
    directory: PathBuf,
    /// Files beyond those, made from them by random changes; their verdict is that of our reader
    #[arg(long, value_name = "N", default_value_t = 0)]
    mutated: u64,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let directory = &arguments.directory;
    make(directory)?;
    let mut index = single(directory)?;
    index.extend(mutated(directory, arguments.mutated)?);
    let sets = in_several_files(directory)?;
    let (files, models) = (index.len(), sets.len());
    write(&directory.join("index.json"), format!("{:#}\n", json!(index)).as_bytes())?;
    write(&directory.join("sets.json"), format!("{:#}\n", json!(sets)).as_bytes())?;
    let place = directory.display();
    print::lines([format!("{files} files and index.json, {models} models in several files and sets.json in {place}")])
}

fn words(verdict: Verdict) -> (&'static str, Option<&'static str>) {
    match verdict {
        Verdict::Accepted => ("accepted", None),
        Verdict::Refused(rule) => ("refused", Some(rule)),
        Verdict::OnRequest(rule) => ("refused unless asked for", Some(rule)),
    }
}

fn single(directory: &Path) -> Result<Vec<Value>> {
    let mut index = Vec::new();
    for case in cases() {
        let (verdict, rule) = words(case.verdict);
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
            Err(error) => json!({ "name": name, "verdict": "refused", "rule": error.rule() }),
        });
    }
    Ok(index)
}

/// The sets; the first file of each is the one to open.
fn in_several_files(directory: &Path) -> Result<Vec<Value>> {
    let mut index = Vec::new();
    for set in sets() {
        let place = directory.join(&set.name);
        make(&place)?;
        for (name, bytes) in &set.files {
            write(&place.join(name), bytes)?;
        }
        let (verdict, rule) = words(set.verdict);
        let files: Vec<_> = set.files.iter().map(|(name, _)| name).collect();
        index.push(json!({ "name": set.name, "files": files, "verdict": verdict, "rule": rule }));
    }
    Ok(index)
}

fn make(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("failed to make {}", directory.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("failed to write {}", path.display()))
}
