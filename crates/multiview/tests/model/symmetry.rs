//! Symmetries that follow from the definition.

use multiview::{Aggregator, Keep, Seeded, Shape, TensorSource, TensorSpec, WeightsError};

use crate::{TINY, model, relative_error, run, run_on, workspace};

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

/// The frame block and the global block of a layer have the same weights.
struct Twins;

impl TensorSource for Twins {
    fn read(&self, tensor: &TensorSpec) -> Result<Vec<f32>, WeightsError> {
        let name = tensor.name.replace("global_blocks", "frame_blocks");
        Seeded(9).read(&TensorSpec { name, ..tensor.clone() })
    }
}

/// With one frame, a global block with the weights of frame block l + 1 is frame block l + 1.
struct Shifted;

impl TensorSource for Shifted {
    fn read(&self, tensor: &TensorSpec) -> Result<Vec<f32>, WeightsError> {
        let mut name = tensor.name.clone();
        for layer in 0..TINY.depth {
            let (frame, global) = (format!(".frame_blocks.{layer}."), format!(".global_blocks.{layer}."));
            name = name
                .replace(&frame, &format!(".step.{}.", 2 * layer))
                .replace(&global, &format!(".step.{}.", 2 * layer + 1));
        }
        Seeded(9).read(&TensorSpec { name, ..tensor.clone() })
    }
}

/// `Shifted`, two steps later: what was the global block of a layer is a frame block now.
struct ShiftedByOne;

impl TensorSource for ShiftedByOne {
    fn read(&self, tensor: &TensorSpec) -> Result<Vec<f32>, WeightsError> {
        let mut name = tensor.name.clone();
        for layer in 0..TINY.depth {
            let (frame, global) = (format!(".frame_blocks.{layer}."), format!(".global_blocks.{layer}."));
            // Frame block 0 runs step 0, and global block 0 does nothing: its branches have factors of 0.
            let [frame_step, global_step] = if layer == 0 { [0, 99] } else { [2 * layer - 1, 2 * layer] };
            name = name
                .replace(&frame, &format!(".step.{frame_step}."))
                .replace(&global, &format!(".step.{global_step}."));
        }
        if name.contains(".step.99.") && name.ends_with("gamma") {
            return Ok(vec![0.0; tensor.len()]);
        }
        Seeded(9).read(&TensorSpec { name, ..tensor.clone() })
    }
}

#[test]
fn with_one_frame_a_global_block_is_a_frame_block() {
    let shape = Shape::square(1, 42);
    let c = TINY.embed_dim;
    let run_of = |model: Aggregator| run(&model, &shape, Keep::All, 1);
    let kept = run_of(Aggregator::new(&TINY, &Shifted).unwrap());
    let shifted = run_of(Aggregator::new(&TINY, &ShiftedByOne).unwrap());
    // Step 1 is the global block of layer 0 in one, the frame block of layer 1 in the other; step 2 follows.
    for layer in 0..TINY.depth - 1 {
        let (one, other) = (kept.output(layer).unwrap(), shifted.output(layer + 1).unwrap());
        for (one, other) in one.chunks(2 * c).zip(other.chunks(2 * c)) {
            assert_eq!(one[c..], other[..c], "layer {layer}");
        }
    }
}

#[test]
fn with_several_frames_a_global_block_is_not_a_frame_block() {
    let twins = Aggregator::new(&TINY, &Twins).unwrap();
    let kept = run(&twins, &Shape::square(2, 42), Keep::All, 1);
    let alone = run(&twins, &Shape::square(1, 42), Keep::All, 1);
    let (both, alone) = (kept.output(0).unwrap(), alone.output(0).unwrap());
    let c = TINY.embed_dim;
    let halves = both.chunks(2 * c).zip(alone.chunks(2 * c));
    assert!(halves.clone().all(|(both, alone)| both[..c] == alone[..c]), "the frame block sees its frame only");
    assert!(halves.clone().all(|(both, alone)| both[c..] != alone[c..]), "the global block sees the other frame");
}

#[test]
fn permuting_the_frames_after_the_first_permutes_the_outputs() {
    let (model, shape) = (model(&TINY, 6), Shape::square(4, 42));
    let mut space = workspace(&model, &shape, 1);
    let order = [0, 3, 1, 2];
    let straight = run_on(&model, Keep::All, &mut space, |index| index);
    let permuted = run_on(&model, Keep::All, &mut space, |index| order[index]);
    for layer in 0..TINY.depth {
        let (straight, permuted) = (straight.output(layer).unwrap(), permuted.output(layer).unwrap());
        let of_frame = straight.len() / shape.frames;
        let moved: Vec<f32> =
            order.iter().flat_map(|frame| &straight[frame * of_frame..][..of_frame]).copied().collect();
        // Sums over keys are formed in another order.
        let error = relative_error(permuted, &wide(&moved));
        assert!(error <= 1e-5, "layer {layer}: {error:e}");
    }
    // The first frame has tokens of its own, so it cannot be moved.
    let moved = run_on(&model, Keep::All, &mut space, |index| [1, 0, 2, 3][index]);
    let of_frame = straight.output(3).unwrap().len() / shape.frames;
    let error = relative_error(
        &moved.output(3).unwrap()[..of_frame],
        &wide(&straight.output(3).unwrap()[of_frame..2 * of_frame]),
    );
    assert!(error > 1e-3, "{error:e}");
}
