//! Our side of opening a GGUF file: from the path to the views.
//!
//! [`super::gguf_files`] makes the file of a case. Everything that a reader finds in it is compared.

use std::num::NonZeroUsize;
use std::path::Path;

use ::gguf::{
    Endian, File, Options, Split, Value,
    cases::{self, Contents},
};
use op::CaseRow;
use peer::{Case, Description, Implementation, Load, Ran, Refusal, found};

use super::gguf_files;
use crate::commands::gguf::map;

pub(super) struct Opening {
    threads: NonZeroUsize,
}

impl Opening {
    pub(super) fn new(threads: NonZeroUsize) -> Self {
        Self { threads }
    }
}

impl Implementation for Opening {
    fn describe(&mut self) -> Result<Description, String> {
        Ok(Description::new("assay", env!("CARGO_PKG_VERSION"), "mapped, strings not copied"))
    }

    fn cases(&mut self) -> Result<Vec<CaseRow>, Refusal> {
        Ok(super::rows(&cases::cases()))
    }

    fn inputs(&mut self, case: &Case, dir: &Path) -> Result<(), Refusal> {
        gguf_files::write(case, dir)
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Load<'_> {
        if self.threads.get() != 1 {
            return Err(Refusal::Unsupported("a header is read by one thread".to_owned()));
        }
        let first = peer::files_ending(inputs, ".gguf")?.into_iter().next();
        let first = first.ok_or_else(|| Refusal::Error(format!("{}: no file", case.id)))?;
        // Big-endian files are read only on request.
        let contents: Contents = case.read()?;
        let options = match contents {
            Contents::Type { form, .. } | Contents::Metadata { form, .. } if form.endian == Endian::Big => {
                Options::LENIENT
            }
            _ => Options::default(),
        };
        let ran = Ran::by("gguf", "open, mmap, parse");
        if matches!(contents, Contents::Split { .. }) {
            let open = move || Split::open(&first, |part| map(part, options));
            return peer::remade(ran, open, |set| dump(set.parts()));
        }
        peer::remade(ran, move || map(&first, options), |file| dump(std::slice::from_ref(file)))
    }
}

/// The contents of files as lines that an implementation in any language can produce.
fn dump(files: &[File]) -> Vec<u8> {
    let texts = files.iter().enumerate().map(|(number, file)| {
        let keys = file.metadata();
        let keys = keys.iter().map(|(key, value)| format!("K\t{}\t{}\n", String::from_utf8_lossy(key), text(&value)));
        let tensors = file.tensors().map(|tensor| {
            let data = file.data(&tensor).map_or_else(|error| error.to_string(), found::hash);
            let (name, dims) = (tensor.name_lossy(), found::dims(tensor.dims()));
            format!("T\t{name}\t{}\t{dims}\t{}\t{data}\n", tensor.ty.id(), tensor.start())
        });
        found::lines(number, keys.chain(tensors).collect())
    });
    texts.collect::<String>().into_bytes()
}

fn text(value: &Value<'_>) -> String {
    match value {
        Value::Bool(x) => x.to_string(),
        Value::F32(x) => found::float(*x),
        Value::F64(x) => found::float(*x),
        Value::String(x) => found::hash(x),
        Value::Array(array) => found::array(&array.iter().map(|element| text(&element)).collect::<Vec<_>>()),
        Value::I8(x) => x.to_string(),
        Value::I16(x) => x.to_string(),
        Value::I32(x) => x.to_string(),
        Value::I64(x) => x.to_string(),
        Value::U8(x) => x.to_string(),
        Value::U16(x) => x.to_string(),
        Value::U32(x) => x.to_string(),
        Value::U64(x) => x.to_string(),
    }
}
