//! Memory and time of a VGGT-like aggregator over several images, with all outputs kept and with only what its heads
//! read.
//!
//! A cell is one variant on one input in a process of its own, so that nothing of another variant is alive while its
//! memory is measured. It proves a short model with its dimensions and weights against the definition in f64, then runs
//! the whole model. A run ends with what the depth head reads: outputs that were kept as they are, are projected then,
//! eight images at a time as VGGT's head does. After each run, only weights and workspace may be left on the heap.

mod cases;
mod report;

use std::time::Instant;

use ::multiview::{
    Aggregator, CAPTURES, Config, Keep, Kept, Memory, Seeded, Shape, Threads, Workspace, image, reference,
};
use anyhow::{Context as _, Result, ensure};
use machine::heap::Meter;
use op::random::SplitMix64;
use record::{Direction, Proof, Unit};
use scenario::{Bursts, Cell, Measured, PEAK_HEAP, Unproved};

use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "multiview",
    matrix: include_str!("../../../../../benches/scenarios/multiview.toml"),
    run,
    report: report::report,
};

/// Images that the depth head takes at a time.
const HEAD_IMAGES: usize = 8;
/// Of the images.
const IMAGE_SEED: u64 = 11;
/// Relative error of the proof, as a norm.
const TOLERANCE: f64 = 1e-4;
/// Of the peak, between the model of memory and the meter.
const MODEL_TOLERANCE: f64 = 0.05;
/// What the pool of threads may hold more or less after a run.
const LEFT_BYTES: usize = 16 << 10;

fn run(cell: &Cell, mut unproved: Unproved) -> Result<Measured> {
    let (config, shape, keep) = (cases::config(cell)?, cases::shape(cell.text("case")?)?, cases::keep(cell)?);
    let seed: u64 = cell.parse("seed")?;
    let threads = Threads::available();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.get()).use_current_thread();
    // A test runs several cells in one process, which has one pool.
    let _ = pool.build_global();
    unproved.ran("threads", threads).ran("keep", keep);
    let proof = proof(&config, seed, threads)?;
    let mut measured = unproved.prove(proof)?;

    let model = Aggregator::new(&config, &Seeded(seed))?;
    let mut workspace = model.workspace(&shape, threads)?;
    let flops = Aggregator::flops(&config, &shape, keep);
    let (warm_up, iterations) = match flops {
        0.0..2e10 => (2, 5),
        2e10..2e11 => (1, 3),
        _ => (0, 1),
    };
    for _ in 0..warm_up {
        once(&model, keep, &mut workspace)?;
    }
    let mut ceiling = Bursts::multiply_add(simd::InstructionSet::best().isa(), threads.get());
    let has_ceiling = ceiling.burst().is_ok();
    measured.memory_from_here();
    let meter = Meter::find().context("the heap is not metered")?;
    let mut seconds = Vec::new();
    let mut last = None;
    for _ in 0..iterations {
        // What the run before kept is gone before this one begins.
        drop(last.take());
        let before = meter.live_bytes();
        let begin = Instant::now();
        let run = once(&model, keep, &mut workspace)?;
        seconds.push(begin.elapsed().as_secs_f64());
        only_kept_is_left(before, meter.live_bytes(), run.kept.bytes() + run.allowed)?;
        last = Some(run);
    }
    let peak = meter.peak_bytes();
    measured.memory_to_here();
    let run = last.context("there was no run")?;
    figures(&mut measured, &model, (&shape, keep, threads), &run.kept, peak)?;
    measured.iterations("run_s", &seconds, warm_up).ran("result", result_hash(&model, &run.kept, &mut workspace)?);
    let median = record::stats::median(&seconds).context("there was no run")?;
    let frames = shape.images() as f64 / median;
    measured.rate("frames_per_s", frames, Unit::ElementsPerSecond);
    if has_ceiling
        && ceiling.burst().is_ok()
        && let Some(sample) = ceiling.sample()
    {
        measured.rate_under("flop_per_s", flops / median, sample);
    }
    Ok(measured)
}

/// What a run left.
struct Run {
    kept: Kept,
    /// What a workspace may have grown by: its products pack operands for the first time.
    allowed: usize,
}

/// From images to what the depth head reads.
fn once(model: &Aggregator, keep: Keep, workspace: &mut Workspace) -> Result<Run> {
    let before = workspace.bytes();
    let kept = model.run(|index, values| image(IMAGE_SEED, index, values), keep, workspace)?;
    if !keep.is_projected() {
        head_inputs(model, &kept, workspace, |_| ())?;
    }
    Ok(Run { kept, allowed: workspace.bytes() - before })
}

/// Calls `read` with everything that the depth head reads, some images at a time.
fn head_inputs(model: &Aggregator, kept: &Kept, workspace: &mut Workspace, mut read: impl FnMut(&[f32])) -> Result<()> {
    let shape = *kept.shape();
    let widest = model.config().channels.into_iter().max().unwrap_or(0);
    let mut out = vec![0.0; HEAD_IMAGES.min(shape.images()) * shape.patches() * widest];
    for first in (0..shape.images()).step_by(HEAD_IMAGES) {
        let images = first..shape.images().min(first + HEAD_IMAGES);
        for index in 0..CAPTURES {
            let out = &mut out[..images.len() * shape.patches() * model.config().channels[index]];
            model.head_input(kept, index, images.clone(), out, workspace)?;
            read(out);
        }
    }
    Ok(())
}

