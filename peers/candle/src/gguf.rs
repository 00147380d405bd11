//! `candle_core::quantized::gguf_file` opens a model's file.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::rc::Rc;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::{Content, Value};
use peer::{Case, Contestant, Description, Loaded, Refusal};

struct Candle;

impl Contestant for Candle {
    fn describe(&mut self) -> Result<Description, String> {
        Ok(Description::new("candle", "0.11.1", "gguf_file::Content::read of a BufReader, one thread"))
    }

    fn load(&mut self, _: &Case, inputs: &Path) -> Result<Loaded<'_>, Refusal> {
        let path = inputs.join("model.gguf");
        let bytes = fs::read(&path)?;
        let opened = Rc::new(RefCell::new(open(&path).map_err(Refusal::Error)?));
        let shown = opened.clone();
        let run = move || {
            // It could be opened before.
            if let Ok(content) = open(&path) {
                *opened.borrow_mut() = content;
            }
        };
        Ok(Loaded::new("open, read, parse", run, move || dump(&shown.borrow(), &bytes)))
    }
}

fn open(path: &Path) -> Result<Content, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    Content::read(&mut BufReader::new(file)).map_err(|error| error.to_string())
}

/// The lines that every contestant makes; see `crates/assay/src/contest/gguf.rs`.
fn dump(content: &Content, file: &[u8]) -> Vec<u8> {
    let keys = content.metadata.iter().map(|(key, value)| format!("K\t{key}\t{}\n", text(value)));
    let tensors = content.tensor_infos.iter().map(|(name, info)| {
        // candle's first dimension is the slowest.
        let mut dims: Vec<usize> = info.shape.dims().iter().rev().copied().collect();
        while dims.last() == Some(&1) {
            dims.pop();
        }
        let elements: usize = dims.iter().product();
        let size = elements / info.ggml_dtype.block_size() * info.ggml_dtype.type_size();
        let start = (content.tensor_data_offset + info.offset) as usize;
        let data = file.get(start..start + size).map_or_else(|| "beyond the end".to_owned(), hash);
        let dims: Vec<_> = dims.iter().map(usize::to_string).collect();
        format!("T\t{name}\t{}\t{}\t{start}\t{data}\n", id(info.ggml_dtype), dims.join(","))
    });
    let mut lines: Vec<_> = keys.chain(tensors).collect();
    lines.sort_unstable();
    lines.concat().into_bytes()
}

/// The number of a type in files.
fn id(ty: GgmlDType) -> u32 {
    match ty {
        GgmlDType::F32 => 0,
        GgmlDType::F16 => 1,
        GgmlDType::Q4K => 12,
        GgmlDType::Q6K => 14,
        _ => u32::MAX,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::U8(x) => x.to_string(),
        Value::I8(x) => x.to_string(),
        Value::U16(x) => x.to_string(),
        Value::I16(x) => x.to_string(),
        Value::U32(x) => x.to_string(),
        Value::I32(x) => x.to_string(),
        Value::U64(x) => x.to_string(),
        Value::I64(x) => x.to_string(),
        Value::F32(x) => format!("{:016x}", f64::from(*x).to_bits()),
        Value::F64(x) => format!("{:016x}", x.to_bits()),
        Value::Bool(x) => x.to_string(),
        Value::String(x) => hash(x.as_bytes()),
        Value::Array(elements) => {
            let texts: Vec<_> = elements.iter().map(text).collect();
            format!("{} {}", elements.len(), hash(texts.join("\n").as_bytes()))
        }
    }
}

/// FNV-1a of 64 bits.
fn hash(bytes: &[u8]) -> String {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

fn main() -> std::io::Result<()> {
    peer::serve(&mut Candle)
}
