//! `assay nifti`: what is in a volume, whether it is sound, its statistics, parts of it, and volumes to test with.

mod check;
mod convert;
mod corpus;
mod index;
mod info;
mod npy;
mod options;
mod patch;
mod phantom;
mod stats;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use nifti_decode::VolumeFile;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Header, type, extents, orientation and packing; reads no voxel
    Info(Files),
    /// Exact statistics of the scaled values
    Stats(Files),
    /// Whether files are sound: header, extensions, every byte of the voxels, checksums; exit code 1 if one is not
    Check(Files),
    /// A volume as another file: .nii, .nii.gz, .hdr with .img, .npy
    Convert(convert::Arguments),
    /// A part of a volume as .npy
    Patch(patch::Arguments),
    /// An index of access points, so that parts of a .nii.gz are read without what lies before them
    Index(index::Arguments),
    /// A volume to test with: seeded, as large and as compressible as a real one
    Phantom(phantom::Arguments),
    /// A small file of every type, order, version and packing, each with its voxels as .npy, to test readers with
    Corpus(corpus::Arguments),
}

/// Files to read.
#[derive(Debug, Args)]
pub(crate) struct Files {
    /// .nii, .nii.gz, or either file of a .hdr and .img pair
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Info(files) => info::run(files),
        Command::Stats(files) => stats::run(files),
        Command::Check(files) => check::run(files),
        Command::Convert(arguments) => convert::run(arguments),
        Command::Patch(arguments) => patch::run(arguments),
        Command::Index(arguments) => index::run(arguments),
        Command::Phantom(arguments) => phantom::run(arguments),
        Command::Corpus(arguments) => corpus::run(arguments),
    }
}

/// Buffers of this size are made anew for the next file: the system then says how far they are filled, so that progress moves.
const LARGE: usize = 256 << 20;

/// Opens a file; an error says which.
fn open(path: &Path) -> Result<VolumeFile> {
    VolumeFile::open(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// Bytes of a volume's voxels as they are stored.
fn voxel_bytes(file: &VolumeFile) -> u64 {
    (file.voxels() * file.datatype().bytes()) as u64
}

/// Runs `each` on every file, whatever becomes of the others, and fails if one did.
fn for_all<T>(files: &[PathBuf], mut each: impl FnMut(&Path) -> Result<T>) -> Result<Vec<T>> {
    let mut done = Vec::new();
    let mut failed = Vec::new();
    for path in files {
        match each(path) {
            Ok(value) => done.push(value),
            Err(error) => failed.push(error),
        }
    }
    let n_failed = failed.len();
    match failed.into_iter().next() {
        None => Ok(done),
        Some(first) if n_failed == 1 => Err(first),
        Some(first) => Err(first.context(format!("{n_failed} of {} files failed; the first:", files.len()))),
    }
}

/// Bytes of a file that was just written.
fn file_bytes(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

/// The kind of file that a name asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// A single NIfTI file; packed or not.
    Single { is_packed: bool },
    /// Header and image; packed or not.
    Pair { is_packed: bool },
    /// NumPy's array file.
    Npy,
}

impl Target {
    fn of(path: &Path) -> Result<Self> {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let (bare, is_packed) = name.strip_suffix(".gz").map_or((&*name, false), |bare| (bare, true));
        match bare.rsplit_once('.').map(|(_, extension)| extension) {
            Some("nii") => Ok(Self::Single { is_packed }),
            Some("hdr") => Ok(Self::Pair { is_packed }),
            Some("npy") if !is_packed => Ok(Self::Npy),
            _ => bail!("{}: the name has to end in .nii, .nii.gz, .hdr, .hdr.gz or .npy", path.display()),
        }
    }
}
