//! `assay nifti phantom`: volumes to test with.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use nifti_decode::{Endian, Header, Kind, Orientation, Phantom, Version, Watch, write_watched};

use super::{
    options::{PackOptions, numbers, orientation},
    output::Target,
};
use crate::{print, progress::Progress};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// brain, ct, labels, fmri, zscored or tiny
    #[arg(value_parser = kind)]
    kind: Kind,
    /// The new file: .nii, .nii.gz, .hdr (with .img)
    output: PathBuf,
    /// Other extents: x,y,z or x,y,z,t
    #[arg(long)]
    shape: Option<String>,
    /// Seed of all that is random
    #[arg(long, default_value = "1")]
    seed: u64,
    /// Directions of the voxel axes
    #[arg(long, value_parser = orientation, default_value = "LPS")]
    orient: Orientation,
    /// Big-endian instead of little-endian
    #[arg(long)]
    big_endian: bool,
    /// NIfTI-2 instead of NIfTI-1
    #[arg(long)]
    nifti2: bool,
    #[command(flatten)]
    pack: PackOptions,
}

fn kind(text: &str) -> Result<Kind, String> {
    let names = || Kind::ALL.map(Kind::name).join(", ");
    Kind::from_name(text).ok_or_else(|| format!("{text:?} is none of {}", names()))
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let (is_packed, is_pair) = match Target::of(&arguments.output)? {
        Target::Single { is_packed } => (is_packed, false),
        Target::Pair { is_packed } => (is_packed, true),
        Target::Npy => bail!("{}: a phantom is written as .nii, .nii.gz or .hdr", arguments.output.display()),
    };
    let shape = arguments.shape.as_deref().map(numbers).transpose().map_err(anyhow::Error::msg)?;
    let phantom = Phantom::new(arguments.kind, shape.as_deref(), arguments.orient, arguments.seed)?;
    let version = if arguments.nifti2 { Version::Nifti2 } else { Version::Nifti1 };
    let header = Header {
        version,
        is_pair,
        endian: if arguments.big_endian { Endian::Big } else { Endian::Little },
        vox_offset: if is_pair { 0.0 } else { version.least_vox_offset() as f64 },
        ..phantom.header
    };
    let watch = Watch::new();
    let progress = Progress::watching("phantom", phantom.voxels.len() as u64, watch.clone());
    write_watched(&arguments.output, &header, &[], &phantom.voxels, arguments.pack.pack(is_packed), &watch)?;
    drop(progress);
    let packed = arguments.output.metadata().map_or(0, |metadata| metadata.len());
    let ratio = phantom.voxels.len() as f64 / packed.max(1) as f64;
    let out = arguments.output.display();
    print::lines([format!("{out}: {} bytes of voxels in {packed} bytes, ratio {ratio:.2}", phantom.voxels.len())])
}
