//! `assay gguf check`: the rules of the container, and the values on request.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use anyhow::{Error, Result, anyhow};
use clap::Args;
use gguf::{Options, Split};
use quant::first_non_finite_in;
use serde_json::{Value, json};

use super::{behind, model, text};
use crate::{print, progress::Progress};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The files; of a model in several files the first one
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Read all data too, and report blocks whose scale is NaN or infinite
    #[arg(long)]
    values: bool,
    /// Accept what the specification allows and llama.cpp refuses: big-endian files, arrays of arrays
    #[arg(long)]
    lenient: bool,
    /// Print JSON: for a refused file the rule, the key or tensor, the offset, the value found and the value needed. Of
    /// several files an array
    #[arg(long)]
    json: bool,
}

/// What was found out about one argument.
struct Answer {
    /// Lines for people.
    lines: Vec<String>,
    /// What the user should know though the file is sound.
    warning: Option<String>,
    json: Value,
    /// Why the file is not sound.
    error: Option<Error>,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { files, json: as_json, .. } = arguments;
    let mut answers = Vec::with_capacity(files.len());
    // Index of the answer for a file; a later part of a set that is among the arguments has none of its own.
    let mut answered = HashMap::new();
    let mut parts = Vec::new();
    for file in files {
        match check(file, arguments) {
            Err(refusal) if refusal.first.as_ref().is_some_and(|first| files.contains(first)) => {
                parts.extend(refusal.first.map(|first| (file, first)));
            }
            outcome => {
                let answer = outcome.unwrap_or_else(|refusal| refused(&refusal, files.len() > 1));
                if !as_json {
                    print::lines(&answer.lines)?;
                    answer.warning.iter().for_each(print::warning);
                }
                answered.insert(file, answers.len());
                answers.push(answer);
            }
        }
    }
    for (file, first) in parts {
        let (file, shown) = (file.display(), first.display());
        let is_sound = answered.get(&first).is_some_and(|&at| answers[at].error.is_none());
        let json = json!({ "file": file.to_string(), "ok": is_sound, "checked_with": shown.to_string() });
        let lines = vec![format!("{file}: a later part, checked with {shown}")];
        if !as_json {
            print::lines(&lines)?;
        }
        answers.push(Answer { lines, warning: None, json, error: None });
    }
    if *as_json {
        let mut all: Vec<Value> = answers.iter_mut().map(|answer| answer.json.take()).collect();
        print::json(&if files.len() == 1 { all.remove(0) } else { Value::Array(all) })?;
    }
    let mut errors: Vec<Error> = answers.into_iter().filter_map(|answer| answer.error).collect();
    match (files.len(), errors.pop()) {
        (_, None) => Ok(()),
        (1, Some(error)) => Err(error),
        (n_files, Some(_)) => Err(anyhow!("{} of {n_files} files are not sound", errors.len() + 1)),
    }
}

/// Of several files, each refusal is a line; of one file, it is the error of the program.
fn refused(refusal: &model::Refusal, is_one_of_several: bool) -> Answer {
    let error = refusal.error();
    let lines = if is_one_of_several { vec![error.to_string()] } else { Vec::new() };
    Answer { lines, warning: None, json: refusal.json(), error: Some(error) }
}

fn check(file: &Path, arguments: &Arguments) -> Result<Answer, model::Refusal> {
    let options = if arguments.lenient { Options::LENIENT } else { Options::default() };
    let model = model::open(file, options)
        .map_err(|refusal| refusal.with_advice(&["BigEndian", "NestedArray"], "--lenient accepts it"))?;
    let found = if arguments.values { not_finite(&model) } else { Ok(Vec::new()) };
    Ok(match found {
        Ok(found) => answer(file, &model, &found, arguments.values),
        Err(error) => {
            let error = error.context(format!("failed to read the values of {}", file.display()));
            let message = format!("{error:#}");
            let json = json!({ "file": file.display().to_string(), "ok": false, "message": message });
            Answer { lines: vec![message], warning: None, json, error: Some(error) }
        }
    })
}

/// A block that is not finite: the first one of a tensor.
struct NotFinite {
    tensor: String,
    block: usize,
}

fn answer(file: &Path, model: &Split, found: &[NotFinite], has_values: bool) -> Answer {
    let tensors = model.tensors().count();
    let bytes: u64 = model.tensors().map(|(_, tensor)| tensor.bytes()).sum();
    let (trailing, joined) = (behind::bytes(model), behind::joined(model));
    let values = if has_values { ", all values checked" } else { "" };
    let size = text::bytes(bytes);
    let name = file.display();
    let noun = if tensors == 1 { "tensor" } else { "tensors" };
    let mut lines = vec![format!("{name}: {tensors} {noun}, {size} of data, the container keeps every rule{values}")];
    let warning = behind::line(model).map(|line| format!("{name}: {line}"));
    lines.extend(found.iter().map(|NotFinite { tensor, block }| format!("{tensor}: block {block} is not finite")));
    let blocks: Vec<_> = found.iter().map(|found| json!({ "tensor": found.tensor, "block": found.block })).collect();
    let json = json!({
        "file": name.to_string(),
        "ok": found.is_empty(),
        "tensors": tensors,
        "data_bytes": bytes,
        "trailing_bytes": trailing,
        "joined_at": joined,
        "values": has_values,
        "not_finite": blocks,
    });
    let count = found.len();
    let error = (count > 0).then(|| anyhow!("{name}: {count} of {tensors} tensors have blocks that are not finite"));
    Answer { lines, warning, json, error }
}

/// Reads the data of all tensors, some megabytes at a time.
fn not_finite(model: &Split) -> Result<Vec<NotFinite>> {
    const PIECE_BYTES: usize = 8 << 20;
    let total = model.tensors().map(|(_, tensor)| tensor.bytes()).sum();
    let progress = Progress::bytes("values", total);
    let mut found = Vec::new();
    for (part, tensor) in model.tensors() {
        let size = tensor.ty.block_bytes();
        let piece = (PIECE_BYTES / size).max(1);
        for (i, bytes) in part.data(&tensor)?.chunks(piece * size).enumerate() {
            progress.add(bytes.len() as u64);
            if let Some(block) = first_non_finite_in(tensor.ty, bytes, part.endian())? {
                found.push(NotFinite { tensor: tensor.name_lossy(), block: i * piece + block });
                break;
            }
        }
    }
    Ok(found)
}
