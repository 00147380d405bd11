//! `assay nifti convert`: a volume as another file.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use nifti_decode::{Decoder, Threads, Watch};

use super::{
    named, open,
    output::{ContentOptions, Target},
    voxel_bytes,
};
use crate::{print, progress::Progress};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The volume; `-` for stdin
    input: PathBuf,
    /// The new file: .nii, .nii.gz, .hdr (with .img), .npy (an array with the indices x, y, z, t, ..)
    output: PathBuf,
    #[command(flatten)]
    content: ContentOptions,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { input, output, content, json } = arguments;
    let target = Target::of(output)?;
    let file = open(input)?;
    let watch = Watch::new();
    // Once in, once out.
    let progress = Progress::watching("convert", 2 * voxel_bytes(&file), watch.clone());
    let mut decoder = Decoder::new().with_threads(Threads::available()).watched(watch.clone());
    let mut header = content.header(&file)?;
    if let Some(orientation) = content.orient {
        header = header.reoriented(orientation).map_err(|error| named(input, error))?;
    }
    let voxels = content.voxels(&file, &mut decoder, target, None, input)?;
    drop(decoder);
    let bytes = content.write(output, target, &voxels, (&header, file.extensions()), &watch)?;
    drop(progress);
    voxels.warn(output);
    if *json {
        return print::json(&voxels.json(input, output, bytes));
    }
    print::lines([format!("{}: {} {}, {bytes} bytes", output.display(), voxels.extents(), voxels.type_name())])
}
