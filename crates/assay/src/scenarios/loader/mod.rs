//! Loaders of volumes for training, from files to batches: the same samples by three loaders.
//!
//! A cell makes its files, proves the first samples pixel by pixel, and times a loader of its own in this process: from
//! the call to the first batch, then, once the batches that were filled ahead are taken, batch after batch. What is
//! drawn for the first samples is the output: all loaders must agree on it.

mod decoded;
mod program;
mod python;
mod report;
mod separate;
mod volumes;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::loader::{
    AsymmetricPatches, Batch, Builder, Cache, Files, Keep, Loader, OnFailure, Reference, Sampler, Schedule, Views,
};
use anyhow::{Context as _, Result, bail, ensure};
use record::{Direction, Proof, Unit, stats};
use scenario::{Cell, Measured, Unproved};

use super::Scenario;
use decoded::DecodedElsewhere;
use program::CHILDREN_PSS;
use separate::SeparatePasses;
use volumes::{ColdFiles, Data};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "loader",
    matrix: include_str!("../../../../../benches/scenarios/loader.toml"),
    run,
    report: report::report,
};

const SEED: u64 = 42;
/// Samples that are proved, and whose drawing is the output: those of the largest batch.
const PROVED: usize = 16;
/// Largest difference of a pixel, whose range is -1 to 1.
const TOLERANCE: f64 = 1e-4;
/// Samples that are taken from a volume of a pool that is replaced.
const VISITS: usize = 64;
/// Volumes of a pool, at most.
const SLOTS: usize = 16;
/// Turnovers of the pool that `fused` reaches.
const TURNOVERS: f64 = 3.0;
/// Fewest batches that are timed.
const FEWEST_BATCHES: u64 = 20;
/// Fewest batches whose waits have a 99th percentile.
const FOR_P99: usize = 1000;

fn run(cell: &Cell, unproved: Unproved) -> Result<Measured> {
    let patches = cell.parse::<usize>("patches")?;
    let separate = |has_statistics| SeparatePasses { patches, has_statistics };
    match cell.text("loader")? {
        "staged" => run_with(cell, unproved, &|| separate(false), Keep::F32),
        "seedlike" => run_with(cell, unproved, &|| separate(true), Keep::F32),
        "nibabel" | "monai" => {
            let data = Data::make(cell.text("data")?)?;
            let plan = Plan::of(cell, &data, Keep::Native)?;
            python::run(cell, unproved, &plan, &data.paths)
        }
        _ => run_with(cell, unproved, &|| AsymmetricPatches::new(patches), Keep::Native),
    }
}

fn run_with<S: Sampler<Label = Views>>(
    cell: &Cell,
    mut unproved: Unproved,
    sampler: &dyn Fn() -> S,
    keep: Keep,
) -> Result<Measured> {
    let data = Data::make(cell.text("data")?)?;
    let mut plan = Plan::of(cell, &data, keep)?;
    if let loader @ ("nifti_rs" | "medrs" | "nibabel_decode") = cell.text("loader")? {
        let elsewhere = DecodedElsewhere::new(loader, &plan.files)?;
        unproved.ran("decoder", &elsewhere.by);
        plan.elsewhere = Some(Arc::new(elsewhere));
    }
    let begin = || plan.builder()?.build::<f32, S>(sampler()).context("failed to start the loader");
    unproved.ran("files", data.paths.len()).ran("slots", plan.slots).ran("isa", machine::isa::Isa::best());
    let rss = match plan.elsewhere {
        None => "of one process, which has no children; its workers are threads",
        Some(_) => "of this process, with a copy of every volume, and all decoding processes, one for each file",
    };
    unproved.ran("peak_rss", rss);

    let proved = Proved::of(begin()?, &data.paths)?;
    let mut measured = unproved.prove(proved.proof.clone())?;

    measured.memory_from_here();
    let start = Instant::now();
    let mut loader = begin()?;
    let first = next(&mut loader)?;
    measured.seconds("ttfb_s", start.elapsed().as_secs_f64());
    let mut seen = Seen::default();
    seen.add(&first);
    drop(first);
    let mut warm_up = 1;
    while warm_up * plan.batch < plan.warm_up() {
        seen.add(&next(&mut loader)?);
        warm_up += 1;
    }
    measured.output(seen.drawn()?);
    ensure!(seen.pixels == proved.pixels, "the timed samples have other pixels than the proved ones");
    // What was filled while the last batches were looked at.
    for _ in 0..loader.ready() {
        next(&mut loader)?;
    }

    let timed = Timed::of(&mut loader, &plan)?;
    measured.memory_to_here();
    if let Some(bytes) = plan.elsewhere.as_ref().and_then(|elsewhere| elsewhere.pss_bytes()) {
        measured.bytes(CHILDREN_PSS, bytes);
    }
    timed.report(&mut measured, &plan);
    let counters = loader.counters();
    ensure!(counters.skipped.is_empty(), "files were skipped, the first one for: {}", counters.skipped[0].error);
    measured.bytes("volumes_peak_bytes", counters.peak_volume_bytes);
    measured.ran("warm_up_batches", warm_up).ran("timed_batches", timed.waits_s.len());
    if plan.is_cold_checked {
        measured.ran("cached_before", "at most 25 % of the file, by mincore, before every decode");
    }
    Ok(measured)
}

