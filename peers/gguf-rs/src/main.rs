//! `gguf-rs` opens a model's file, with whole arrays: by default it keeps three elements of `tokenizer.*`.

use std::fs;
use std::path::Path;

use gguf_rs::GGUFModel;
use peer::{Case, Description, Implementation, Load, Ran, found};
use serde_json::Value;

struct GgufRs;

impl Implementation for GgufRs {
    fn describe(&mut self) -> Result<Description, String> {
        Ok(Description::new("gguf-rs", "0.1.8", "get_gguf_container_array_size(u64::MAX), one thread"))
    }

    fn load(&mut self, _: &Case, inputs: &Path) -> Load<'_> {
        let paths = peer::files_ending(inputs, ".gguf")?;
        let bytes: Vec<_> = paths.iter().map(fs::read).collect::<Result<_, _>>()?;
        let open = move || paths.iter().map(|path| open(path)).collect::<Result<Vec<_>, _>>();
        peer::remade(Ran::by("gguf-rs", "open, read, parse"), open, move |opened| {
            let files = opened.iter().zip(&bytes).enumerate();
            files.map(|(number, (file, bytes))| dump(number, file, bytes)).collect::<String>().into_bytes()
        })
    }
}

fn open(path: &Path) -> Result<GGUFModel, String> {
    let path = path.to_str().ok_or("the path is not UTF-8")?;
    let read = || {
        let mut container = gguf_rs::get_gguf_container_array_size(path, u64::MAX)?;
        container.decode()
    };
    match std::panic::catch_unwind(read) {
        Ok(model) => model.map_err(|error| error.to_string()),
        Err(panic) => {
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("it panics: {}", message.unwrap_or_default()))
        }
    }
}

/// The lines that all readers are compared by; see `crates/assay/src/implementations/gguf.rs`.
fn dump(number: usize, model: &GGUFModel, file: &[u8]) -> String {
    let keys = model.metadata().iter().map(|(key, value)| format!("K\t{key}\t{}\n", text(value)));
    let tensors = model.tensors().iter().map(|tensor| {
        let start = (model.data_offset() + tensor.offset) as usize;
        let end = start.saturating_add(tensor.size as usize);
        let data = file.get(start..end).map_or_else(|| "beyond the end".to_owned(), found::hash);
        format!("T\t{}\t{}\t{}\t{start}\t{data}\n", tensor.name, tensor.kind, found::dims(&tensor.shape))
    });
    found::lines(number, keys.chain(tensors).collect())
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => found::hash(text.as_bytes()),
        Value::Number(number) if number.is_f64() => found::float(number.as_f64().unwrap_or(f64::NAN)),
        Value::Array(elements) => found::array(&elements.iter().map(text).collect::<Vec<_>>()),
        other => other.to_string(),
    }
}

fn main() -> std::io::Result<()> {
    peer::serve(&mut GgufRs)
}
