//! `assay nifti info`: the header, in words.

use anyhow::Result;
use nifti_decode::{AxisCode, VolumeFile};
use serde_json::{Value, json};

use super::{Files, for_all, open};
use crate::print;

pub(super) fn run(files: &Files) -> Result<()> {
    let mut values = Vec::new();
    let outcome = for_all(&files.files, |path| {
        let file = open(path)?;
        if files.json {
            values.push(value(&path.display().to_string(), &file));
            Ok(())
        } else {
            print::lines(lines(&path.display().to_string(), &file))
        }
    });
    if files.json {
        print::json(&Value::Array(values))?;
    }
    outcome.map(drop)
}

/// `RAS`, with `-` for an axis that goes nowhere.
fn orientation(file: &VolumeFile) -> String {
    file.affine().orientation().iter().map(|code| code.map_or('-', AxisCode::letter)).collect()
}

fn extents(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}

fn lines(name: &str, file: &VolumeFile) -> Vec<String> {
    let header = file.header();
    let spacing = file.affine().spacing_mm().map(|mm| format!("{mm:.4}")).join(" x ");
    let scale = file.scale().map_or("none".to_owned(), |scale| format!("{} x stored + {}", scale.slope, scale.inter));
    let mut lines = vec![
        name.to_owned(),
        format!("  header       {:?}, {}-endian", header.version, header.endian.name()),
        format!("  voxels       {} {}", extents(file.shape()), file.datatype().name()),
        format!("  spacing      {spacing} mm"),
        format!("  orientation  {} ({:?})", orientation(file), file.affine_source()),
        format!("  scaling      {scale}"),
        format!("  packing      {}, {} bytes", file.packing().name(), file.packed_bytes()),
    ];
    for row in &file.affine().0[..3] {
        lines.push(format!("  affine       {:>12.5} {:>12.5} {:>12.5} {:>12.5}", row[0], row[1], row[2], row[3]));
    }
    if !header.description().is_empty() {
        lines.push(format!("  description  {}", header.description()));
    }
    for extension in file.extensions() {
        lines.push(format!("  extension    code {}, {} bytes", extension.ecode, extension.content.len()));
    }
    lines.extend(file.warnings().iter().map(|warning| format!("  warning      {warning}")));
    lines
}

fn value(name: &str, file: &VolumeFile) -> Value {
    let header = file.header();
    json!({
        "file": name,
        "version": header.version,
        "endian": header.endian,
        "is_pair": header.is_pair,
        "datatype": file.datatype().name(),
        "shape": file.shape(),
        "pixdim": header.pixdim,
        "spacing_mm": file.affine().spacing_mm(),
        "affine": file.affine(),
        "affine_source": file.affine_source(),
        "orientation": orientation(file),
        "scale": file.scale(),
        "vox_offset": header.vox_offset,
        "xyzt_units": header.xyzt_units,
        "intent_code": header.intent_code,
        "description": header.description(),
        "packing": file.packing(),
        "packed_bytes": file.packed_bytes(),
        "extensions": file.extensions().iter().map(|e| json!({ "ecode": e.ecode, "bytes": e.content.len() })).collect::<Vec<_>>(),
        "warnings": file.warnings().iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
