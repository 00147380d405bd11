//! The variant of a cell against the definition in f64.
//!
//! What the heads read and every output that the variant keeps are compared, of the timed input where the definition
//! takes a second or two. Of a larger input the same model is proved on two small images of each sequence, and if that
//! takes too long as well, its first four layers are. The timed output of a larger input is tied to the proof by its
//! hash: every variant in f32 must give the same, and each of them is proved.

use ::multiview::{Aggregator, CAPTURES, Config, Keep, Kept, Seeded, Shape, Threads, image, reference::Model};
use anyhow::Result;
use op::random::SplitMix64;
use record::Proof;

use super::{IMAGE_SEED, result_hash};

/// Operations that the definition may take: it does about 1.5e9 in a second.
const MOST_FLOPS: f64 = 4e9;
/// Relative error of each part, as a norm.
const TOLERANCE: f64 = 1e-4;
/// The same where numbers are rounded to f16, whose last bit is 2^-11 of a number.
const F16_TOLERANCE: f64 = 5e-4;

/// Proves `keep` of a model with the weights of `seed` for a timed input.
pub(super) fn proof(model: &Aggregator, timed: &Shape, keep: Keep, (seed, threads): (u64, Threads)) -> Result<Proof> {
    let config = *model.config();
    let is_affordable = |shape: &Shape| Aggregator::flops(&config, shape, keep) <= MOST_FLOPS;
    if is_affordable(timed) {
        let (proof, hash) = compare(model, timed, keep, (seed, threads))?;
        return Ok(Proof { method: format!("{}, as timed", proof.method), output_hash: Some(hash), ..proof });
    }
    let small = small(timed);
    if is_affordable(&small) {
        return Ok(compare(model, &small, keep, (seed, threads))?.0);
    }
    let short = Config { depth: CAPTURES, captured: [0, 1, 2, 3], ..config };
    let (proof, _) = compare(&Aggregator::new(&short, &Seeded(seed))?, &small, keep, (seed, threads))?;
    Ok(Proof { method: format!("{}, {CAPTURES} layers", proof.method), ..proof })
}

/// Two images of each of up to two sequences, of 14 tokens: just so many that attention takes them in strips, as it
/// takes more.
fn small(timed: &Shape) -> Shape {
    Shape { batch: timed.batch.min(2), frames: timed.frames.min(2), height: 42, width: 42 }
}

/// The proof, and the hash of what the heads read.
fn compare(model: &Aggregator, shape: &Shape, keep: Keep, (seed, threads): (u64, Threads)) -> Result<(Proof, String)> {
    let mut workspace = model.workspace(shape, threads)?;
    let kept = model.run(|index, values| image(IMAGE_SEED, index, values), keep, &mut workspace)?;
    let mut worst = Worst::default();
    let definition = Model::new(model.config(), &Seeded(seed))?;
    let got = parts(model, &kept, &mut workspace)?;
    for sequence in 0..shape.batch {
        let images = (0..shape.frames).map(|frame| {
            let mut values = vec![0.0; shape.image_values()];
            image(IMAGE_SEED, sequence * shape.frames + frame, &mut values);
            values
        });
        let outputs = definition.outputs(shape, &images.collect::<Vec<_>>());
        let heads = definition.head_inputs(shape, &outputs);
        let expected = heads.projected.iter().chain([&heads.camera]).chain(&outputs);
        for (got, expected) in got.iter().zip(expected) {
            if let Some(got) = got {
                let own = got.len() / shape.batch;
                worst.add(&got[sequence * own..][..own], &expected.concat());
            }
        }
    }
    let tolerance = if keep == Keep::ProjectedF16 { F16_TOLERANCE } else { TOLERANCE };
    let proof = Proof {
        method: format!("f64, {} x {} px", shape.images(), shape.height),
        error: Some(worst.error).filter(|error| error.is_finite()),
        tolerance,
        worst_index: None,
        checked: worst.checked,
        input_hash: format!("{:016x}", SplitMix64::new(seed).bits()),
        output_hash: None,
        same_as: None,
        failure: None,
    };
    Ok((proof, result_hash(model, &kept, &mut workspace)?))
}

