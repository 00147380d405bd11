//! Loaders in Python, each a process: the one that this scenario goes back to, in NumPy and nibabel
//! (`peers/python/loader_peer.py`), and MONAI's (`loader_monai.py`).
//!
//! What is random is drawn here, for as many samples as are proved, and given to them; they go through them again and
//! again. The first computes the statistics of the whole volume for every sample, as the original does; MONAI's cache
//! keeps them with a volume.

use std::path::PathBuf;

use ::loader::{AsymmetricPatches, Files, Memory, Reference, Source as _, Views, random};
use anyhow::{Context as _, Result, bail, ensure};
use nifti_decode::Decoder;
use record::{Proof, Unit};
use scenario::{Cell, Measured, Unproved};
use serde_json::json;

use super::{
    FEWEST_BATCHES, PROVED, Plan, SEED, Seen, TOLERANCE,
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

/// The environment that runs it, and the program.
fn command(loader: &str) -> [&'static str; 2] {
    match loader {
        "monai" => [".venv/monai/bin/python", "loader_monai.py"],
        _ => [".venv/nifti-decode/bin/python", "loader_peer.py"],
    }
}

pub(super) fn run(cell: &Cell, mut unproved: Unproved, plan: &Plan, paths: &[PathBuf]) -> Result<Measured> {
    let patches = cell.parse::<usize>("patches")?;
    let cache = match cell.text("cache")? {
        "warm_fixed" => "warm",
        "cold_approx" => "cold",
        other => bail!("no loader in Python has cache={other}; there are warm_fixed and cold_approx"),
    };
    let loader = cell.text("loader")?;
    let (workers, batch) = if loader == "monai" { (plan.workers, plan.batch) } else { (0, 1) };
    ensure!((workers, batch) == (plan.workers, plan.batch), "{loader} has no workers and makes batches of 1");
    let drawn = Drawn::new(plan, paths, patches)?;
    let inputs = tempfile::tempdir()?;
    std::fs::write(inputs.path().join("samples"), drawn.bytes())?;
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    std::fs::write(inputs.path().join("files"), names.join("\n"))?;
    let mut program = Program::start("peers/python", &command(loader), "`cargo xtask agree nifti-decode` installs it")?;
    unproved.ran("loader", program.describe()?).ran("files", paths.len());
    let output = inputs.path().join("output");
    let params = json!({ "patches": patches, "cache": cache, "workers": workers, "batch": batch });
    let load = json!({ "do": "load", "case": "sample", "params": params, "inputs": inputs.path(), "output": output });
    let about = program.accepted(&load)?;
    let (proof, hash) = drawn.prove(&peer::read_f32(&output)?, paths)?;
    let mut measured = unproved.prove(proof)?;
    measured.output(hash);
    measured.seconds("ttfb_s", about["prepare_s"].as_f64().context("it does not say when its first sample was there")?);
    // What was made ahead meanwhile, as many batches as MONAI's workers do, is taken.
    for _ in 0..=2 * workers {
        program.time(0.0)?;
    }
    let (mut batches, mut seconds) = (0, 0.0);
    while seconds < plan.least.as_secs_f64() || (batches < FEWEST_BATCHES && seconds < plan.most.as_secs_f64()) {
        let (more, took) = program.time((plan.least.as_secs_f64() - seconds).max(0.0))?;
        (batches, seconds) = (batches + more, seconds + took);
    }
    measured.rate("samples_per_s", (batches * batch as u64) as f64 / seconds, Unit::ElementsPerSecond);
    measured.ran("timed_batches", batches);
    if let Some(bytes) = program.pss_bytes() {
        measured.bytes(CHILDREN_PSS, bytes);
    }
    Ok(measured)
}
