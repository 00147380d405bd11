//! `assay gguf info`.

use std::collections::BTreeMap;

use anyhow::Result;
use gguf::{Endian, Split, Value};
use quant::GgmlType;
use serde_json::json;

use super::{Reading, behind, file_type, text};
use crate::print;

/// Tensors of one type.
#[derive(Default)]
struct Share {
    tensors: u64,
    elements: u64,
    bytes: u64,
}

pub(super) fn run(reading: &Reading) -> Result<()> {
    let model = reading.open()?;
    let shares = shares(&model);
    if reading.json {
        print::json(&as_json(reading, &model, &shares))
    } else {
        print::lines(lines(reading, &model, &shares))
    }
}

fn shares(model: &Split) -> BTreeMap<GgmlType, Share> {
    let mut shares = BTreeMap::<_, Share>::new();
    for (_, tensor) in model.tensors() {
        let share = shares.entry(tensor.ty).or_default();
        share.tensors += 1;
        share.elements = share.elements.saturating_add(tensor.elements());
        share.bytes = share.bytes.saturating_add(tensor.bytes());
    }
    shares
}

fn file_bytes(model: &Split) -> u64 {
    model.parts().iter().map(|part| part.bytes().len() as u64).sum()
}

fn order(endian: Endian) -> &'static str {
    match endian {
        Endian::Little => "little-endian",
        Endian::Big => "big-endian",
    }
}

fn lines(reading: &Reading, model: &Split, shares: &BTreeMap<GgmlType, Share>) -> Vec<String> {
    let (first, parts) = (&model.parts()[0], model.parts().len());
    let elements = shares.values().fold(0_u64, |sum, share| sum.saturating_add(share.elements));
    let tensors: u64 = shares.values().map(|share| share.tensors).sum();
    let mut lines = vec![
        format!(
            "{}: GGUF version {}, {}, {}{}",
            reading.file.display(),
            first.version(),
            order(first.endian()),
            text::bytes(file_bytes(model)),
            if parts > 1 { format!(" in {parts} files") } else { String::new() }
        ),
        format!("{tensors} tensors, {} parameters, data aligned to {} bytes", text::count(elements), first.alignment()),
    ];
    lines.extend(behind::line(model));
    lines.extend([String::new(), format!("{:10} {:>8} {:>18} {:>10}", "type", "tensors", "parameters", "size")]);
    for (ty, share) in shares {
        let (elements, bytes) = (text::count(share.elements), text::bytes(share.bytes));
        lines.push(format!("{ty:10} {:>8} {elements:>18} {bytes:>10}", share.tensors));
    }
    lines.push(String::new());
    for (key, value) in model.metadata().iter() {
        let name = name(key, &value).map_or_else(String::new, |name| format!(" ({name})"));
        let key = String::from_utf8_lossy(key);
        lines.push(format!("{} ({}) = {}{name}", key.escape_debug(), text::type_name(&value), text::value(&value)));
    }
    lines
}

/// The name of a value that is a number of a list.
fn name(key: &[u8], value: &Value<'_>) -> Option<String> {
    if key == b"general.file_type" { file_type::name(value.as_u64()?) } else { None }
}

fn as_json(reading: &Reading, model: &Split, shares: &BTreeMap<GgmlType, Share>) -> serde_json::Value {
    let first = &model.parts()[0];
    let types: Vec<_> = shares
        .iter()
        .map(|(ty, share)| {
            json!({ "type": ty.name(), "tensors": share.tensors, "elements": share.elements, "bytes": share.bytes })
        })
        .collect();
    let metadata: Vec<_> = model
        .metadata()
        .iter()
        .map(|(key, value)| {
            let mut pair = json!({
                "key": String::from_utf8_lossy(key),
                "type": text::type_name(&value),
                "value": text::json(&value),
            });
            if let Some(name) = name(key, &value) {
                pair["name"] = json!(name);
            }
            pair
        })
        .collect();
    let parts: Vec<_> = (1_u32..)
        .zip(model.parts())
        .map(|(number, part)| {
            json!({
                "part": number,
                "bytes": part.bytes().len(),
                "tensors": part.tensor_count(),
                "data_start": part.data_start(),
                "data_end": part.data_end(),
                "trailing_bytes": part.trailing().len(),
                "joined_at": part.next_file(),
            })
        })
        .collect();
    json!({
        "file": reading.file.display().to_string(),
        "version": first.version(),
        "byte_order": order(first.endian()),
        "alignment": first.alignment(),
        "files": model.parts().len(),
        "file_bytes": file_bytes(model),
        "tensors": model.tensors().count(),
        "trailing_bytes": behind::bytes(model),
        "joined_at": behind::joined(model),
        "parts": parts,
        "types": types,
        "metadata": metadata,
    })
}