/// All that can be read of what was kept: projections of the captured layers, camera tokens, and each layer's output,
/// `None` where it is not kept.
fn parts(model: &Aggregator, kept: &Kept, workspace: &mut ::multiview::Workspace) -> Result<Vec<Option<Vec<f32>>>> {
    let (config, shape) = (model.config(), kept.shape());
    let mut parts = Vec::new();
    for (index, channels) in config.channels.into_iter().enumerate() {
        let mut projected = vec![f32::NAN; shape.images() * shape.patches() * channels];
        model.head_input(kept, index, 0..shape.images(), &mut projected, workspace)?;
        parts.push(Some(projected));
    }
    parts.push(Some(kept.camera_tokens().flatten().copied().collect()));
    let outputs = (0..config.depth).map(|layer| kept.output(layer).map(<[f32]>::to_vec));
    parts.extend(outputs);
    Ok(parts)
}

/// The largest relative error of any part.
#[derive(Default)]
struct Worst {
    /// NaN if any was.
    error: f64,
    checked: u64,
}

impl Worst {
    fn add(&mut self, got: &[f32], exact: &[f64]) {
        let difference: f64 = got.iter().zip(exact).map(|(&got, exact)| (f64::from(got) - exact).powi(2)).sum();
        let error = (difference / exact.iter().map(|x| x * x).sum::<f64>()).sqrt();
        // A part of another length is as wrong as a NaN.
        let error = if got.len() == exact.len() { error } else { f64::NAN };
        self.error = if self.error.is_nan() || error <= self.error { self.error } else { error };
        self.checked += got.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Config = Config { embed_dim: 32, depth: 5, heads: 4, captured: [0, 1, 2, 4], channels: [8; CAPTURES] };

    fn proved(keep: Keep, shape: &Shape) -> Proof {
        let model = Aggregator::new(&SHORT, &Seeded(1)).unwrap();
        proof(&model, shape, keep, (1, Threads::SERIAL)).unwrap()
    }

    #[test]
    fn every_variant_is_proved_with_all_that_it_keeps() {
        let shape = Shape { batch: 2, ..Shape::square(3, 28) };
        let (outputs, projections) = (6 * 9 * 64, 4 * 6 * 4 * 8 + 6 * 64);
        for (keep, kept_outputs) in [(Keep::All, 5), (Keep::Captured, 4), (Keep::Projected, 0), (Keep::ProjectedF16, 0)]
        {
            let proof = proved(keep, &shape);
            assert!(proof.is_right() && proof.error.is_some_and(|error| error > 0.0), "{keep}: {proof:?}");
            assert!(proof.error.unwrap() < if keep == Keep::ProjectedF16 { 5e-4 } else { 1e-5 }, "{keep}: {proof:?}");
            assert_eq!(proof.checked, kept_outputs * outputs + projections, "{keep}");
            assert_eq!(proof.method, "f64, 6 x 28 px, as timed");
        }
        let hash = |keep| proved(keep, &shape).output_hash.unwrap();
        assert_eq!(hash(Keep::All), hash(Keep::Projected));
        assert_ne!(hash(Keep::All), hash(Keep::ProjectedF16));
    }

    #[test]
    fn a_large_input_is_proved_on_a_small_one() {
        let proof = proved(Keep::Projected, &Shape { batch: 4, ..Shape::square(8, 518) });
        assert!(proof.is_right() && proof.method == "f64, 4 x 42 px", "{proof:?}");
        assert_eq!(proof.output_hash, None, "it is not the hash of what is timed");
    }

    /// The weights of another seed are another model.
    #[test]
    fn a_wrong_variant_is_not_proved() {
        let model = Aggregator::new(&SHORT, &Seeded(2)).unwrap();
        for keep in Keep::ALL {
            let proof = proof(&model, &Shape::square(2, 28), keep, (1, Threads::SERIAL)).unwrap();
            assert!(!proof.is_right(), "{proof:?}");
        }
        let mut worst = Worst::default();
        worst.add(&[f32::NAN], &[1.0]);
        worst.add(&[1.0], &[1.0]);
        assert!(worst.error.is_nan(), "a NaN stays");
        let mut worst = Worst::default();
        worst.add(&[1.0], &[1.0, 1.0]);
        assert!(worst.error.is_nan(), "so does a part that is too short");
    }
}
