//! Lists the tensors of a model: `cargo run -p gguf --example tensors -- MODEL.gguf`.
//!
//! The file is mapped, so even a model of many gigabytes opens in milliseconds. Of a model in several files, give the
//! first one.
#![expect(clippy::print_stdout, reason = "a program")]

use std::{env, error::Error, path::PathBuf};

use gguf::{File, Options, Split, Value};

fn main() -> Result<(), Box<dyn Error>> {
    let path: PathBuf = env::args_os().nth(1).ok_or("usage: tensors MODEL.gguf")?.into();
    let model = Split::open(&path, |path| {
        // SAFETY: no other process may write to the model while this program runs. Where that cannot be ensured,
        // `File::read` copies the file instead.
        unsafe { File::map(path, Options::default()) }
    })?;
    let architecture = model.metadata().get("general.architecture");
    println!("architecture: {}", architecture.as_ref().and_then(Value::as_str).unwrap_or("not given"));
    for (_, tensor) in model.tensors() {
        // The first dimension is the length of a row, in memory order.
        println!("{:40} {:6} {:?}", tensor.name_lossy(), tensor.ty.name(), tensor.dims());
    }
    Ok(())
}
