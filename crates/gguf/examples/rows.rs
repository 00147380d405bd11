//! Prints the rows of a tensor as f32 numbers: `cargo run -p gguf --example rows -- MODEL.gguf token_embd.weight 2`.
//!
//! A row is the contiguous dimension, `dims()[0]` numbers. `quant` converts any run of whole blocks, so rows are
//! converted one by one, straight from the mapped file.
#![expect(clippy::print_stdout, reason = "a program")]

use std::{env, error::Error, path::Path};

use gguf::{File, Options, Split};

/// Numbers of a row that are printed.
const SHOWN: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [path, name, count] = &arguments[..] else { return Err("usage: rows MODEL.gguf TENSOR COUNT".into()) };
    let count: usize = count.parse()?;
    let model = Split::open(Path::new(path), |path| {
        // SAFETY: no other process may write to the model while this program runs.
        unsafe { File::map(path, Options::default()) }
    })?;
    let (tensor, data) = model.tensor(name).ok_or_else(|| format!("{path} has no tensor {name}"))??;
    let len = usize::try_from(tensor.ne()[0])?;
    if len == 0 {
        return Err(format!("tensor {name} is empty").into());
    }
    let mut row = vec![0.0; len];
    for (i, bytes) in data.chunks(tensor.ty.row_bytes(len)?).enumerate().take(count) {
        quant::dequantize(tensor.ty, bytes, &mut row)?;
        println!("row {i} of {len} numbers: {:?}", &row[..len.min(SHOWN)]);
    }
    Ok(())
}
