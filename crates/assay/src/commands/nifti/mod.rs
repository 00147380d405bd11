//! `assay nifti`: the header of a volume, whether it is sound, its statistics, conversion, parts of it, and volumes to
//! test with.

mod check;
mod convert;
mod corpus;
mod index;
mod info;
mod input;
mod options;
mod output;
mod patch;
mod phantom;
mod prepare;
mod stats;
mod values;

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use nifti_decode::VolumeFile;

use crate::{print, progress::Progress};
use input::{is_stdin, name, named, open};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The whole header with names and units, orientation, packing, warnings; reads no voxel
    #[command(after_help = crate::EXIT_CODES)]
    Info(Files),
    /// Exact statistics of the scaled values
    #[command(after_help = crate::EXIT_CODES)]
    Stats(Files),
    /// Whether files are sound: header, extensions, every byte of the voxels, checksums; exit code 1 if one is not
    #[command(after_help = crate::EXIT_CODES)]
    Check(Files),
    /// A volume as another file: .nii, .nii.gz, .hdr with .img, .npy
    #[command(after_help = crate::EXIT_CODES)]
    Convert(convert::Arguments),
    /// A part of a volume as another file
    #[command(after_help = crate::EXIT_CODES)]
    Patch(patch::Arguments),
    /// A volume as a training loop wants it: spacing, clip, z-score, foreground, padding; axes in the order RAS
    #[command(after_help = crate::EXIT_CODES)]
    Prepare(prepare::Arguments),
    /// An index of access points, so that parts of a .nii.gz are read without what lies before them
    #[command(after_help = crate::EXIT_CODES)]
    Index(index::Arguments),
    /// A volume to test with: seeded, as large and as compressible as a real one
    #[command(after_help = crate::EXIT_CODES)]
    Phantom(phantom::Arguments),
    /// A small file of every type, order, version and packing, each with its voxels as .npy, to test readers with
    #[command(after_help = crate::EXIT_CODES)]
    Corpus(corpus::Arguments),
}

/// Files to read.
#[derive(Debug, Args)]
pub(crate) struct Files {
    /// .nii, .nii.gz, or either file of a .hdr and .img pair; `-` for stdin, of which a copy is kept in a temporary
    /// file without a name (at most 64 GiB)
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

impl Files {
    /// Bytes of all voxels, for progress. Of files that cannot be opened, nothing is read; stdin can be opened once
    /// only.
    fn voxel_bytes(&self) -> u64 {
        let files = self.files.iter().filter(|path| !is_stdin(path));
        files.filter_map(|path| open(path).ok()).map(|file| voxel_bytes(&file)).sum()
    }
}

pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Info(files) => info::run(files),
        Command::Stats(files) => stats::run(files),
        Command::Check(files) => check::run(files),
        Command::Convert(arguments) => convert::run(arguments),
        Command::Patch(arguments) => patch::run(arguments),
        Command::Prepare(arguments) => prepare::run(arguments),
        Command::Index(arguments) => index::run(arguments),
        Command::Phantom(arguments) => phantom::run(arguments),
        Command::Corpus(arguments) => corpus::run(arguments),
    }
}

/// Buffers of this size are made anew for the next file: the system then says how far they are filled, so that progress
/// moves.
const LARGE: usize = 256 << 20;

/// Bytes of a volume's voxels as they are stored.
fn voxel_bytes(file: &VolumeFile) -> u64 {
    (file.voxels() * file.datatype().bytes()) as u64
}

/// Runs `each` on every file, whatever becomes of the others. Where there are several, an error is printed when it
/// occurs, and the last one counts them.
fn for_all(files: &[PathBuf], progress: Option<&Progress>, mut each: impl FnMut(&Path) -> Result<()>) -> Result<()> {
    let mut n_failed = 0;
    for path in files {
        match each(path) {
            Ok(()) => {}
            Err(error) if files.len() == 1 => return Err(error),
            Err(error) => {
                n_failed += 1;
                match progress {
                    Some(progress) => progress.aside(|| print::error(&error)),
                    None => print::error(&error),
                }
            }
        }
    }
    match n_failed {
        0 => Ok(()),
        n => Err(anyhow!("{n} of {} files failed", files.len())),
    }
}

/// Bytes of a file that was just written.
fn file_bytes(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}