/// A hash of everything that the heads read: equal for all that is kept in f32.
fn result_hash(model: &Aggregator, kept: &Kept, workspace: &mut Workspace) -> Result<String> {
    let mut hash = 0_u64;
    let mut add = |values: &[f32]| {
        for value in values {
            hash = SplitMix64::new(hash ^ u64::from(value.to_bits())).bits();
        }
    };
    head_inputs(model, kept, workspace, &mut add)?;
    kept.camera_tokens().for_each(&mut add);
    Ok(format!("{hash:016x}"))
}

/// The leak canary: an error if a run left more on the heap than what it was to keep.
fn only_kept_is_left(before: usize, after: usize, kept: usize) -> Result<()> {
    let (expected, left) = (before + kept, after);
    ensure!(
        left.abs_diff(expected) <= LEFT_BYTES,
        "{left} bytes are on the heap after a run, {expected} were expected: something else is kept, or less"
    );
    Ok(())
}

/// Bytes by what they are for, and the model of memory beside the meter.
fn figures(
    measured: &mut Measured,
    model: &Aggregator,
    (shape, keep, threads): (&Shape, Keep, Threads),
    kept: &Kept,
    peak: usize,
) -> Result<()> {
    let predicted = Memory::predict(model.config(), shape, keep, threads)?;
    let (weights, kept) = (model.bytes(), kept.bytes());
    let transient = peak.saturating_sub(weights + kept);
    for (name, bytes) in [
        ("weights_bytes", weights),
        ("kept_bytes", kept),
        ("transient_bytes", transient),
        ("predicted_peak_bytes", predicted.peak()),
    ] {
        measured.bytes(name, bytes as u64);
    }
    let parts = [
        ("keys and values", predicted.keys_values),
        ("tokens", predicted.tokens),
        ("scratch", predicted.scratch),
        ("image", predicted.image),
    ];
    if let Some((name, _)) = parts.into_iter().max_by_key(|(_, bytes)| *bytes) {
        measured.ran("largest_transient", name);
    }
    let error = predicted.peak() as f64 / peak as f64 - 1.0;
    measured.metric("model_error_ratio", error.abs(), Unit::Ratio, Direction::LowerIsBetter);
    // False for NaN, too.
    let holds = error.abs() <= MODEL_TOLERANCE;
    ensure!(holds, "{PEAK_HEAP} is {peak}, but the model of memory says {}", predicted.peak());
    Ok(())
}

/// The first four layers of the model, on small images, against the definition in f64.
fn proof(config: &Config, seed: u64, threads: Threads) -> Result<Proof> {
    let short = Config { depth: CAPTURES, captured: [0, 1, 2, 3], ..*config };
    // The definition takes a second for real dimensions, the run then minutes.
    let shape = if config.embed_dim > Config::TOY.embed_dim { Shape::square(2, 14) } else { Shape::square(2, 28) };
    let model = Aggregator::new(&short, &Seeded(seed))?;
    let kept = model.run(
        |index, values| image(IMAGE_SEED, index, values),
        Keep::All,
        &mut model.workspace(&shape, threads)?,
    )?;
    let images: Vec<Vec<f32>> = (0..shape.images())
        .map(|index| {
            let mut values = vec![0.0; shape.image_values()];
            image(IMAGE_SEED, index, &mut values);
            values
        })
        .collect();
    let expected = reference::Model::new(&short, &Seeded(seed))?.outputs(&shape, &images);
    let (mut worst, mut checked) = (0.0_f64, 0);
    for (layer, expected) in expected.iter().enumerate() {
        let got = kept.output(layer).context("all outputs are kept")?;
        let exact = expected.concat();
        let difference: f64 = got.iter().zip(&exact).map(|(&got, exact)| (f64::from(got) - exact).powi(2)).sum();
        let error = (difference / exact.iter().map(|x| x * x).sum::<f64>()).sqrt();
        worst = if error <= worst { worst } else { error };
        checked += got.len() as u64;
    }
    Ok(Proof {
        method: "4 layers, f64".to_owned(),
        error: Some(worst),
        tolerance: TOLERANCE,
        worst_index: None,
        checked,
        input_hash: format!("{:016x}", SplitMix64::new(seed).bits()),
        output_hash: None,
        failure: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_kept_on_purpose_fails_the_run() {
        let (before, kept, retained) = (1 << 30, 1 << 20, 1 << 18);
        assert!(only_kept_is_left(before, before + kept, kept).is_ok());
        assert!(only_kept_is_left(before, before + kept + retained, kept).is_err());
        assert!(only_kept_is_left(before, before, kept).is_err());
    }

    #[test]
    fn the_proof_is_well_below_its_tolerance() {
        for seed in [1, 2] {
            let proof = proof(&Config::TOY, seed, Threads::SERIAL).unwrap();
            assert!(proof.error.is_some_and(|error| error > 0.0 && error < 0.1 * TOLERANCE), "{proof:?}");
        }
    }
}
