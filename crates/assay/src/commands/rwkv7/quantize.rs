//! `assay rwkv7 quantize`: a model in other types, each tensor as `llama_model_quantize` of ggml-org/llama.cpp types
//! it.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use gguf::{File, Tensor, Value, Writer};
use quant::GgmlType;
use rayon::prelude::*;

use crate::progress::Progress;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The model of f32 or f16
    model: PathBuf,
    /// The file to write; it appears as a whole or not at all
    out: PathBuf,
    /// Types of the large matrices
    #[arg(long = "type", default_value = "q4_k_m")]
    recipe: Recipe,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Recipe {
    /// Q4_K, the head Q6_K
    #[value(name = "q4_k_m")]
    Q4KM,
    /// Q5_K, the head Q6_K
    #[value(name = "q5_k_m")]
    Q5KM,
    /// Q6_K
    #[value(name = "q6_k")]
    Q6K,
    /// Q8_0
    #[value(name = "q8_0")]
    Q8_0,
    /// F16
    F16,
}

impl Recipe {
    /// The type of a tensor. Vectors, interpolation weights and matrices of a low rank keep theirs. Where rows do not
    /// divide into blocks of 256, llama.cpp takes a type with blocks of 32.
    fn ty(self, tensor: &Tensor<'_>) -> GgmlType {
        let name = tensor.name_lossy();
        let of_layer = name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')).map(|(_, name)| name);
        let large = [
            "time_mix_receptance.weight",
            "time_mix_key.weight",
            "time_mix_value.weight",
            "time_mix_output.weight",
            "channel_mix_key.weight",
            "channel_mix_value.weight",
        ];
        let is_head = name == "output.weight";
        if !(is_head || name == "token_embd.weight" || of_layer.is_some_and(|name| large.contains(&name))) {
            return tensor.ty;
        }
        let is_whole = |ty: GgmlType| tensor.ne()[0].is_multiple_of(ty.block_len() as u64);
        let pick = |ty: GgmlType, other: GgmlType| {
            if is_whole(ty) {
                ty
            } else if is_whole(other) {
                other
            } else {
                GgmlType::F16
            }
        };
        match self {
            Recipe::Q4KM if !is_head => pick(GgmlType::Q4_K, GgmlType::Q5_0),
            Recipe::Q5KM if !is_head => pick(GgmlType::Q5_K, GgmlType::Q5_1),
            Recipe::Q4KM | Recipe::Q5KM | Recipe::Q6K => pick(GgmlType::Q6_K, GgmlType::Q8_0),
            Recipe::Q8_0 => pick(GgmlType::Q8_0, GgmlType::F16),
            Recipe::F16 => GgmlType::F16,
        }
    }

    /// `general.file_type`.
    fn file_type(self) -> u32 {
        match self {
            Recipe::F16 => 1,
            Recipe::Q8_0 => 7,
            Recipe::Q4KM => 15,
            Recipe::Q5KM => 17,
            Recipe::Q6K => 18,
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    if let Ok(out) = arguments.out.canonicalize()
        && arguments.model.canonicalize().is_ok_and(|model| model == out)
    {
        bail!("{} is the model itself: its weights would be lost; write to another file", out.display());
    }
    let file = super::open(&arguments.model)?;
    // What is no model is refused before anything is written.
    super::model_of(&file, &arguments.model)?;
    let recipe = arguments.recipe;
    for tensor in file.tensors() {
        let is_float = matches!(tensor.ty, GgmlType::F32 | GgmlType::F16 | GgmlType::BF16);
        if !is_float && recipe.ty(&tensor) != tensor.ty {
            bail!(
                "the tensor {} is {}: quantizing it a second time would lose more; start from the model of f16 or f32",
                tensor.name_lossy(),
                tensor.ty
            );
        }
    }
    let progress = Progress::bytes("weights", file.tensors().map(|tensor| tensor.bytes()).sum());
    let ty = |tensor: &Tensor<'_>| recipe.ty(tensor);
    rewrite(&file, &arguments.out, (recipe.file_type(), &ty), &|bytes| progress.add(bytes))
}

/// Writes a model in other types, each tensor in that which `ty` gives it. `done` hears of the bytes that were read.
pub(crate) fn rewrite(
    file: &File,
    out: &Path,
    (file_type, ty): (u32, &dyn Fn(&Tensor<'_>) -> GgmlType),
    done: &dyn Fn(u64),
) -> Result<()> {
    let mut writer = Writer::new();
    for (key, value) in file.metadata().iter() {
        let is_type = key == b"general.file_type";
        writer.key(key, if is_type { Value::U32(file_type) } else { value });
    }
    let tensors: Vec<Tensor<'_>> = file.tensors().collect();
    for tensor in &tensors {
        writer.tensor(tensor.name, tensor.dims(), ty(tensor));
    }
    let mut next = tensors.iter();
    let written = writer.create(out, |declared, to| {
        let tensor = next.next().ok_or_else(|| io::Error::other("more tensors than were declared"))?;
        let bytes = converted(file, tensor, declared.ty).map_err(io::Error::other)?;
        done(tensor.bytes());
        to.write_all(&bytes)
    });
    written.map(drop).with_context(|| format!("{} is not written", out.display()))
}

/// The data of a tensor in another type.
fn converted(file: &File, tensor: &Tensor<'_>, ty: GgmlType) -> Result<Vec<u8>> {
    let data = file.data(tensor)?;
    if ty == tensor.ty {
        return Ok(data.to_vec());
    }
    let len = tensor.ne()[0] as usize;
    let (from_bytes, to_bytes) = (tensor.ty.row_bytes(len)?, ty.row_bytes(len)?);
    let mut to = vec![0; to_bytes * data.len().checked_div(from_bytes).unwrap_or(0)];
    let rows = data.par_chunks_exact(from_bytes.max(1)).zip(to.par_chunks_exact_mut(to_bytes.max(1)));
    rows.try_for_each_init(
        || vec![0.0; len],
        |row, (from, to)| -> Result<()> {
            quant::dequantize(tensor.ty, from, row)?;
            Ok(quant::quantize(ty, row, to)?)
        },
    )?;
    Ok(to)
}
