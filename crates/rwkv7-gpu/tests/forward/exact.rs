//! Logits against the oracle, for every type and shape.

use gpu::Wgpu;
use quant::GgmlType::{BF16, F16, F32, Q4_0, Q4_K, Q5_0, Q5_K, Q6_K, Q8_0};
use rwkv7::{Model, quality::Difference, reference};
use rwkv7_gpu::{Forward, Rwkv7GpuError};

use crate::{
    devices,
    file::{PLAIN, Recipe, VOCABULARY, file, tokens},
};

/// Logits of all tokens, and those of the oracle.
fn difference(gpu: &Wgpu, model: &Model<'_>, tokens: &[u32]) -> (Difference, usize) {
    let mut forward = Forward::new(gpu, model).unwrap();
    let mut logits = vec![f32::NAN; tokens.len() * VOCABULARY];
    forward.all(tokens, &mut logits).unwrap();
    let expected = reference::logits(model, &mut reference::State::new(model.config()), tokens).unwrap();
    let expected: Vec<f32> = expected.into_iter().map(|x| x as f32).collect();
    (Difference::new(&logits, &expected, VOCABULARY).unwrap(), forward.converted().len())
}

#[test]
fn logits_are_those_of_the_oracle_for_every_type() {
    let Some(gpus) = devices() else { return };
    let tokens = tokens(21);
    // Matrices in blocks multiply activations that are rounded to 8 bits. Q5_0 is converted by the host's model.
    for (matrices, low, tolerance, converted) in [
        (F32, F32, 1e-5, 0),
        (F16, F16, 1e-5, 0),
        (BF16, BF16, 1e-5, 0),
        (Q5_0, F16, 1e-5, 0),
        (Q8_0, F16, 2e-2, 0),
        // The low-rank matrices of a, v and g in two layers, of which the first has no v.
        (Q4_0, Q8_0, 3e-2, 10),
        (Q6_K, F32, 2e-2, 0),
        (Q5_K, F16, 2e-2, 0),
        (Q4_K, F16, 2e-2, 0),
    ] {
        let file = file(Recipe { matrices, low, ..PLAIN });
        let model = Model::new(&file).unwrap();
        let (found, of_other_types) = difference(&gpus[0], &model, &tokens);
        assert!(found.relative <= tolerance, "{matrices}: {found:?}");
        assert_eq!(of_other_types, converted, "{matrices}");
    }
}

#[test]
fn shapes_without_gates_and_with_other_heads_are_those_of_the_oracle() {
    let Some(gpus) = devices() else { return };
    let tokens = tokens(18);
    for (head_size, channels, has_gate, rank) in
        [(64, 256, false, 32), (32, 320, true, 24), (8, 256, true, 1), (128, 256, true, 40), (12, 36, true, 6)]
    {
        let file = file(Recipe { head_size, channels, has_gate, rank, ..PLAIN });
        let model = Model::new(&file).unwrap();
        let (found, _) = difference(&gpus[0], &model, &tokens);
        assert!(found.relative <= 1e-5, "{head_size}: {found:?}");
    }
    let wide = file(Recipe { head_size: 320, channels: 320, ..PLAIN });
    let model = Model::new(&wide).unwrap();
    let error = Forward::new(&gpus[0], &model).unwrap_err();
    assert!(matches!(error, Rwkv7GpuError::HeadSize { found: 320, .. }), "{error}");
}

/// With checks, where an index that leaves its memory reads 0 or writes nothing, the bits are the same: no index did.
#[test]
fn checked_kernels_give_the_same_bits() {
    let Some(gpus) = devices() else { return };
    for (matrices, head_size, channels) in [(Q4_K, 64, 256), (F16, 12, 36)] {
        let file = file(Recipe { matrices, head_size, channels, ..PLAIN });
        let model = Model::new(&file).unwrap();
        let of = |gpu: &Wgpu| {
            let mut forward = Forward::new(gpu, &model).unwrap();
            let mut logits = vec![f32::NAN; 19 * VOCABULARY];
            forward.all(&tokens(19), &mut logits).unwrap();
            let chosen = forward.greedy(&[5]).unwrap();
            (logits.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), chosen)
        };
        assert!(of(&gpus[0]) == of(&gpus[1]), "{matrices}");
    }
}
