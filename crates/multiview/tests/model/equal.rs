//! Results that have the same bits.

use multiview::{Aggregator, Config, Keep, Memory, Shape, Threads};

use crate::{TINY, head_inputs, model, run, run_on, workspace};

const SHAPES: [Shape; 3] = [
    Shape { batch: 1, frames: 1, height: 14, width: 14 },
    Shape { batch: 2, frames: 3, height: 28, width: 42 },
    Shape { batch: 1, frames: 2, height: 14, width: 14 * 140 },
];

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn projecting_early_does_not_change_a_bit() {
    for shape in SHAPES {
        let model = model(&TINY, 1);
        let [all, captured, projected] =
            [Keep::All, Keep::Captured, Keep::Projected].map(|keep| run(&model, &shape, keep, 1));
        let [of_all, of_captured, of_projected] =
            [&all, &captured, &projected].map(|kept| head_inputs(&model, kept, 1));
        assert!(of_all.iter().flatten().all(|x| x.is_finite()));
        assert!(of_all == of_captured && of_all == of_projected, "{shape:?}");
        let camera = |kept: &multiview::Kept| kept.camera_tokens().flatten().copied().collect::<Vec<_>>();
        assert!(bits(&camera(&all)) == bits(&camera(&projected)), "{shape:?}");
        assert_eq!(camera(&captured).len(), shape.images() * TINY.output_dim());
        for layer in TINY.captured {
            assert!(all.output(layer) == captured.output(layer), "{shape:?} {layer}");
        }
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    for shape in SHAPES {
        let model = model(&TINY, 2);
        for keep in Keep::ALL {
            let one = run(&model, &shape, keep, 1);
            for threads in [2, 3, 8] {
                let several = run(&model, &shape, keep, threads);
                assert!(head_inputs(&model, &one, 1) == head_inputs(&model, &several, threads), "{shape:?} {keep}");
                assert!(one.camera_tokens().eq(several.camera_tokens()), "{shape:?} {keep}");
            }
        }
    }
}

#[test]
fn a_batch_is_its_sequences() {
    let (one, two) = (Shape::square(4, 28), Shape { batch: 2, ..Shape::square(4, 28) });
    let model = model(&TINY, 3);
    for keep in [Keep::All, Keep::Projected] {
        let both = run(&model, &two, keep, 2);
        let mut space = workspace(&model, &one, 2);
        let parts = [0, 4].map(|first| run_on(&model, keep, &mut space, |index| first + index));
        let whole = head_inputs(&model, &both, 1);
        let parts = parts.map(|part| head_inputs(&model, &part, 1));
        for index in 0..4 {
            assert!(whole[index] == [&parts[0][index][..], &parts[1][index]].concat(), "{keep} {index}");
        }
        assert_ne!(parts[0], parts[1]);
    }
}

/// Nothing of an earlier run is left in a workspace.
#[test]
fn a_workspace_is_used_again() {
    let (model, shape) = (model(&TINY, 4), Shape::square(2, 28));
    let mut space = workspace(&model, &shape, 2);
    let first = run_on(&model, Keep::All, &mut space, |index| index);
    let other = run_on(&model, Keep::All, &mut space, |index| index + 5);
    let again = run_on(&model, Keep::All, &mut space, |index| index);
    assert!(first.output(3) == again.output(3) && first.output(3) != other.output(3));
}

/// The list of outputs is 24 of which the head reads 4; projections of 4 x 128 channels replace 24 x 256.
#[test]
fn what_is_kept_has_the_predicted_size() {
    let shape = Shape::square(8, 518);
    let bytes = |config: &Config, keep: Keep| keep.bytes(config, &shape).unwrap() as f64;
    for config in [Config::TOY, Config::HEADS_OF_64, Config::VGGT] {
        assert_eq!(6 * Keep::Captured.bytes(&config, &shape).unwrap(), Keep::All.bytes(&config, &shape).unwrap());
    }
    let reduction = |config: &Config, keep: Keep| 100.0 * (1.0 - bytes(config, keep) / bytes(config, Keep::All));
    let near = |got: f64, expected: f64| assert!((got - expected).abs() < 0.06, "{got}");
    near(reduction(&Config::TOY, Keep::Captured), 83.333);
    near(reduction(&Config::TOY, Keep::Projected), 91.7);
    near(reduction(&Config::TOY, Keep::ProjectedF16), 95.8);
    near(reduction(&Config::VGGT, Keep::Projected), 94.3);
    near(reduction(&Config::VGGT, Keep::ProjectedF16), 97.1);

    let model = model(&TINY, 1);
    for (shape, keep) in SHAPES.into_iter().flat_map(|shape| Keep::ALL.map(|keep| (shape, keep))) {
        let kept = run(&model, &shape, keep, 1);
        assert_eq!(kept.bytes(), keep.bytes(&TINY, &shape).unwrap(), "{keep} {shape:?}");
    }
}

/// A run adds nothing to a workspace, and the model of memory knows its bytes: for pieces of six tokens, which
/// attention takes row by row, frames of several pieces, heads of 64, and projections in f16.
#[test]
fn a_workspace_has_its_predicted_size_and_never_grows() {
    let wide = Config { embed_dim: 64, heads: 1, channels: [32; 4], ..TINY };
    for config in [TINY, wide] {
        let model = model(&config, 1);
        for (shape, keep) in SHAPES.into_iter().flat_map(|shape| Keep::ALL.map(|keep| (shape, keep))) {
            let threads = Threads::new(2).unwrap();
            let predicted = Memory::predict(&config, &shape, keep, threads).unwrap();
            let mut space = workspace(&model, &shape, 2);
            assert_eq!(space.bytes(), predicted.transient(), "{keep} {shape:?}");
            let kept = run_on(&model, keep, &mut space, |index| index);
            for index in 0..4 {
                let mut out = vec![0.0; shape.images() * shape.patches() * config.channels[index]];
                model.head_input(&kept, index, 0..shape.images(), &mut out, &mut space).unwrap();
            }
            assert_eq!(space.bytes(), predicted.transient(), "{keep} {shape:?}: it grew");
            assert_eq!((model.bytes(), kept.bytes()), (predicted.weights, predicted.kept), "{keep} {shape:?}");
        }
    }
}

/// Counted by hand for one frame of one patch (six tokens): linear layers 2 * 12 C^2 each, attention 4 * tokens * C,
/// the embedding and the projections of one patch.
#[test]
fn flops_are_those_of_what_is_kept() {
    let shape = Shape::square(1, 14);
    let blocks = 4.0 * 2.0 * (6.0 * 24.0 * 24.0 * 24.0 + 4.0 * 6.0 * 6.0 * 24.0);
    let embedding = 2.0 * 588.0 * 24.0;
    let projections = 2.0 * 48.0 * (8.0 + 5.0 + 16.0 + 24.0);
    for keep in Keep::ALL {
        let (run, head) = (Aggregator::flops(&TINY, &shape, keep), Aggregator::head_flops(&TINY, &shape, keep));
        let expected = if keep.is_projected() { (projections, 0.0) } else { (0.0, projections) };
        assert_eq!((run, head), (blocks + embedding + expected.0, expected.1), "{keep}");
    }
}

/// The goal for the machine of two cores: 32 images of 518 pixels in 260 MiB, weights included.
#[test]
fn thirty_two_images_fit_260_mib() {
    let threads = Threads::new(2).unwrap();
    let peak = |keep| Memory::predict(&Config::TOY, &Shape::square(32, 518), keep, threads).unwrap().peak() >> 20;
    assert!(peak(Keep::Projected) <= 260, "{}", peak(Keep::Projected));
    assert!(peak(Keep::All) > 1000);
}
