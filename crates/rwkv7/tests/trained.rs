//! The trained model of the repository: it answers what it was trained to answer, and its logits are near those of the
//! weights that it was quantized from.

use std::{fs, path::PathBuf};

use gguf::{File, Options};
use rwkv7::{Forward, Model, State, Threads, Vocabulary, greedy, quality::Difference, reference};

/// The text behind `golden-f32.npy`.
const TOKENS: &str = include_str!("../../../models/rwkv7-small/golden-tokens.txt");

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/rwkv7-small").join(name)
}

fn file() -> File {
    File::read(path("rwkv7-small-q4_k_m.gguf"), Options::default()).unwrap()
}

fn tokens() -> Vec<u32> {
    TOKENS.trim().split(',').map(|token| token.trim().parse().unwrap()).collect()
}

fn logits(model: &Model<'_>, tokens: &[u32]) -> Vec<f32> {
    let mut logits = vec![0.0; tokens.len() * model.vocabulary()];
    Forward::new(model, Threads::SERIAL).all(&mut State::new(model.config()), tokens, &mut logits).unwrap();
    logits
}

/// The numbers of a NumPy array of little-endian f32.
fn golden() -> Vec<f32> {
    let bytes = fs::read(path("golden-f32.npy")).unwrap();
    assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"));
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = String::from_utf8_lossy(&bytes[10..10 + header]);
    assert!(text.contains("'<f4'") && text.contains("False"), "{text}");
    bytes[10 + header..].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[test]
fn held_out_tasks_are_answered() {
    let file = file();
    let model = Model::new(&file).unwrap();
    let vocabulary = Vocabulary::from_metadata(file.metadata()).unwrap();
    let mut forward = Forward::new(&model, Threads::SERIAL);
    let mut logits = vec![0.0; model.vocabulary()];
    let tasks: serde_json::Value = serde_json::from_slice(&fs::read(path("tasks.json")).unwrap()).unwrap();
    for (name, at_least) in [("recall", 0.85), ("copy", 0.97), ("sum", 0.9)] {
        let (mut right, mut asked) = (0, 0);
        for task in tasks.as_array().unwrap().iter().filter(|task| task["task"] == name) {
            let answer = vocabulary.encode(task["answer"].as_str().unwrap());
            let mut state = State::new(model.config());
            let mut next = vocabulary.encode(task["prompt"].as_str().unwrap());
            let mut is_right = true;
            for &expected in &answer {
                forward.last(&mut state, &next, &mut logits).unwrap();
                let token = greedy(&logits);
                is_right &= token == expected;
                next = vec![token];
            }
            right += usize::from(is_right);
            asked += 1;
        }
        let share = right as f64 / asked as f64;
        assert!(asked >= 40 && share >= at_least, "{name}: {right} of {asked}");
    }
}

#[test]
fn quantized_logits_are_near_those_of_an_independent_program_on_the_unquantized_weights() {
    let file = file();
    let model = Model::new(&file).unwrap();
    let (tokens, golden) = (tokens(), golden());
    let found = Difference::new(&logits(&model, &tokens), &golden, model.vocabulary()).unwrap();
    assert_eq!(found.positions, tokens.len());
    assert!(found.relative <= 2e-2 && found.divergence <= 0.1, "{found:?}");
    // The order of tokens matters.
    let turned: Vec<u32> = tokens.iter().rev().copied().collect();
    let other = Difference::new(&logits(&model, &turned), &golden, model.vocabulary()).unwrap();
    assert!(other.relative > 0.1, "{other:?}");
}

#[test]
fn rounding_activations_costs_less_than_quantizing_weights() {
    let file = file();
    let model = Model::new(&file).unwrap();
    let tokens = tokens();
    let exact = reference::logits(&model, &mut reference::State::new(model.config()), &tokens).unwrap();
    let exact: Vec<f32> = exact.into_iter().map(|x| x as f32).collect();
    let found = Difference::new(&logits(&model, &tokens), &exact, model.vocabulary()).unwrap();
    assert!(found.relative <= 8e-3 && found.agreeing + 4 >= tokens.len(), "{found:?}");
}
