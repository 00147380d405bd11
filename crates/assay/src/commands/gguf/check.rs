//! `assay gguf check`: the rules, and the values if asked.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use gguf::{Options, Split};
use quant::first_non_finite_in;
use serde_json::json;

use super::{model, text};
use crate::{print, progress::Progress};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The file; of a model in several files the first one
    file: PathBuf,
    /// Read all data, too, and look for blocks whose scale is NaN or infinite
    #[arg(long)]
    values: bool,
    /// Accept what the specification allows and llama.cpp refuses: big-endian files, arrays of arrays
    #[arg(long)]
    lenient: bool,
    /// JSON instead of text, of a refused file too: the rule, where, what stands there and what should
    #[arg(long)]
    json: bool,
}

/// A tensor with a block that is not finite.
struct Spoilt {
    name: String,
    block: usize,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let options = if arguments.lenient { Options::LENIENT } else { Options::default() };
    let model = model::open(&arguments.file, options, arguments.json)?;
    let spoiled = if arguments.values { spoiled(&model)? } else { Vec::new() };
    let tensors = model.tensors().count();
    if arguments.json {
        let spoiled: Vec<_> =
            spoiled.iter().map(|found| json!({ "tensor": found.name, "block": found.block })).collect();
        let ok = spoiled.is_empty();
        print::json(&json!({ "ok": ok, "tensors": tensors, "values": arguments.values, "not_finite": spoiled }))?;
    } else {
        let bytes: u64 = model.tensors().map(|(_, tensor)| tensor.bytes()).sum();
        let scanned = if arguments.values { ", all values looked at" } else { "" };
        let name = arguments.file.display();
        print::lines([format!("{name}: {tensors} tensors, {} of data, every rule kept{scanned}", text::bytes(bytes))])?;
        print::lines(spoiled.iter().map(|Spoilt { name, block }| format!("{name}: block {block} is not finite")))?;
    }
    if !spoiled.is_empty() {
        bail!("{} of {tensors} tensors have blocks that are not finite", spoiled.len());
    }
    Ok(())
}

/// Looks at the data of all tensors, some megabytes at a time.
fn spoiled(model: &Split) -> Result<Vec<Spoilt>> {
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
                found.push(Spoilt { name: tensor.name_lossy(), block: i * piece + block });
                break;
            }
        }
    }
    Ok(found)
}
