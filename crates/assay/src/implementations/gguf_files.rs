//! Files written by our GGUF writer, for readers to open.
//! [`::gguf::cases`] says what is in them.

use std::io::Write;
use std::path::Path;

use ::gguf::{
    Tensor, Value, Writer,
    cases::{Contents, Form},
    writer::WriteError,
};
use ::quant::GgmlType;
use peer::{Case, Refusal};

pub(super) fn write(case: &Case, dir: &Path) -> Result<(), Refusal> {
    let refused = |error: WriteError| Refusal::Error(format!("{}: {error}", case.id));
    let writer = match case.read()? {
        Contents::Split { tensors, tokens, per_part } => {
            let parts = model(tensors, tokens).create_split(&dir.join("model"), per_part, data);
            return parts.map(drop).map_err(refused);
        }
        Contents::Model { tensors, tokens } => model(tensors, tokens),
        Contents::Type { ty, form } => of_type(empty(form), ty),
        Contents::Metadata { is_odd, form } => metadata(empty(form), is_odd),
        Contents::Alignment { alignment } => aligned(alignment),
    };
    writer.create(&dir.join("model.gguf"), data).map(drop).map_err(refused)
}

/// Random bytes, with the tensor's name as the seed.
fn data(tensor: &Tensor<'_>, out: &mut dyn Write) -> std::io::Result<()> {
    let mut state = tensor.name.iter().fold(1_u64, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 33) as u8
    };
    out.write_all(&(0..tensor.bytes()).map(|_| next()).collect::<Vec<_>>())
}

/// An empty file.
fn empty(form: Form) -> Writer {
    Writer::new().with_version(form.version).with_endian(form.endian)
}

/// A model with keys of every type that all readers support.
fn model(tensors: usize, tokens: usize) -> Writer {
    let mut writer = Writer::new();
    writer.key("general.architecture", Value::from("rwkv7"));
    writer.key("general.file_type", Value::U32(15));
    for i in 0..24 {
        writer.key(format!("rwkv7.number.{i}"), Value::U32(1000 + i));
    }
    // A power of two, because gguf-rs keeps numbers as decimal text, which rounds other numbers.
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

fn of_type(mut writer: Writer, ty: GgmlType) -> Writer {
    let block = ty.block_len() as u64;
    let shapes: [&[u64]; 6] =
        [&[block], &[2 * block, 3], &[block, 2, 3], &[3 * block, 1, 2, 2], &[block, 1, 5, 1], &[block, 0]];
    writer.key("general.architecture", Value::from("test"));
    for (serial, dims) in shapes.iter().enumerate() {
        writer.tensor(format!("part.{serial}.weight"), dims, ty);
    }
    writer
}

fn metadata(mut writer: Writer, is_odd: bool) -> Writer {
    writer.key("u8", Value::U8(u8::MAX)).key("i8", Value::I8(i8::MIN)).key("u16", Value::U16(u16::MAX));
    writer.key("i16", Value::I16(i16::MIN)).key("u32", Value::U32(u32::MAX)).key("i32", Value::I32(i32::MIN));
    writer.key("u64", Value::U64(u64::MAX)).key("i64", Value::I64(i64::MIN));
    writer.key("true", Value::Bool(true)).key("false", Value::Bool(false));
    writer.key("text", Value::from("Grüße, 世界")).key("text.empty", Value::from(""));
    writer.key("text.long", Value::from("x".repeat(70_000).as_str()));
    writer.numbers("array.u8", &[0_u8, 1, u8::MAX]).numbers("array.i8", &[0_i8, -1, i8::MIN, i8::MAX]);
    writer.numbers("array.u16", &[0, u16::MAX]).numbers("array.i16", &[i16::MIN, -1, i16::MAX]);
    writer.numbers("array.u32", &[0, u32::MAX]).numbers("array.i32", &[i32::MIN, -1, i32::MAX]);
    writer.numbers("array.u64", &[0, u64::MAX]).numbers("array.i64", &[i64::MIN, -1, i64::MAX]);
    writer.numbers("array.bool", &[true, false, true]).strings("array.text", &["", "b", "Grüße"]);
    let (singles, doubles) = match is_odd {
        true => (
            vec![0.1, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE / 4.0, f32::MAX],
            vec![0.1, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE / 4.0, f64::MAX],
        ),
        false => (vec![0.5, -2.25, 1024.0], vec![0.5, -2.25, 1024.0, 0.1]),
    };
    for (serial, (&single, &double)) in singles.iter().zip(&doubles).enumerate() {
        writer.key(format!("f32.{serial}"), Value::F32(single)).key(format!("f64.{serial}"), Value::F64(double));
    }
    writer.numbers("array.f32", &singles).numbers("array.f64", &doubles);
    writer.tensor("one", &[3], GgmlType::F32);
    writer
}

fn aligned(alignment: u32) -> Writer {
    let mut writer = Writer::new();
    writer.key("general.alignment", Value::U32(alignment));
    for (serial, ty) in [GgmlType::F32, GgmlType::F16, GgmlType::Q4_0, GgmlType::F32].into_iter().enumerate() {
        writer.tensor(format!("part.{serial}"), &[3 * ty.block_len() as u64], ty);
    }
    writer
}
