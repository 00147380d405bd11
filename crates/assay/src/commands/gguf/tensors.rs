//! `assay gguf tensors`.

use anyhow::Result;
use serde_json::json;

use super::{Reading, text};
use crate::print;

pub(super) fn run(reading: &Reading) -> Result<()> {
    let model = reading.open()?;
    let tensors =
        model.parts().iter().zip(1_u32..).flat_map(|(part, no)| part.tensors().map(move |tensor| (no, tensor)));
    if reading.json {
        let tensors: Vec<_> = tensors
            .map(|(part, tensor)| {
                json!({
                    "name": tensor.name_lossy(),
                    "type": tensor.ty.name(),
                    "dims": tensor.dims(),
                    "part": part,
                    "start": tensor.start(),
                    "bytes": tensor.bytes(),
                })
            })
            .collect();
        return print::json(&json!(tensors));
    }
    let rows: Vec<_> = tensors
        .map(|(part, tensor)| {
            let place = if model.parts().len() > 1 { format!("part {part} ") } else { String::new() };
            let name = tensor.name_lossy().escape_debug().to_string();
            (
                name,
                tensor.ty.name(),
                text::shape(tensor.dims()),
                format!("{place}{}", tensor.start()),
                text::bytes(tensor.bytes()),
            )
        })
        .collect();
    let widest =
        |width: fn(&(String, &str, String, String, String)) -> usize| rows.iter().map(width).max().unwrap_or(0);
    let name = widest(|row| row.0.chars().count()).max(4);
    let (shape, start) = (widest(|row| row.2.len()).max(5), widest(|row| row.3.len()).max(5));
    let mut lines =
        vec![format!("{:name$}  {:8} {:shape$} {:>start$} {:>9}", "name", "type", "shape", "start", "size")];
    lines
        .extend(rows.iter().map(|(n, ty, s, at, size)| format!("{n:name$}  {ty:8} {s:shape$} {at:>start$} {size:>9}")));
    print::lines(lines)
}
