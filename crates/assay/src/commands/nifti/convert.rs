//! `assay nifti convert`: a volume as another file.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use nifti_decode::{
    Affine, Datatype, Decoder, Header, Orientation, Output, Plan, Version, VolumeFile, Watch, bf16, f16, write_watched,
};
use serde_json::json;

use super::{
    Target, file_bytes, npy, open,
    options::{PackOptions, orientation},
    voxel_bytes,
};
use crate::{print, progress::Progress};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The volume
    input: PathBuf,
    /// The new file: .nii, .nii.gz, .hdr (with .img), .npy (an array with the indices x, y, z, t, ..)
    output: PathBuf,
    /// Scaled values as float32, instead of the stored ones with their scaling
    #[arg(long)]
    scaled: bool,
    /// With --scaled, values of this type; float16 and bfloat16 for .npy only (NIfTI has no such type)
    #[arg(long, value_name = "TYPE", default_value = "float32", requires = "scaled")]
    r#type: String,
    /// Axes in this order, such as RAS
    #[arg(long, value_parser = orientation)]
    orient: Option<Orientation>,
    /// NIfTI-2 instead of the input's version
    #[arg(long)]
    nifti2: bool,
    #[command(flatten)]
    pack: PackOptions,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Voxels in this machine's byte order, and what they are.
struct Voxels {
    bytes: Vec<u8>,
    /// NumPy's name of their type.
    descr: String,
    /// Our name of it.
    name: &'static str,
    /// NIfTI's type, if it has one.
    datatype: Option<Datatype>,
    shape: Vec<usize>,
    affine: Affine,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let target = Target::of(&arguments.output)?;
    let file = open(&arguments.input)?;
    let watch = Watch::new();
    // Once in, once out.
    let progress = Progress::watching("convert", 2 * voxel_bytes(&file), watch.clone());
    let decoder = Decoder::new().parallel(true).watched(watch.clone());
    let voxels = voxels(&file, arguments, target, decoder).with_context(|| arguments.input.display().to_string())?;
    let out = &arguments.output;
    let image = match target {
        Target::Npy => {
            npy::write(out, &voxels.descr, &voxels.shape, &voxels.bytes)?;
            None
        }
        Target::Single { is_packed } | Target::Pair { is_packed } => {
            let is_pair = matches!(target, Target::Pair { .. });
            let header = header(&file, arguments, &voxels, is_pair)?;
            let pack = arguments.pack.pack(is_packed);
            write_watched(out, &header, file.extensions(), &voxels.bytes, pack, &watch)?;
            is_pair.then(|| open(out)).transpose()?
        }
    };
    drop(progress);
    let bytes = file_bytes(out) + image.map_or(0, |pair| pair.packed_bytes());
    report(arguments, &voxels, bytes)
}

/// What was written.
fn report(arguments: &Arguments, voxels: &Voxels, bytes: u64) -> Result<()> {
    let out = arguments.output.display();
    if arguments.json {
        return print::json(&json!({
            "file": arguments.input.display().to_string(),
            "out": out.to_string(),
            "bytes": bytes,
            "datatype": voxels.name,
            "shape": voxels.shape,
            "affine": voxels.affine,
        }));
    }
    let shape = voxels.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
    print::lines([format!("{out}: {shape} {}, {bytes} bytes", voxels.name)])
}

fn voxels(file: &VolumeFile, arguments: &Arguments, target: Target, mut decoder: Decoder) -> Result<Voxels> {
    if arguments.scaled {
        return match &*arguments.r#type {
            "float32" => scaled::<f32>(file, &mut decoder, arguments, "'<f4'", Some(Datatype::Float32)),
            "float16" => scaled::<f16>(file, &mut decoder, arguments, "'<f2'", None),
            // NumPy has no bfloat16: its bits.
            "bfloat16" => scaled::<bf16>(file, &mut decoder, arguments, "'<u2'", None),
            other => bail!("--type {other} is none of float32, float16 and bfloat16"),
        };
    }
    let descr = if target == Target::Npy { npy::descr(file.datatype())? } else { String::new() };
    let mut bytes = vec![0; file.voxels() * file.datatype().bytes()];
    let copied = file.copy_into(&mut decoder, arguments.orient, &mut bytes)?;
    let name = file.datatype().name();
    Ok(Voxels { bytes, descr, name, datatype: Some(file.datatype()), shape: copied.shape, affine: copied.affine })
}

fn scaled<D: Output>(
    file: &VolumeFile,
    decoder: &mut Decoder,
    arguments: &Arguments,
    descr: &str,
    datatype: Option<Datatype>,
) -> Result<Voxels> {
    let plan = Plan { orientation: arguments.orient, ..Plan::scaled() };
    let volume = file.decode::<D>(decoder, &plan)?;
    let bytes = nifti_decode::bytes_of(volume.voxels()).to_vec();
    let (_, decoded) = volume.into_parts();
    let (descr, name) = (descr.to_owned(), D::NAME);
    Ok(Voxels { bytes, descr, name, datatype, shape: decoded.shape, affine: decoded.affine })
}

fn header(file: &VolumeFile, arguments: &Arguments, voxels: &Voxels, is_pair: bool) -> Result<Header> {
    let Some(datatype) = voxels.datatype else {
        bail!("NIfTI has no type {}: write it to .npy, or float32", arguments.r#type);
    };
    let stored = file.header();
    let version = match stored.version {
        _ if arguments.nifti2 => Version::Nifti2,
        Version::Analyze => Version::Nifti1,
        version => version,
    };
    let made = Header::new(version, datatype, &voxels.shape)?;
    let mut header = Header {
        version,
        is_pair,
        dim: made.dim,
        datatype: made.datatype,
        vox_offset: if is_pair { 0.0 } else { made.vox_offset },
        ..stored.clone()
    };
    // A long vector of FreeSurfer's, or an ANALYZE origin, has no place in the new header.
    if version != stored.version {
        (header.glmax, header.glmin) = (0, 0);
    }
    // A qform cannot follow a turn without rounding; the sform says all.
    if arguments.orient.is_some() || stored.version == Version::Analyze {
        header = Header { qform_code: 0, ..header.with_affine(&voxels.affine) };
    }
    Ok(match file.scale() {
        Some(scale) if !arguments.scaled => header.with_scale(scale.slope, scale.inter),
        _ => header.with_scale(0.0, 0.0),
    })
}
