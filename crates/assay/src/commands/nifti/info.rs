//! `assay nifti info`: the whole header, numbers with their names and units.

use anyhow::Result;
use nifti_decode::{AxisCode, Header, Version, VolumeFile, extension_name, form_name};
use serde_json::{Value, json};

use super::{Files, for_all, input::name, open};
use crate::print;

pub(super) fn run(files: &Files) -> Result<()> {
    let mut values = Vec::new();
    let outcome = for_all(&files.files, None, |path| {
        match open(path) {
            Ok(file) if files.json => values.push(value(&name(path), &file)),
            Ok(file) => print::lines(lines(&name(path), &file))?,
            Err(error) => {
                values.push(json!({ "file": name(path), "error": format!("{error:#}") }));
                return Err(error);
            }
        }
        Ok(())
    });
    if files.json {
        print::json(&Value::Array(values))?;
    }
    outcome
}

/// `RAS`, with `-` for an axis that goes nowhere.
fn orientation(file: &VolumeFile) -> String {
    file.affine().orientation().iter().map(|code| code.map_or('-', AxisCode::letter)).collect()
}

fn extents(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}

fn version(header: &Header) -> &'static str {
    match header.version {
        Version::Nifti1 => "NIfTI-1",
        Version::Nifti2 => "NIfTI-2",
        Version::Analyze => "ANALYZE 7.5",
    }
}

/// A number, with its unit if it has one.
fn with_unit(number: f64, unit: Option<&str>) -> String {
    let number = print::number(number);
    unit.map_or_else(|| number.clone(), |unit| format!("{number} {unit}"))
}

/// `mni (4)`.
fn code(name: Option<&str>, code: i32) -> String {
    format!("{} ({code})", name.unwrap_or("not defined"))
}

fn spacing(file: &VolumeFile) -> String {
    let header = file.header();
    let spacing = file.affine().spacing().map(|length| format!("{:.4}", header.to_mm(length))).join(" x ");
    match header.space_unit() {
        Some(unit) if unit.symbol() != "mm" => format!("{spacing} mm (the header is in {})", unit.symbol()),
        Some(_) => format!("{spacing} mm"),
        None => format!("{spacing} mm (the header gives no unit)"),
    }
}

/// The encoding directions that `dim_info` names: `frequency x, slice z`.
fn encoding(header: &Header) -> Option<String> {
    let directions = ["frequency", "phase", "slice"].into_iter().zip(header.encoding_axes());
    let named: Vec<String> =
        directions.filter_map(|(name, axis)| axis.map(|axis| format!("{name} {}", ["x", "y", "z"][axis]))).collect();
    (!named.is_empty()).then(|| named.join(", "))
}

/// Fields that most headers leave empty, where they are not.
fn optional_lines(header: &Header) -> Vec<(&'static str, String)> {
    let time = header.time_unit().map(|unit| unit.symbol());
    let mut lines = Vec::new();
    if header.dim[0] >= 4 {
        let is_time = header.time_unit().is_none_or(|unit| unit.to_seconds(0.0).is_some());
        lines.push((if is_time { "time step" } else { "fourth step" }, with_unit(header.pixdim[4], time)));
    }
    if header.toffset != 0.0 {
        lines.push(("time offset", with_unit(header.toffset, time)));
    }
    if let Some(encoding) = encoding(header) {
        lines.push(("encoding", encoding));
    }
    if header.slice_code != 0 {
        let (start, end) = (header.slice_start, header.slice_end);
        let duration = with_unit(header.slice_duration, time);
        let order = code(header.slice_order(), header.slice_code);
        lines.push(("slices", format!("{order}, {start} to {end}, {duration} each")));
    }
    let label = header.intent_label();
    if header.intent_code != 0 || !label.is_empty() {
        let mut intent = code(header.intent(), header.intent_code);
        if !label.is_empty() {
            intent += &format!(" \"{}\"", label.escape_debug());
        }
        let parameters = [header.intent_p1, header.intent_p2, header.intent_p3];
        if parameters.iter().any(|&parameter| parameter != 0.0) {
            intent += &format!(", parameters {}", parameters.map(print::number).join(", "));
        }
        lines.push(("intent", intent));
    }
    if header.cal_min != 0.0 || header.cal_max != 0.0 {
        lines.push(("display", format!("{} to {}", print::number(header.cal_min), print::number(header.cal_max))));
    }
    for (what, text) in [("description", header.description()), ("other file", header.aux_file_name())] {
        if !text.is_empty() {
            lines.push((what, text.escape_debug().to_string()));
        }
    }
    lines
}

