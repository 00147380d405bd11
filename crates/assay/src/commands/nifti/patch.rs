//! `assay nifti patch`: a part of a volume.

use std::{path::PathBuf, sync::Arc};

use anyhow::Result;
use clap::Args;
use nifti_decode::{Decoder, Index, VolumeFile, Watch};
use serde_json::json;

use super::{
    input, named, open,
    options::region,
    output::{ContentOptions, Target},
    voxel_bytes,
};
use crate::{print, progress::Progress};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The volume; `-` for stdin
    input: PathBuf,
    /// Voxels, in the file's order of axes: x0:x1,y0:y1,z0:z1 (`:` for a whole axis)
    #[arg(long)]
    region: String,
    /// The new file: .npy, .nii, .nii.gz, .hdr (with .img). A NIfTI file lies where the region lies in the volume
    #[arg(long)]
    out: PathBuf,
    /// An index made by `assay nifti index`
    #[arg(long)]
    index: Option<PathBuf>,
    /// A directory with unpacked copies: the volume's is made there the first time, and read from then on
    #[arg(long, conflicts_with = "index")]
    cache: Option<PathBuf>,
    #[command(flatten)]
    content: ContentOptions,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { input, out, content, .. } = arguments;
    let target = Target::of(out)?;
    let watch = Watch::new();
    let mut decoder = Decoder::new().watched(watch.clone());
    let volume = open(input)?;
    let progress = Progress::watching("patch", voxel_bytes(&volume), watch.clone());
    let file = accessed(arguments, volume, &mut decoder)?;
    let ranges = region(&arguments.region, file.shape())?;
    let mut header = content.header(&file)?.cropped(&ranges).map_err(|error| named(input, error))?;
    if let Some(orientation) = content.orient {
        header = header.reoriented(orientation).map_err(|error| named(input, error))?;
    }
    let voxels = content.voxels(&file, &mut decoder, target, Some(&ranges), input)?;
    // Extensions may speak of the whole volume; a part of one has none.
    let bytes = content.write(out, target, &voxels, (&header, &[]), &watch)?;
    drop(progress);
    voxels.warn(out);
    if arguments.json {
        let mut value = voxels.json(input, out, bytes);
        value["way"] = json!(voxels.access);
        return print::json(&value);
    }
    let (extents, name, access) = (voxels.extents(), voxels.type_name(), voxels.access);
    print::lines([format!("{}: {extents} {name}, reached by: {access}", out.display())])
}

/// The volume, by the access that was asked for.
fn accessed(arguments: &Arguments, file: VolumeFile, decoder: &mut Decoder) -> Result<VolumeFile> {
    if let Some(directory) = &arguments.cache {
        let copy = file.cached(decoder, directory).map_err(|error| named(&arguments.input, error))?;
        return open(&copy);
    }
    let Some(path) = &arguments.index else { return Ok(file) };
    let index = Index::parse(&input::read(path)?).map_err(|error| named(path, error))?;
    file.with_index(Arc::new(index)).map_err(|error| named(path, error))
}