fn next<S: Sampler>(loader: &mut Loader<S, f32>) -> Result<Batch<f32, S::Label>> {
    Ok(loader.next().context("the stream ended")??)
}

/// What a cell asks for.
struct Plan {
    files: Files,
    /// What decodes, if we do not.
    elsewhere: Option<Arc<DecodedElsewhere>>,
    is_cold_checked: bool,
    cache: Cache,
    slots: usize,
    workers: usize,
    batch: usize,
    /// Timed at least so long.
    least: Duration,
    /// Timed at most so long.
    most: Duration,
    /// Turnovers that are waited for.
    turnovers: f64,
}

impl Plan {
    fn of(cell: &Cell, data: &Data, keep: Keep) -> Result<Self> {
        // Half the files, so that a replacement is another volume.
        let slots = data.paths.len().div_ceil(2).min(SLOTS);
        let (cache, is_cold_checked) = match cell.text("cache")? {
            "warm_fixed" => (Cache::Pool { slots, visits: usize::MAX }, false),
            "warm_pool" => (Cache::Pool { slots, visits: VISITS }, false),
            "cold_approx" => (Cache::Cold, false),
            "cold_fadvise" => (Cache::Cold, true),
            other => bail!("no loader for cache={other}"),
        };
        let is_replaced = matches!(cache, Cache::Pool { visits: VISITS, .. });
        let turnovers = if is_replaced && cell.text("loader")? == "fused" { TURNOVERS } else { 0.0 };
        let files = Files::new(&data.paths).keeping(keep);
        let [least, most] = if data.is_small { [0.3, 3.0] } else { [5.0, 60.0] }.map(Duration::from_secs_f64);
        let (workers, batch) = (cell.parse("workers")?, cell.parse("batch")?);
        let elsewhere = None;
        Ok(Self { files, elsewhere, is_cold_checked, cache, slots, workers, batch, least, most, turnovers })
    }

    fn builder(&self) -> Result<Builder> {
        let builder = match &self.elsewhere {
            Some(elsewhere) => Loader::builder(Arc::clone(elsewhere)),
            None if self.is_cold_checked => Loader::builder(ColdFiles::new(self.files.clone())?),
            None => Loader::builder(self.files.clone()),
        };
        let builder = builder.cache(self.cache).workers(self.workers).batch(self.batch);
        Ok(builder.seed(SEED).on_failure(OnFailure::Stop))
    }

    /// Which file every sample comes from.
    fn schedule(&self, files: usize) -> Schedule {
        let (slots, visits) = match self.cache {
            Cache::Pool { slots, visits } => (slots, visits),
            Cache::Cold => (1, 1),
        };
        Schedule::new(slots, visits, files, SEED, true)
    }

    /// Samples before the clock starts: the output, every volume of the pool, and all that is filled ahead, twice.
    fn warm_up(&self) -> usize {
        let pool = if self.cache == Cache::Cold { 0 } else { self.slots };
        (PROVED + pool).max(4 * self.workers * self.batch)
    }
}

/// The drawing and the pixels of the first samples.
#[derive(Default)]
struct Seen {
    samples: usize,
    drawn: Vec<u8>,
    pixels: u64,
}

impl Seen {
    fn add(&mut self, batch: &Batch<f32, Views>) {
        let size = batch.pixels().len() / batch.len();
        for (s, (views, file)) in batch.labels().iter().zip(batch.files()).enumerate() {
            self.add_one(*file, views, &batch.pixels()[s * size..][..size]);
        }
    }

    /// One more sample, if the first ones are not complete.
    fn add_one(&mut self, file: usize, views: &Views, pixels: &[f32]) {
        if self.samples < PROVED {
            self.samples += 1;
            self.drawn.extend((file as u64).to_le_bytes());
            // As f32: statistics of scaled voxels and scaled statistics may differ in the last bit of f64.
            let windows = views.windows.iter().flat_map(|window| [window.center, window.width]);
            let numbers = windows.chain(views.anchors.as_flattened().iter().copied()).chain(views.degrees);
            self.drawn.extend(numbers.flat_map(|number| (number as f32).to_le_bytes()));
            let points = views.points.iter().flatten().flatten();
            self.drawn.extend(points.flat_map(|number| number.to_le_bytes()));
            let pixels: Vec<u8> = pixels.iter().flat_map(|x| x.to_le_bytes()).collect();
            self.pixels = self.pixels.rotate_left(1) ^ op::fnv1a(&pixels);
        }
    }

