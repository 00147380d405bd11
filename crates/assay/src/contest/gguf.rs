//! Our side of opening a GGUF file: a header as large as that of a real model, from the path to the views.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::path::Path;
use std::rc::Rc;

use ::gguf::{File, Options, Value, Writer};
use ::quant::GgmlType;
use peer::{Case, Contestant, Description, Loaded, Refusal};

use crate::commands::gguf::map;

pub(super) struct Opening {
    threads: NonZeroUsize,
}

impl Opening {
    pub(super) fn new(threads: NonZeroUsize) -> Self {
        Self { threads }
    }
}

impl Contestant for Opening {
    fn describe(&mut self) -> Result<Description, String> {
        Ok(Description::new("assay", env!("CARGO_PKG_VERSION"), "mapped, strings left where they are"))
    }

    fn inputs(&mut self, case: &Case, dir: &Path) -> Result<(), Refusal> {
        let writer = model(case.number("tensors")?, case.number("tokens")?);
        let data = |tensor: &::gguf::Tensor<'_>, out: &mut dyn std::io::Write| {
            let byte = tensor.name.iter().fold(0_u8, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte));
            out.write_all(&vec![byte; tensor.bytes() as usize])
        };
        writer.create(&dir.join("model.gguf"), data).map(drop).map_err(|error| Refusal::Error(error.to_string()))
    }

    fn load(&mut self, _: &Case, inputs: &Path) -> Result<Loaded<'_>, Refusal> {
        if self.threads.get() != 1 {
            return Err(Refusal::Unsupported("a header is read by one thread".to_owned()));
        }
        let path = inputs.join("model.gguf");
        let open = move || map(&path, Options::default());
        let opened = Rc::new(RefCell::new(open().map_err(|error| Refusal::Error(error.to_string()))?));
        let shown = opened.clone();
        let run = move || {
            // It could be opened before.
            if let Ok(file) = open() {
                *opened.borrow_mut() = file;
            }
        };
        Ok(Loaded::new("open, mmap, parse", run, move || dump(&shown.borrow())))
    }
}

/// A model with keys of every type that all readers have, and the declared numbers of tensors and tokens.
fn model(tensors: usize, tokens: usize) -> Writer {
    let mut writer = Writer::new();
    writer.key("general.architecture", Value::from("rwkv7"));
    writer.key("general.file_type", Value::U32(15));
    for i in 0..24 {
        writer.key(format!("rwkv7.number.{i}"), Value::U32(1000 + i));
    }
    // A power of two: gguf-rs keeps numbers as decimal text, which rounds others.
    writer.key("rwkv7.attention.layer_norm_epsilon", Value::F32(0.000_976_562_5));
    writer.key("test.bool", Value::Bool(true)).key("test.i64", Value::I64(-5)).key("test.f64", Value::F64(0.1));
    writer.key("test.u8", Value::U8(200)).key("test.i8", Value::I8(-100)).key("test.u16", Value::U16(50_000));
    writer
        .key("test.i16", Value::I16(-20_000))
        .key("test.i32", Value::I32(-2_000_000))
        .key("test.u64", Value::U64(1 << 40));
    writer.key("tokenizer.ggml.model", Value::from("rwkv"));
    writer.strings("tokenizer.ggml.tokens", &(0..tokens).map(|i| format!("token {i:x}")).collect::<Vec<_>>());
    writer.numbers("tokenizer.ggml.token_type", &vec![1_i32; tokens]);
    for i in 0..tensors {
        let (ty, dims) = match i % 4 {
            0 => (GgmlType::Q4_K, vec![256, 2]),
            1 => (GgmlType::Q6_K, vec![512]),
            2 => (GgmlType::F16, vec![5, 3, 2]),
            _ => (GgmlType::F32, vec![7]),
        };
        writer.tensor(format!("blk.{}.time_mix_part_{}.weight", i / 28, i % 28), &dims, ty);
    }
    writer
}

/// The contents of a file as sorted lines that every contestant can make, whatever types its language has: dimensions without those
/// that are 1 at the end, integers in decimal, floating-point numbers as the bits of an f64, strings, arrays and data as hashes.
fn dump(file: &File) -> Vec<u8> {
    let keys =
        file.metadata().iter().map(|(key, value)| format!("K\t{}\t{}\n", String::from_utf8_lossy(key), text(&value)));
    let tensors = file.tensors().map(|tensor| {
        let mut dims = tensor.dims();
        while let [before @ .., 1] = dims {
            dims = before;
        }
        let dims: Vec<_> = dims.iter().map(u64::to_string).collect();
        let data = file.data(&tensor).map_or_else(|error| error.to_string(), hash);
        format!("T\t{}\t{}\t{}\t{}\t{data}\n", tensor.name_lossy(), tensor.ty.id(), dims.join(","), tensor.start())
    });
    let mut lines: Vec<_> = keys.chain(tensors).collect();
    lines.sort_unstable();
    lines.concat().into_bytes()
}

fn text(value: &Value<'_>) -> String {
    match value {
        Value::Bool(x) => x.to_string(),
        Value::F32(x) => format!("{:016x}", f64::from(*x).to_bits()),
        Value::F64(x) => format!("{:016x}", x.to_bits()),
        Value::String(x) => hash(x),
        Value::Array(array) => {
            let elements: Vec<_> = array.iter().map(|element| text(&element)).collect();
            format!("{} {}", array.len(), hash(elements.join("\n").as_bytes()))
        }
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

/// FNV-1a of 64 bits.
fn hash(bytes: &[u8]) -> String {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}
