//! Volumes that other people's code decodes, for our pool and our sampler.
//!
//! A program under `peers/` has one process for each file, which decodes it once for every load and keeps the result.
//! That result was compared with ours before, so no voxels travel: a load is a decode there, then a copy of our volume
//! of the same values. Reorientation and statistics cost those programs nothing.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ::loader::{Files, Keep, LoaderError, Memory, Source, Volume};
use anyhow::{Context as _, Result, ensure};
use nifti_decode::{Decoder, Plan, VolumeFile};
use serde_json::json;

use super::program::Program;

/// Largest difference of a voxel: peers round a product and a sum separately.
const TOLERANCE: f64 = 1e-6;

pub(super) struct DecodedElsewhere {
    files: Vec<File>,
    /// What decodes.
    pub(super) by: String,
}

struct File {
    /// As our decoder gives it.
    volume: Volume,
    program: Mutex<Program>,
    _directory: tempfile::TempDir,
}

/// The program of a loader: directory, command, how it is built, and whether it reorients.
fn command(loader: &str) -> (&'static str, &'static [&'static str], &'static str, &'static str) {
    const BUILD: &str = "build it by `cargo build --release --locked` there";
    match loader {
        "nifti_rs" => ("peers/nifti-rs", &["target/release/nifti-rs"], BUILD, "f32"),
        "medrs" => ("peers/medrs", &["target/release/medrs-peer"], BUILD, "f32"),
        _ => {
            let python = &[".venv/nifti-decode/bin/python", "nibabel_peer.py", "nibabel"];
            ("peers/python", python, "`cargo xtask agree nifti-decode` installs it", "ras")
        }
    }
}

impl DecodedElsewhere {
    pub(super) fn new(loader: &str, files: &Files) -> Result<Self> {
        let (directory, words, how, make) = command(loader);
        let mut decoder = Decoder::new();
        let mut by = String::new();
        let kept = files.clone().keeping(Keep::Native);
        let files = files.items().iter().enumerate().map(|(number, item)| {
            let mut program = Program::start(directory, words, how)?;
            by = program.describe()?;
            let inputs = tempfile::tempdir()?;
            let image = item.image.canonicalize()?;
            let is_packed = image.extension().is_some_and(|extension| extension == "gz");
            link(&image, &inputs.path().join(if is_packed { "v.nii.gz" } else { "v.nii" }))?;
            let [x, y, z] = shape(&image)?;
            let pack = if is_packed { "gzip" } else { "plain" };
            let params = json!({ "make": make, "pack": pack, "x": x, "y": y, "z": z, "endian": "little", "scale": 0 });
            let output = inputs.path().join("output");
            let load =
                json!({ "do": "load", "case": "v", "params": params, "inputs": inputs.path(), "output": output });
            program.accepted(&load)?;
            check(&image, &output, make == "ras", &mut decoder).with_context(|| image.display().to_string())?;
            std::fs::remove_file(&output)?;
            let volume = kept.load(number, Memory::default(), &mut decoder)?;
            Ok(File { volume, program: Mutex::new(program), _directory: inputs })
        });
        let files = files.collect::<Result<Vec<_>>>()?;
        Ok(Self { files, by })
    }
}

impl DecodedElsewhere {
    /// Memory of all programs; `None` where the system does not say.
    pub(super) fn pss_bytes(&self) -> Option<u64> {
        let of = |file: &File| file.program.lock().unwrap_or_else(PoisonError::into_inner).pss_bytes();
        self.files.iter().map(of).sum()
    }
}

#[cfg(unix)]
fn link(file: &Path, at: &Path) -> Result<()> {
    std::os::unix::fs::symlink(file, at).with_context(|| format!("failed to link {}", at.display()))
}

#[cfg(not(unix))]
fn link(file: &Path, at: &Path) -> Result<()> {
    std::fs::copy(file, at).map(drop).with_context(|| format!("failed to copy {}", file.display()))
}

fn shape(image: &Path) -> Result<[usize; 3]> {
    let file = VolumeFile::open(image)?;
    Ok([0, 1, 2].map(|axis| file.shape().get(axis).copied().unwrap_or(1)))
}

/// Compares what a program decoded with what ours does.
fn check(image: &Path, output: &Path, is_oriented: bool, decoder: &mut Decoder) -> Result<()> {
    let found = peer::read_f32(output)?;
    let plan = Plan::scaled();
    let plan = if is_oriented { plan.oriented(nifti_decode::Orientation::RAS) } else { plan };
    let expected = VolumeFile::open(image)?.decode::<f32>(decoder, &plan)?.into_voxels();
    ensure!(found.len() == expected.len(), "{} voxels, ours {}", found.len(), expected.len());
    let differs = |(a, b): (&f32, &f32)| {
        let (a, b) = (f64::from(*a), f64::from(*b));
        let is_near = (a - b).abs() <= TOLERANCE * b.abs().max(1.0);
        !is_near
    };
    let wrong = found.iter().zip(&expected).filter(|pair| differs(*pair)).count();
    ensure!(wrong == 0, "{wrong} voxels differ from ours");
    Ok(())
}

impl Source for DecodedElsewhere {
    fn len(&self) -> usize {
        self.files.len()
    }

    /// # Panics
    /// Where the program is gone: the cell would not measure what it says.
    fn load(&self, number: usize, memory: Memory, _: &mut Decoder) -> Result<Volume, LoaderError> {
        let file = &self.files[number];
        let mut program = file.program.lock().unwrap_or_else(PoisonError::into_inner);
        program.time(0.0).unwrap_or_else(|error| panic!("{error:#}"));
        Ok(file.volume.copied(memory))
    }
}
