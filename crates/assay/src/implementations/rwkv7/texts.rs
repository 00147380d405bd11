//! Texts and tokens that the cases read.

use std::fs;
use std::path::Path;

use ::rwkv7::Vocabulary;
use anyhow::{Context, Result};
use op::random::SplitMix64;

use super::models::TRAINED;

/// Texts of a fuzz corpus.
const COUNT: usize = 2000;

/// Tokens that are drawn evenly.
pub(super) fn random_tokens(seed: u64, vocabulary: usize, count: usize) -> Vec<u32> {
    let mut random = SplitMix64::new(seed);
    (0..count).map(|_| random.below(vocabulary) as u32).collect()
}

/// The held-out prompts of the trained model, with their answers.
pub(super) fn tasks() -> Result<Vec<(String, String)>> {
    let path = Path::new(TRAINED).join("tasks.json");
    let bytes = fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let tasks: Vec<serde_json::Value> = serde_json::from_slice(&bytes)?;
    let member = |task: &serde_json::Value, name: &str| task[name].as_str().unwrap_or_default().to_owned();
    Ok(tasks.iter().map(|task| (member(task, "prompt"), member(task, "answer"))).collect())
}

/// So many tokens of lines as the trained model knows them; each byte is a token.
pub(super) fn trained_tokens(count: usize) -> Result<Vec<u32>> {
    let lines: String = tasks()?.iter().map(|(prompt, answer)| format!("{prompt}{answer}\n")).collect();
    Ok(lines.bytes().cycle().take(count).map(u32::from).collect())
}

/// Texts of random bytes, of characters of all lengths, and of tokens, some of them cut.
pub(super) fn fuzz(vocabulary: &Vocabulary, seed: u64) -> Vec<Vec<u8>> {
    let mut random = SplitMix64::new(seed);
    (0..COUNT).map(|nth| text(vocabulary, &mut random, nth % 4)).collect()
}

fn text(vocabulary: &Vocabulary, random: &mut SplitMix64, kind: usize) -> Vec<u8> {
    let parts = random.below(100);
    let mut text = Vec::new();
    for _ in 0..parts {
        // The fourth kind is a mixture.
        match if kind < 3 { kind } else { random.below(3) } {
            0 => text.push(random.bits() as u8),
            1 => {
                let limit = [0x80, 0x800, 0x1_0000, 0x11_0000][random.below(4)];
                let character = char::from_u32(random.below(limit) as u32).unwrap_or(char::REPLACEMENT_CHARACTER);
                text.extend(character.to_string().bytes());
            }
            _ => {
                // The first token may stand for no text.
                let token = vocabulary.bytes(1 + random.below(vocabulary.len() - 1) as u32);
                let len = if random.below(2) == 0 { token.len() } else { random.below(token.len() + 1) };
                text.extend(&token[..len]);
            }
        }
    }
    text
}

/// Texts with the spelling of the token that ends a text.
pub(super) fn control() -> Vec<Vec<u8>> {
    ["<s>", "a<s>b", "<<s>>", "<s"].map(|text| text.as_bytes().to_vec()).to_vec()
}
