//! `assay nifti patch`: a part of a volume.

use std::{fs, path::PathBuf, sync::Arc};

use anyhow::{Context, Result, bail};
use clap::Args;
use nifti_decode::{Decoder, Index, Plan, VolumeFile};
use serde_json::json;

use super::{Target, file_bytes, npy, open, options::region};
use crate::print;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The volume
    input: PathBuf,
    /// Voxels, in the file's order of axes: x0:x1,y0:y1,z0:z1 (`:` for a whole axis)
    #[arg(long)]
    region: String,
    /// The new file, .npy: scaled values as float32
    #[arg(long)]
    out: PathBuf,
    /// An index made by `assay nifti index`
    #[arg(long)]
    index: Option<PathBuf>,
    /// A directory with unpacked copies: the volume's is made there the first time, and read from then on
    #[arg(long, conflicts_with = "index")]
    cache: Option<PathBuf>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    if Target::of(&arguments.out)? != Target::Npy {
        bail!("{}: a patch is written as .npy", arguments.out.display());
    }
    let mut decoder = Decoder::new();
    let file = reached(arguments, &mut decoder)?;
    let ranges = region(&arguments.region, file.shape())?;
    let patch = file
        .read_region::<f32>(&mut decoder, &ranges, &Plan::scaled())
        .with_context(|| arguments.input.display().to_string())?;
    let decoded = patch.decoded();
    npy::write(&arguments.out, "'<f4'", &decoded.shape, nifti_decode::bytes_of(patch.voxels()))?;
    if arguments.json {
        return print::json(&json!({
            "file": arguments.input.display().to_string(),
            "out": arguments.out.display().to_string(),
            "bytes": file_bytes(&arguments.out),
            "datatype": "float32",
            "shape": decoded.shape,
            "affine": decoded.affine,
            "way": decoded.access.name(),
        }));
    }
    let shape = decoded.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
    print::lines([format!("{}: {shape} voxels, reached by: {}", arguments.out.display(), decoded.access.name())])
}

/// The volume, by the way that was asked for.
fn reached(arguments: &Arguments, decoder: &mut Decoder) -> Result<VolumeFile> {
    let file = open(&arguments.input)?;
    if let Some(directory) = &arguments.cache {
        let copy = file.cached(decoder, directory).with_context(|| arguments.input.display().to_string())?;
        return open(&copy);
    }
    let Some(path) = &arguments.index else { return Ok(file) };
    let bytes = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let index = Index::parse(&bytes).with_context(|| path.display().to_string())?;
    file.with_index(Arc::new(index)).with_context(|| path.display().to_string())
}
