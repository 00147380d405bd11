//! Memory and time of a VGGT-like aggregator over several images, with all outputs kept and with only what its heads
//! read.
//!
//! A process is one variant on one input, so that nothing of another variant is alive while its memory is measured. It
//! proves the variant against the definition in f64 (`proof`), then times it. A run ends with what the depth head
//! reads: outputs that were kept as they are, are projected then, eight images at a time as VGGT's head does. The hash
//! of that goes into the record: it must be the proved one if the timed input was proved, and the matrix promises that
//! all variants in f32 have the same. After each run, only weights and workspace may be left on the heap.

mod cases;
mod proof;
mod report;

use std::time::Instant;

use ::multiview::{Aggregator, CAPTURES, Keep, Kept, Memory, Seeded, Shape, Threads, Workspace, image};
use anyhow::{Context as _, Result, ensure};
use machine::heap::Meter;
use op::random::SplitMix64;
use record::{Direction, Unit};
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
/// Of everything but the weights, between the model of memory and the meter.
const MODEL_TOLERANCE: f64 = 0.01;
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
    let meter = Meter::find().context("the heap is not metered")?;
    let model = Aggregator::new(&config, &Seeded(seed))?;
    let mut measured = unproved.prove(proof::proof(&model, &shape, keep, (seed, threads))?)?;

    let loaded = meter.live_bytes();
    let mut workspace = model.workspace(&shape, threads)?;
    let flops = Aggregator::flops(&config, &shape, keep) + Aggregator::head_flops(&config, &shape, keep);
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
    let mut seconds = Vec::new();
    let mut last = None;
    for _ in 0..iterations {
        // What the run before kept is gone before this one begins.
        drop(last.take());
        let before = meter.live_bytes();
        let begin = Instant::now();
        let kept = once(&model, keep, &mut workspace)?;
        seconds.push(begin.elapsed().as_secs_f64());
        only_kept_is_left(before, meter.live_bytes(), kept.bytes())?;
        last = Some(kept);
    }
    let peak = meter.peak_bytes();
    measured.memory_to_here();
    let kept = last.context("there was no run")?;
    figures(&mut measured, &model, (&shape, keep, threads), peak - loaded)?;
    measured.iterations("run_s", &seconds, warm_up).output(result_hash(&model, &kept, &mut workspace)?);
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

/// From images to what the depth head reads.
fn once(model: &Aggregator, keep: Keep, workspace: &mut Workspace) -> Result<Kept> {
    let kept = model.run(|index, values| image(IMAGE_SEED, index, values), keep, workspace)?;
    if !keep.is_projected() {
        head_inputs(model, &kept, workspace, |_| ())?;
    }
    Ok(kept)
}

/// Numbers of the buffer that some images' head inputs are read into.
fn head_buffer(model: &Aggregator, shape: &Shape) -> usize {
    let widest = model.config().channels.into_iter().max().unwrap_or(0);
    HEAD_IMAGES.min(shape.images()) * shape.patches() * widest
}

/// Calls `read` with everything that the depth head reads, some images at a time.
fn head_inputs(model: &Aggregator, kept: &Kept, workspace: &mut Workspace, mut read: impl FnMut(&[f32])) -> Result<()> {
    let shape = *kept.shape();
    let mut out = vec![0.0; head_buffer(model, &shape)];
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

/// Bytes by what they are for, and the model of memory beside the meter. `needed` is the peak without the weights: they
/// are ten times as much on small inputs and would hide a difference.
fn figures(
    measured: &mut Measured,
    model: &Aggregator,
    (shape, keep, threads): (&Shape, Keep, Threads),
    needed: usize,
) -> Result<()> {
    let predicted = Memory::predict(model.config(), shape, keep, threads)?;
    // A run ends with the head inputs, and a variant that projects them late reads them into a buffer.
    let head = if keep.is_projected() { 0 } else { head_buffer(model, shape) * size_of::<f32>() };
    for (name, bytes) in [
        ("weights_bytes", predicted.weights),
        ("kept_bytes", predicted.kept),
        ("head_buffer_bytes", head),
        ("transient_bytes", needed.saturating_sub(predicted.kept + head)),
        ("predicted_peak_bytes", predicted.peak() + head),
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
    let error = model_error(predicted.transient() + predicted.kept + head, needed)?;
    measured.metric("model_error_ratio", error, Unit::Ratio, Direction::LowerIsBetter);
    Ok(())
}

/// How far the model of memory is from the meter.
fn model_error(predicted: usize, metered: usize) -> Result<f64> {
    let error = (predicted as f64 / metered as f64 - 1.0).abs();
    // False for NaN, too.
    let holds = error <= MODEL_TOLERANCE;
    ensure!(
        holds,
        "{PEAK_HEAP} without the weights is {metered}, but the model of memory says {predicted}: something else is \
         allocated, or less"
    );
    Ok(error)
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

    /// The buffer of the head inputs of four images of 518 pixels is 2 % of what a run needs beside the weights.
    #[test]
    fn a_buffer_that_the_model_of_memory_leaves_out_fails_the_run() {
        let (needed, buffer) = (143_usize << 20, 4 * 1369 * 128 * size_of::<f32>());
        assert!(model_error(needed, needed + LEFT_BYTES).is_ok());
        assert!(model_error(needed - buffer, needed).is_err() && model_error(needed + buffer, needed).is_err());
        assert!(model_error(needed, 0).is_err());
    }
}
