//! States: carried, exchanged with the CPU, refused.

use quant::GgmlType::{F32, Q4_K};
use rwkv7::{Model, RunError, State, Threads, greedy, quality::Difference};
use rwkv7_gpu::{Forward, Rwkv7GpuError};

use crate::{
    devices,
    file::{PLAIN, Recipe, VOCABULARY, file, tokens},
};

#[test]
fn chunks_change_no_bit() {
    let Some(gpus) = devices() else { return };
    let tokens = tokens(37);
    for matrices in [F32, Q4_K] {
        let file = file(Recipe { matrices, ..PLAIN });
        let model = Model::new(&file).unwrap();
        let mut forward = Forward::new(&gpus[0], &model).unwrap();
        let mut expected = vec![f32::NAN; tokens.len() * VOCABULARY];
        forward.all(&tokens, &mut expected).unwrap();
        let after = forward.state().unwrap();
        for lengths in [vec![1; 37], vec![16, 16, 5], vec![3, 30, 4], vec![2, 17, 1, 16, 1]] {
            forward.reset().unwrap();
            let (mut at, mut logits) = (0, vec![f32::NAN; VOCABULARY]);
            for length in lengths {
                forward.last(&tokens[at..at + length], &mut logits).unwrap();
                at += length;
                assert!(logits == expected[(at - 1) * VOCABULARY..][..VOCABULARY], "{matrices}: {length} up to {at}");
            }
            assert!(forward.state().unwrap() == after, "{matrices}");
        }
    }
}

#[test]
fn a_text_goes_on_where_the_other_device_stopped() {
    let Some(gpus) = devices() else { return };
    let file = file(PLAIN);
    let model = Model::new(&file).unwrap();
    let tokens = tokens(24);
    let mut cpu = rwkv7::Forward::new(&model, Threads::SERIAL);
    let mut gpu = Forward::new(&gpus[0], &model).unwrap();
    let mut expected = vec![0.0; tokens.len() * VOCABULARY];
    cpu.all(&mut State::new(model.config()), &tokens, &mut expected).unwrap();
    let (mut state, mut logits) = (State::new(model.config()), vec![0.0; VOCABULARY]);
    for (nth, part) in tokens.chunks(6).enumerate() {
        if nth % 2 == 0 {
            cpu.last(&mut state, part, &mut logits).unwrap();
        } else {
            gpu.set_state(&state).unwrap();
            gpu.last(part, &mut logits).unwrap();
            state = gpu.state().unwrap();
        }
        let found =
            Difference::new(&logits, &expected[(nth * 6 + 5) * VOCABULARY..][..VOCABULARY], VOCABULARY).unwrap();
        assert!(found.relative <= 1e-5, "{nth}: {found:?}");
    }
    // A state is what it was, with the same bits.
    gpu.set_state(&state).unwrap();
    assert_eq!(gpu.state().unwrap(), state);
    gpu.reset().unwrap();
    assert_eq!(gpu.state().unwrap(), State::new(model.config()));
}

#[test]
fn what_cannot_be_computed_is_refused_and_leaves_the_state() {
    let Some(gpus) = devices() else { return };
    let plain = file(PLAIN);
    let model = Model::new(&plain).unwrap();
    let mut forward = Forward::new(&gpus[0], &model).unwrap();
    let mut logits = vec![0.0; VOCABULARY];
    forward.last(&tokens(3), &mut logits).unwrap();
    let before = forward.state().unwrap();
    assert!(matches!(forward.greedy(&[]), Err(Rwkv7GpuError::Run(RunError::Empty))));
    let error = forward.last(&[1, VOCABULARY as u32], &mut logits).unwrap_err();
    assert!(matches!(error, Rwkv7GpuError::Run(RunError::Token { token: 97, position: 1, .. })), "{error}");
    let error = forward.all(&[1, 2], &mut logits).unwrap_err();
    assert!(matches!(error, Rwkv7GpuError::Run(RunError::Output { found: 97, wanted: 194 })), "{error}");
    let other = file(Recipe { head_size: 32, ..PLAIN });
    let other = State::new(Model::new(&other).unwrap().config());
    let error = forward.set_state(&other).unwrap_err();
    assert!(matches!(error, Rwkv7GpuError::Run(RunError::State { .. })), "{error}");
    assert_eq!(forward.state().unwrap(), before);
    // The token that the device chooses is the one that the host would.
    let mut fork = Forward::new(&gpus[0], &model).unwrap();
    fork.set_state(&before).unwrap();
    fork.last(&[7], &mut logits).unwrap();
    assert_eq!(forward.greedy(&[7]).unwrap(), greedy(&logits));
}
