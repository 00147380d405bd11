//! An RWKV-7 model from a GGUF file: load, prefill and generation.
//!
//! A cell times one phase. Before, it compares the logits of a text, position by position, with golden ones of f64 or
//! f32 arithmetic, and runs the phase once: what it gives is compared with another way to compute the same, and must
//! come again from every timed run. The quality of the output is a condition of the time, not a line beside it.

mod golden;
mod models;
mod phase;
mod report;
mod tasks;

use ::rwkv7::Model;
use ::rwkv7::quality::Difference;
use anyhow::{Context as _, Result, ensure};
use record::Proof;
use scenario::{Cell, Measured, QUALITY_HASH, Unproved};

use super::Scenario;
use crate::commands::gguf::map;
use crate::commands::rwkv7::{Device, Sequence};
use golden::Golden;
use models::ModelFile;
use phase::{Phase, Place};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "rwkv7",
    matrix: include_str!("../../../../../benches/scenarios/rwkv7.toml"),
    run,
    report: report::report,
};

/// Largest divergence of a position's probabilities from the golden ones, in nats.
const MOST_DIVERGENCE: f64 = 0.1;
/// Positions whose most probable token may be another one, as a share of all: near ties turn.
const MOST_TURNED: f64 = 0.15;

fn run(cell: &Cell, unproved: Unproved) -> Result<Measured> {
    let device = if cell.text("device")? == "wgpu" { Device::Wgpu } else { Device::Cpu };
    let place = Place { device, threads: cell.parse("threads")? };
    let phase: Phase = cell.parse("phase")?;
    let file = ModelFile::find(cell.text("model")?)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(place.threads.get()).build();
    pool.context("the threads cannot be started")?.install(|| {
        let (mut measured, text) = prove(&file, phase, place, unproved)?;
        // The file is no longer mapped, so a cold cell can drop it from the page cache.
        let timed = phase.time((&file, place), &text, &mut measured)?;
        measured.output(timed.hash);
        Ok(measured)
    })
}

/// Compares with golden logits, and the phase with another way to compute the same. Gives the text as well.
fn prove(file: &ModelFile, phase: Phase, place: Place, mut unproved: Unproved) -> Result<(Measured, Vec<u32>)> {
    let opened = map(&file.path, gguf::Options::default())?;
    let model = Model::new(&opened).with_context(|| file.path.display().to_string())?;
    let golden = Golden::of(file, &opened, &model)?;
    let config = model.config();
    unproved.ran("file", &file.name).ran("layers", config.layers).ran("embedding", config.channels);
    unproved.ran("bytes_per_token", model.bytes_per_token()).ran("golden", &golden.from);
    let mut sequence = place.sequence(&model)?;
    match sequence.device() {
        Some(device) => unproved.ran("device", device),
        None => unproved.ran("threads", place.threads.get()).ran("isa", machine::isa::Isa::best()),
    };

    let quality = quality(&mut sequence, &golden, model.vocabulary())?;
    let share = quality.agreeing as f64 / quality.positions as f64;
    unproved.ran("largest_logit_error", format!("{:.2e}", quality.largest));
    unproved.ran("kl_divergence", format!("{:.2e}", quality.divergence));
    unproved.ran("top_1", format!("{} of {}", quality.agreeing, quality.positions));
    let output = phase.prove((file, place), &mut sequence, &golden.tokens, model.vocabulary())?;
    let mut failure =
        (quality.divergence.is_nan() || quality.divergence > MOST_DIVERGENCE || share < 1.0 - MOST_TURNED)
            .then(|| format!("the probabilities differ from the golden ones: {quality:?}"));
    failure = failure.or_else(|| output.failure());
    unproved.ran(QUALITY_HASH, &output.hash);
    if phase == Phase::Generate {
        if let Some(tasks) = file.tasks() {
            let solved = tasks::solve(&opened, &mut sequence, tasks, model.vocabulary())?;
            failure = failure.or_else(|| solved.failure());
            unproved.ran("tasks", &solved);
        }
        unproved.ran("quality_folded", output.folded());
        unproved.ran("quality_tokens", format!("{:?}", &output.tokens[..output.tokens.len().min(16)]));
        unproved.ran("tail", output.tail());
    }
    let proof = Proof {
        failure,
        checked: golden.logits.len() as u64,
        input_hash: golden.hash(),
        output_hash: Some(output.hash.clone()),
        ..Proof::new("relative RMS of logits", Some(quality.relative), golden.tolerance)
    };
    Ok((unproved.prove(proof)?, golden.tokens))
}

/// How far logits of the golden text are from the golden ones.
fn quality(sequence: &mut Sequence<'_, '_>, golden: &Golden, vocabulary: usize) -> Result<Difference> {
    let mut logits = vec![0.0; golden.logits.len()];
    sequence.reset()?;
    sequence.all(&golden.tokens, &mut logits)?;
    let difference = Difference::new(&logits, &golden.logits, vocabulary);
    let difference = difference.context("the golden logits are of another vocabulary")?;
    ensure!(difference.positions == golden.tokens.len(), "the golden logits are of another text");
    Ok(difference)
}
