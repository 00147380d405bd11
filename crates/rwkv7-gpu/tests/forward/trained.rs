//! The trained model of the repository: the same answers as on the CPU, and logits near those of an independent
//! program.

use std::{fs, path::PathBuf};

use gguf::{File, Options};
use rwkv7::{Model, State, Threads, Vocabulary, greedy, quality::Difference, reference};
use rwkv7_gpu::Forward;

use crate::devices;

/// The text behind `golden-f32.npy`.
const TOKENS: &str = include_str!("../../../../models/rwkv7-small/golden-tokens.txt");

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/rwkv7-small").join(name)
}

fn file() -> File {
    File::read(path("rwkv7-small-q4_k_m.gguf"), Options::default()).unwrap()
}

/// The numbers of a NumPy array of little-endian f32.
fn golden() -> Vec<f32> {
    let bytes = fs::read(path("golden-f32.npy")).unwrap();
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[10 + header..].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[test]
fn logits_are_near_the_oracle_and_the_golden_ones() {
    let Some(gpus) = devices() else { return };
    let file = file();
    let model = Model::new(&file).unwrap();
    let tokens: Vec<u32> = TOKENS.trim().split(',').map(|token| token.trim().parse().unwrap()).collect();
    let mut forward = Forward::new(&gpus[0], &model).unwrap();
    let mut logits = vec![0.0; tokens.len() * model.vocabulary()];
    forward.all(&tokens, &mut logits).unwrap();
    // The bounds are those of the CPU: rounding activations to 8 bits, and quantizing weights.
    let exact = reference::logits(&model, &mut reference::State::new(model.config()), &tokens).unwrap();
    let exact: Vec<f32> = exact.into_iter().map(|x| x as f32).collect();
    let found = Difference::new(&logits, &exact, model.vocabulary()).unwrap();
    assert!(found.relative <= 8e-3 && found.agreeing + 4 >= tokens.len(), "{found:?}");
    let found = Difference::new(&logits, &golden(), model.vocabulary()).unwrap();
    assert!(found.positions == tokens.len() && found.relative <= 2e-2 && found.divergence <= 0.1, "{found:?}");
}

#[test]
fn greedy_answers_are_those_of_the_cpu() {
    let Some(gpus) = devices() else { return };
    let file = file();
    let model = Model::new(&file).unwrap();
    let vocabulary = Vocabulary::from_metadata(file.metadata()).unwrap();
    let mut cpu = rwkv7::Forward::new(&model, Threads::SERIAL);
    let mut gpu = Forward::new(&gpus[0], &model).unwrap();
    let mut logits = vec![0.0; model.vocabulary()];
    let tasks: serde_json::Value = serde_json::from_slice(&fs::read(path("tasks.json")).unwrap()).unwrap();
    let mut right = 0;
    let chosen: Vec<_> = tasks.as_array().unwrap().iter().step_by(17).collect();
    for task in &chosen {
        let [prompt, answer] = ["prompt", "answer"].map(|key| vocabulary.encode(task[key].as_str().unwrap()));
        let mut state = State::new(model.config());
        gpu.reset().unwrap();
        let (mut on_cpu, mut on_gpu) = (Vec::new(), Vec::new());
        for nth in 0..answer.len() {
            cpu.last(&mut state, if nth == 0 { &prompt } else { &on_cpu[nth - 1..] }, &mut logits).unwrap();
            on_cpu.push(greedy(&logits));
            let token = gpu.greedy(if nth == 0 { &prompt } else { &on_gpu[nth - 1..] }).unwrap();
            on_gpu.push(token);
        }
        assert_eq!(on_gpu, on_cpu, "{task}");
        right += usize::from(on_gpu == answer);
    }
    assert!(chosen.len() >= 10 && right * 5 >= chosen.len() * 4, "{right} of {}", chosen.len());
}
