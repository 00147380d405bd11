//! The model against its definition in f64, and its symmetries.

mod equal;
mod oracle;
mod symmetry;

use multiview::{Aggregator, Config, Keep, Kept, Seeded, Shape, Threads, Workspace, image};

/// Four layers of three heads of 8 channels.
pub(crate) const TINY: Config =
    Config { embed_dim: 24, depth: 4, heads: 3, captured: [0, 1, 2, 3], channels: [8, 5, 16, 24] };

pub(crate) fn model(config: &Config, seed: u64) -> Aggregator {
    Aggregator::new(config, &Seeded(seed)).expect("the dimensions are possible")
}

pub(crate) fn workspace(model: &Aggregator, shape: &Shape, threads: usize) -> Workspace {
    model.workspace(shape, Threads::new(threads).expect("not 0")).expect("there is memory")
}

/// A run on seeded images, the one at place `i` being number `order(i)`.
pub(crate) fn run_on(
    model: &Aggregator,
    keep: Keep,
    workspace: &mut Workspace,
    order: impl Fn(usize) -> usize,
) -> Kept {
    model.run(|index, values| image(11, order(index), values), keep, workspace).expect("the workspace fits")
}

pub(crate) fn run(model: &Aggregator, shape: &Shape, keep: Keep, threads: usize) -> Kept {
    run_on(model, keep, &mut workspace(model, shape, threads), |index| index)
}

/// What the depth head reads of all images.
pub(crate) fn head_inputs(model: &Aggregator, kept: &Kept, threads: usize) -> Vec<Vec<f32>> {
    let (shape, mut space) = (kept.shape(), workspace(model, kept.shape(), threads));
    let input = |index: usize| {
        let mut out = vec![f32::NAN; shape.images() * shape.patches() * model.config().channels[index]];
        model.head_input(kept, index, 0..shape.images(), &mut out, &mut space).expect("it was kept");
        out
    };
    (0..4).map(input).collect()
}

/// The norm of the difference, relative to the norm of what is expected.
pub(crate) fn relative_error(got: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let difference: f64 = got.iter().zip(expected).map(|(&got, expected)| (f64::from(got) - expected).powi(2)).sum();
    (difference / expected.iter().map(|x| x * x).sum::<f64>()).sqrt()
}
