//! What a device is asked to do for a token, exactly.

use gpu::{Choice, Counts, Wgpu};
use quant::GgmlType::{F16, Q4_K};
use rwkv7::Model;
use rwkv7_gpu::Forward;

use crate::{
    devices,
    file::{LAYERS, PLAIN, Recipe, VOCABULARY, file, tokens},
};

/// Dispatches, barriers, passes, submissions, bytes sent and bytes fetched since `before`.
fn since(gpu: &Wgpu, before: &Counts) -> [u64; 6] {
    let now = gpu.counts().since(before);
    let made = (now.pipelines, now.bind_groups, now.buffers);
    assert_eq!(made, (0, 0, 0), "a token compiles, binds and allocates nothing");
    [now.dispatches, now.barriers, now.passes, now.submissions, now.uploaded_bytes, now.read_bytes]
}

#[test]
fn a_token_is_one_pass_and_one_readback() {
    let Some(gpus) = devices() else { return };
    let layers = LAYERS as u64;
    // In blocks, four sets of rows are rounded in each layer, and one before the head.
    for (matrices, per_layer, waits, head) in [(Q4_K, 15, 11, 3), (F16, 11, 8, 2)] {
        let file = file(Recipe { matrices, low: F16, ..PLAIN });
        let model = Model::new(&file).unwrap();
        let gpu = &gpus[0];
        let mut forward = Forward::new(gpu, &model).unwrap();
        let before = gpu.counts();
        forward.greedy(&[1]).unwrap();
        let row = 256 * 4 + 16;
        let (dispatches, barriers) = (1 + per_layer * layers + head + 1, waits * layers + head + 1);
        assert_eq!(since(gpu, &before), [dispatches, barriers, 1, 1, row, 4], "{matrices}");

        // A prompt of three chunks: logits are computed behind the last one alone.
        let before = gpu.counts();
        let mut logits = vec![0.0; VOCABULARY];
        forward.last(&tokens(37), &mut logits).unwrap();
        let (dispatches, barriers) = (3 * (1 + per_layer * layers) + head, 3 * waits * layers + head);
        let sent = 37 * 256 * 4 + 3 * 16;
        let fetched = 4 * VOCABULARY.next_multiple_of(16) as u64;
        assert_eq!(since(gpu, &before), [dispatches, barriers, 3, 3, sent, fetched], "{matrices}");
    }
}

#[test]
fn weights_are_kept_in_their_blocks_and_layers_share_pipelines() {
    let Some(gpus) = devices() else { return };
    let file = file(Recipe { matrices: Q4_K, low: F16, ..PLAIN });
    let model = Model::new(&file).unwrap();
    let gpu = Wgpu::open(&Choice::Named(gpus[0].identity().name.clone())).unwrap();
    let forward = Forward::new(&gpu, &model).unwrap();
    // Two norms, two mixes, a projection, the recurrence, the choice; rounding; products stored, added from rows of two
    // lengths, squared, and none more for the head.
    assert_eq!(gpu.counts().pipelines, 7 + 1 + 4);
    // As in the file but for a sixteenth more for the unpacked scales of Q4_K, the embedding's row, and buffers' ends.
    let in_file = model.bytes_per_token() as u64;
    let bytes = forward.weight_bytes();
    assert!(bytes >= in_file * 99 / 100 && bytes <= in_file * 107 / 100, "{bytes} of {in_file}");
    let held = gpu.counts();
    assert_eq!(held.by_label["weights"] + held.by_label["vectors"], bytes);
    assert_eq!(held.by_label["state"], LAYERS as u64 * 256 * (2 + 64) * 4);
    drop(forward);
    assert_eq!(gpu.counts().live_bytes, 0, "{:?}", gpu.counts().by_label);
}