    fn drawn(&self) -> Result<String> {
        ensure!(self.samples == PROVED, "{} samples were seen; need {PROVED}", self.samples);
        Ok(format!("{:016x}", op::fnv1a(&self.drawn)))
    }
}

/// The larger error. A NaN stays: it exceeds every tolerance.
fn worse(worst: f64, found: f32, expected: f64) -> f64 {
    let error = (f64::from(found) - expected).abs();
    if error > worst || error.is_nan() { error } else { worst }
}

/// The first samples, compared with the reference.
struct Proved {
    proof: Proof,
    pixels: u64,
}

impl Proved {
    fn of<S: Sampler<Label = Views>>(mut loader: Loader<S, f32>, paths: &[PathBuf]) -> Result<Self> {
        let mut references: Vec<Option<Reference>> = vec![None; paths.len()];
        let (mut seen, mut worst, mut checked) = (Seen::default(), 0.0_f64, 0);
        while seen.samples < PROVED {
            let batch = next(&mut loader)?;
            let size = batch.pixels().len() / batch.len();
            for (s, (views, &file)) in batch.labels().iter().zip(batch.files()).enumerate() {
                if references[file].is_none() {
                    references[file] = Some(Reference::open(&paths[file])?);
                }
                let expected = references[file].as_ref().map(|reference| reference.views(views)).unwrap_or_default();
                for (&found, &expected) in batch.pixels()[s * size..][..size].iter().zip(&expected) {
                    worst = worse(worst, found, expected);
                }
                checked += expected.len() as u64;
            }
            seen.add(&batch);
        }
        let input_hash = format!("{SEED:016x}");
        let output_hash = Some(seen.drawn()?);
        let error = worst.is_finite().then_some(worst);
        let proof = Proof::new("pixels against f64", error, TOLERANCE);
        Ok(Self { proof: Proof { checked, input_hash, output_hash, ..proof }, pixels: seen.pixels })
    }
}

/// The timed batches.
struct Timed {
    seconds: f64,
    waits_s: Vec<f64>,
    decoded_bytes: u64,
    volume_wait_s: f64,
    replacements: u64,
}

impl Timed {
    fn of<S: Sampler>(loader: &mut Loader<S, f32>, plan: &Plan) -> Result<Self> {
        let before = loader.counters();
        let begin = Instant::now();
        let (mut last, mut waits_s) = (begin, Vec::new());
        loop {
            drop(next(loader)?);
            let now = Instant::now();
            waits_s.push((now - last).as_secs_f64());
            last = now;
            let (elapsed, count) = (now - begin, waits_s.len());
            let turned = || loader.counters().replacements - before.replacements;
            let is_long = elapsed >= plan.least && count as u64 >= FEWEST_BATCHES;
            let is_enough = is_long && (plan.turnovers == 0.0 || turned() as f64 >= plan.turnovers * plan.slots as f64);
            if is_enough || elapsed >= plan.most {
                break;
            }
        }
        let after = loader.counters();
        Ok(Self {
            seconds: (last - begin).as_secs_f64(),
            waits_s,
            decoded_bytes: after.decoded_bytes - before.decoded_bytes,
            volume_wait_s: (after.volume_wait - before.volume_wait).as_secs_f64(),
            replacements: after.replacements - before.replacements,
        })
    }

    fn report(&self, measured: &mut Measured, plan: &Plan) {
        let samples = (self.waits_s.len() * plan.batch) as f64;
        measured.rate("samples_per_s", samples / self.seconds, Unit::ElementsPerSecond);
        measured.rate("decoded_bytes_per_s", self.decoded_bytes as f64 / self.seconds, Unit::BytesPerSecond);
        let mut sorted = self.waits_s.clone();
        sorted.sort_by(f64::total_cmp);
        if let Some(median) = stats::median(&self.waits_s) {
            measured.seconds("batch_p50_s", median);
        }
        if sorted.len() >= FOR_P99 {
            measured.seconds("batch_p99_s", sorted[sorted.len() * 99 / 100]);
        }
        measured.seconds("volume_wait_s", self.volume_wait_s);
        if plan.cache != Cache::Cold {
            let turnovers = self.replacements as f64 / plan.slots as f64;
            measured.metric("pool_turnovers", turnovers, Unit::Count, Direction::Neutral);
        }
    }
}
