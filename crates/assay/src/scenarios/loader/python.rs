//! The loader that this scenario goes back to, in NumPy and nibabel: `peers/python/loader_peer.py`, one process.
//!
//! What is random is drawn here, for as many samples as are proved, and given to it; it goes through them again and
//! again. It computes the statistics of the whole volume for every sample, as the original does.

use std::path::PathBuf;

use ::loader::{AsymmetricPatches, Files, Memory, Reference, Source as _, Views, random};
use anyhow::{Context as _, Result, ensure};
use nifti_decode::Decoder;
use record::{Proof, Unit};
use scenario::{Cell, Measured, Unproved};
use serde_json::json;

use super::{
    PROVED, Plan, SEED, Seen, TOLERANCE,
    program::{CHILDREN_PSS, Program},
    worse,
};

/// Samples that are drawn, and whose files are in the pool.
struct Drawn {
    samples: Vec<(usize, Views)>,
}

impl Drawn {
    fn new(plan: &Plan, paths: &[PathBuf], patches: usize) -> Result<Self> {
        let (files, mut decoder) = (Files::new(paths), Decoder::new());
        let schedule = plan.schedule(paths.len());
        let samples = (0..PROVED as u64).map(|i| {
            let file = schedule.file_of(schedule.load_of(i));
            let volume = files.load(file, Memory::default(), &mut decoder)?;
            let mut views = Views::default();
            AsymmetricPatches::new(patches).draw(&volume, &mut random(SEED, i), &mut views);
            Ok((file, views))
        });
        Ok(Self { samples: samples.collect::<Result<_>>()? })
    }

    /// A row of f64 for each sample: file, windows, anchors, rotation, points.
    fn bytes(&self) -> Vec<u8> {
        let row = |(file, views): &(usize, Views)| {
            let windows = views.windows.iter().flat_map(|window| [window.center, window.width]);
            let places = views.anchors.as_flattened().iter().chain(views.rotation.as_flattened()).copied();
            let points = views.points.iter().flatten().flatten().map(|&x| f64::from(x));
            let numbers: Vec<f64> = std::iter::once(*file as f64).chain(windows).chain(places).chain(points).collect();
            numbers
        };
        self.samples.iter().flat_map(row).flat_map(f64::to_le_bytes).collect()
    }

    /// Compares pixels with the reference.
    fn prove(&self, pixels: &[f32], paths: &[PathBuf]) -> Result<(Proof, String)> {
        let (mut worst, mut seen) = (0.0, Seen::default());
        let size = pixels.len() / self.samples.len();
        for ((file, views), found) in self.samples.iter().zip(pixels.chunks_exact(size)) {
            let expected = Reference::open(&paths[*file])?.views(views);
            ensure!(expected.len() == size, "{size} pixels, not {}", expected.len());
            worst = found.iter().zip(&expected).fold(worst, |worst, (&found, &expected)| worse(worst, found, expected));
            seen.add_one(*file, views, found);
        }
        let drawn = seen.drawn()?;
        let proof = Proof::new("pixels against f64", worst.is_finite().then_some(worst), TOLERANCE);
        let checked = pixels.len() as u64;
        let (input_hash, output_hash) = (format!("{SEED:016x}"), Some(drawn.clone()));
        Ok((Proof { checked, input_hash, output_hash, ..proof }, drawn))
    }
}

pub(super) fn run(cell: &Cell, mut unproved: Unproved, plan: &Plan, paths: &[PathBuf]) -> Result<Measured> {
    let patches = cell.parse::<usize>("patches")?;
    let drawn = Drawn::new(plan, paths, patches)?;
    let inputs = tempfile::tempdir()?;
    std::fs::write(inputs.path().join("samples"), drawn.bytes())?;
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    std::fs::write(inputs.path().join("files"), names.join("\n"))?;
    let words = &[".venv/nifti-decode/bin/python", "loader_peer.py"];
    let mut program = Program::start("peers/python", words, "`cargo xtask agree nifti-decode` installs it")?;
    unproved.ran("loader", program.describe()?).ran("files", paths.len());
    let is_cold = cell.text("cache")? == "cold_approx";
    let output = inputs.path().join("output");
    let params = json!({ "patches": patches, "cache": if is_cold { "cold" } else { "warm" } });
    let load = json!({ "do": "load", "case": "sample", "params": params, "inputs": inputs.path(), "output": output });
    let about = program.accepted(&load)?;
    let (proof, hash) = drawn.prove(&peer::read_f32(&output)?, paths)?;
    let mut measured = unproved.prove(proof)?;
    measured.output(hash);
    measured.seconds("ttfb_s", about["prepare_s"].as_f64().context("it does not say when its first sample was there")?);
    let (samples, seconds) = program.time(plan.least.as_secs_f64())?;
    measured.rate("samples_per_s", samples as f64 / seconds, Unit::ElementsPerSecond);
    measured.ran("timed_batches", samples);
    if let Some(bytes) = program.pss_bytes() {
        measured.bytes(CHILDREN_PSS, bytes);
    }
    Ok(measured)
}
