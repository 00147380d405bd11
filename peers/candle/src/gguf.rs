//! `candle_core::quantized::gguf_file` opens a model's file.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::{Content, Value};
use peer::{Case, Description, Implementation, Load, Ran, found};

struct Candle;

impl Implementation for Candle {
    fn describe(&mut self) -> Result<Description, String> {
        Ok(Description::new("candle", "0.11.1", "gguf_file::Content::read of a BufReader, one thread"))
    }

    fn load(&mut self, _: &Case, inputs: &Path) -> Load<'_> {
        let paths = peer::files_ending(inputs, ".gguf")?;
        let bytes: Vec<_> = paths.iter().map(fs::read).collect::<Result<_, _>>()?;
        let open = move || paths.iter().map(|path| open(path)).collect::<Result<Vec<_>, _>>();
        peer::remade(Ran::by("candle", "open, read, parse"), open, move |opened| {
            let files = opened.iter().zip(&bytes).enumerate();
            files.map(|(number, (file, bytes))| dump(number, file, bytes)).collect::<String>().into_bytes()
        })
    }
}

fn open(path: &Path) -> Result<Content, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    Content::read(&mut BufReader::new(file)).map_err(|error| error.to_string())
}

/// The lines that all readers are compared by; see `crates/assay/src/implementations/gguf.rs`.
fn dump(number: usize, content: &Content, file: &[u8]) -> String {
    let keys = content.metadata.iter().map(|(key, value)| format!("K\t{key}\t{}\n", text(value)));
    let tensors = content.tensor_infos.iter().map(|(name, info)| {
        // candle's first dimension is the slowest.
        let dims: Vec<u64> = info.shape.dims().iter().rev().map(|&dim| dim as u64).collect();
        let elements = dims.iter().product::<u64>() as usize;
        let size = elements / info.ggml_dtype.block_size() * info.ggml_dtype.type_size();
        let start = (content.tensor_data_offset + info.offset) as usize;
        let data = file.get(start..start + size).map_or_else(|| "beyond the end".to_owned(), found::hash);
        format!("T\t{name}\t{}\t{}\t{start}\t{data}\n", id(info.ggml_dtype), found::dims(&dims))
    });
    found::lines(number, keys.chain(tensors).collect())
}

/// The id of a type in GGUF files.
fn id(ty: GgmlDType) -> u32 {
    match ty {
        GgmlDType::F32 => 0,
        GgmlDType::F16 => 1,
        GgmlDType::Q4_0 => 2,
        GgmlDType::Q4_1 => 3,
        GgmlDType::Q5_0 => 6,
        GgmlDType::Q5_1 => 7,
        GgmlDType::Q8_0 => 8,
        GgmlDType::Q8_1 => 9,
        GgmlDType::Q2K => 10,
        GgmlDType::Q3K => 11,
        GgmlDType::Q4K => 12,
        GgmlDType::Q5K => 13,
        GgmlDType::Q6K => 14,
        GgmlDType::Q8K => 15,
        GgmlDType::BF16 => 30,
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
        Value::F32(x) => found::float(*x),
        Value::F64(x) => found::float(*x),
        Value::Bool(x) => x.to_string(),
        Value::String(x) => found::hash(x.as_bytes()),
        Value::Array(elements) => found::array(&elements.iter().map(text).collect::<Vec<_>>()),
    }
}

fn main() -> std::io::Result<()> {
    peer::serve(&mut Candle)
}