fn lines(name: &str, file: &VolumeFile) -> Vec<String> {
    let header = file.header();
    let number = print::number;
    let scaled = |scale: nifti_decode::Scale| format!("{} x stored + {}", number(scale.slope), number(scale.inter));
    let forms = format!(
        "qform {}, sform {}",
        code(form_name(header.qform_code), header.qform_code),
        code(form_name(header.sform_code), header.sform_code)
    );
    let mut rows = vec![
        ("header", format!("{}, {}-endian", version(header), header.endian.name())),
        ("voxels", format!("{} {}", extents(file.shape()), file.datatype().name())),
        ("spacing", spacing(file)),
        ("orientation", format!("{} (from {})", orientation(file), file.affine_source())),
        ("transforms", forms),
        ("scaling", file.scale().map_or("none".to_owned(), scaled)),
        ("packing", format!("{}, {} bytes", file.packing().name(), file.packed_bytes())),
    ];
    if header.version == Version::Analyze {
        rows.retain(|row| row.0 != "transforms");
    }
    let unit = header.space_unit().map_or("mm", |unit| unit.symbol());
    for row in &file.affine().0[..3] {
        rows.push(("affine", format!("{:>12.5} {:>12.5} {:>12.5} {:>12.5} {unit}", row[0], row[1], row[2], row[3])));
    }
    rows.extend(optional_lines(header));
    for extension in file.extensions() {
        let code = code(extension_name(extension.ecode), extension.ecode);
        rows.push(("extension", format!("{code}, {} bytes", extension.content.len())));
    }
    rows.extend(file.warnings().iter().map(|warning| ("warning", warning.to_string())));
    let rows = rows.into_iter().map(|(what, text)| format!("  {what:<12} {text}"));
    std::iter::once(name.to_owned()).chain(rows).collect()
}

fn value(name: &str, file: &VolumeFile) -> Value {
    let mut value = json!({
        "file": name,
        "is_pair": file.header().is_pair,
        "datatype": file.datatype().name(),
        "shape": file.shape(),
        "spacing_mm": file.affine().spacing().map(|length| file.header().to_mm(length)),
        "affine": file.affine(),
        "affine_source": file.affine_source(),
        "orientation": orientation(file),
        "scale": file.scale(),
        "packing": file.packing(),
        "packed_bytes": file.packed_bytes(),
        "extensions": file.extensions().iter().map(extension).collect::<Vec<_>>(),
        "warnings": file.warnings().iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    for part in [fields(file.header()), meanings(file.header())] {
        if let (Value::Object(all), Value::Object(part)) = (&mut value, part) {
            all.extend(part);
        }
    }
    value
}

fn extension(extension: &nifti_decode::Extension) -> Value {
    let (ecode, bytes) = (extension.ecode, extension.content.len());
    json!({ "ecode": ecode, "name": extension_name(ecode), "bytes": bytes })
}

/// Every field of the header by its name in nifti1.h; `datatype` stands as a name elsewhere. What is not finite is
/// null.
fn fields(header: &Header) -> Value {
    json!({
        "version": header.version,
        "endian": header.endian,
        "dim_info": header.dim_info,
        "dim": header.dim,
        "intent_p1": header.intent_p1,
        "intent_p2": header.intent_p2,
        "intent_p3": header.intent_p3,
        "intent_code": header.intent_code,
        "datatype_code": header.datatype,
        "bitpix": header.bitpix,
        "slice_start": header.slice_start,
        "slice_end": header.slice_end,
        "slice_code": header.slice_code,
        "slice_duration": header.slice_duration,
        "toffset": header.toffset,
        "pixdim": header.pixdim,
        "vox_offset": header.vox_offset,
        "scl_slope": header.scl_slope,
        "scl_inter": header.scl_inter,
        "cal_max": header.cal_max,
        "cal_min": header.cal_min,
        "xyzt_units": header.xyzt_units,
        "glmax": header.glmax,
        "glmin": header.glmin,
        "descrip": header.description(),
        "description": header.description(),
        "aux_file": header.aux_file_name(),
        "intent_name": header.intent_label(),
        "qform_code": header.qform_code,
        "sform_code": header.sform_code,
        "quatern_b": header.quatern_b,
        "quatern_c": header.quatern_c,
        "quatern_d": header.quatern_d,
        "qoffset_x": header.qoffset_x,
        "qoffset_y": header.qoffset_y,
        "qoffset_z": header.qoffset_z,
        "srow_x": header.srow_x,
        "srow_y": header.srow_y,
        "srow_z": header.srow_z,
        "origin": header.origin,
    })
}

/// What the codes among the fields mean; null where they say nothing.
fn meanings(header: &Header) -> Value {
    let [frequency, phase, slice] = header.encoding_axes();
    let in_seconds = |time: f64| header.time_unit().and_then(|unit| unit.to_seconds(time));
    json!({
        "space_unit": header.space_unit().map(|unit| unit.name()),
        "time_unit": header.time_unit().map(|unit| unit.name()),
        "time_step_s": (header.dim[0] >= 4).then(|| in_seconds(header.pixdim[4])).flatten(),
        "intent": header.intent(),
        "qform": form_name(header.qform_code),
        "sform": form_name(header.sform_code),
        "slice_order": header.slice_order(),
        "frequency_axis": frequency,
        "phase_axis": phase,
        "slice_axis": slice,
    })
}
