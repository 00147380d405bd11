//! `gguf-rs` opens a model's file, with whole arrays: by default it keeps three elements of `tokenizer.*`.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use gguf_rs::GGUFModel;
use peer::{Case, Contestant, Description, Loaded, Refusal};
use serde_json::Value;

struct GgufRs;

impl Contestant for GgufRs {
    fn describe(&mut self) -> Result<Description, String> {
        Ok(Description::new("gguf-rs", "0.1.8", "get_gguf_container_array_size(u64::MAX), one thread"))
    }

    fn load(&mut self, _: &Case, inputs: &Path) -> Result<Loaded<'_>, Refusal> {
        let path = inputs.join("model.gguf");
        let bytes = fs::read(&path)?;
        let opened = Rc::new(RefCell::new(open(&path).map_err(Refusal::Error)?));
        let shown = opened.clone();
        let run = move || {
            // It could be opened before.
            if let Ok(model) = open(&path) {
                *opened.borrow_mut() = model;
            }
        };
        Ok(Loaded::new("open, read, parse", run, move || dump(&shown.borrow(), &bytes)))
    }
}

fn open(path: &Path) -> Result<GGUFModel, String> {
    let path = path.to_str().ok_or("the path is not UTF-8")?;
    let mut container = gguf_rs::get_gguf_container_array_size(path, u64::MAX).map_err(|error| error.to_string())?;
    container.decode().map_err(|error| error.to_string())
}

/// The lines that every contestant makes; see `crates/assay/src/contest/gguf.rs`.
fn dump(model: &GGUFModel, file: &[u8]) -> Vec<u8> {
    let keys = model.metadata().iter().map(|(key, value)| format!("K\t{key}\t{}\n", text(value)));
    let tensors = model.tensors().iter().map(|tensor| {
        let mut dims: &[u64] = &tensor.shape;
        while let [before @ .., 1] = dims {
            dims = before;
        }
        let dims: Vec<_> = dims.iter().map(u64::to_string).collect();
        let start = (model.data_offset() + tensor.offset) as usize;
        let data = file.get(start..start + tensor.size as usize).map_or_else(|| "beyond the end".to_owned(), hash);
        format!("T\t{}\t{}\t{}\t{start}\t{data}\n", tensor.name, tensor.kind, dims.join(","))
    });
    let mut lines: Vec<_> = keys.chain(tensors).collect();
    lines.sort_unstable();
    lines.concat().into_bytes()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => hash(text.as_bytes()),
        Value::Number(number) if number.is_f64() => {
            format!("{:016x}", number.as_f64().unwrap_or(f64::NAN).to_bits())
        }
        Value::Array(elements) => {
            let texts: Vec<_> = elements.iter().map(text).collect();
            format!("{} {}", elements.len(), hash(texts.join("\n").as_bytes()))
        }
        other => other.to_string(),
    }
}

/// FNV-1a of 64 bits.
fn hash(bytes: &[u8]) -> String {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

fn main() -> std::io::Result<()> {
    peer::serve(&mut GgufRs)
}
