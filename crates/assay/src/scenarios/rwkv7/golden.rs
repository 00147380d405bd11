//! What the logits of a text are, by slow and plain arithmetic.

use std::path::Path;

use ::rwkv7::quality::cycle;
use ::rwkv7::{Model, Vocabulary, reference};
use anyhow::{Context as _, Result, ensure};
use gguf::File;
use op::fnv1a;

use super::models::ModelFile;
use crate::commands::npy;
use crate::scenarios::own;

const SMALL: &[u8] = include_bytes!("../../../../../models/rwkv7-small/golden-f32.npy");
const SMALL_TOKENS: &str = include_str!("../../../../../models/rwkv7-small/golden-tokens.txt");

/// The text for every other model.
const TEXT: &str = "A reservoir above the town feeds two mills. Each spring the keeper opens the upper gate, counts \
    the planks that drift past, and writes the number into a ledger bound in green cloth. In dry years he closes it \
    again by June; in wet ones, the lower fields stand under water until the harvest. \"Seven planks,\" he wrote in \
    1893, and then, in another ink: seventeen.";
/// Positions of it that are compared.
const POSITIONS: usize = 64;

/// Tolerance of the relative RMS: activations are rounded to 8 bits before products with blocks.
const OF_BLOCKS: f64 = 2e-2;
/// The same where all products are of floats.
const OF_FLOATS: f64 = 1e-3;

/// The logits of each position of a text.
pub(super) struct Golden {
    pub(super) tokens: Vec<u32>,
    /// Positions x vocabulary.
    pub(super) logits: Vec<f32>,
    /// Largest relative RMS of what is compared with it.
    pub(super) tolerance: f64,
    /// Where it comes from.
    pub(super) from: String,
}

impl Golden {
    /// That of a model: stored for the repository's, else computed once in f64 and kept by the hash of the file.
    pub(super) fn of(file: &ModelFile, opened: &File, model: &Model<'_>) -> Result<Self> {
        let is_rounded = opened.tensors().any(|tensor| tensor.ty.block_len() > 1);
        let tolerance = if is_rounded { OF_BLOCKS } else { OF_FLOATS };
        if file.is_small {
            let tokens = SMALL_TOKENS.trim().split(',').map(str::parse).collect::<Result<_, _>>()?;
            let logits = npy::read_f32(SMALL)?;
            return Self { tokens, logits, tolerance, from: "f32 weights, NumPy in f64".to_owned() }.checked();
        }
        let vocabulary = Vocabulary::from_metadata(opened.metadata()).context("the model's text cannot be read")?;
        let mut tokens = vocabulary.encode(TEXT);
        tokens.truncate(POSITIONS);
        let kept = own::cache("goldens").map(|directory| {
            let hash = std::fs::read(&file.path).map(|bytes| fnv1a(&bytes));
            hash.map(|hash| directory.join(format!("rwkv7-{hash:016x}.npy")))
        });
        let kept = kept.transpose().with_context(|| file.path.display().to_string())?;
        let logits = match kept.as_deref().and_then(|kept| read(kept, tokens.len() * model.vocabulary())) {
            Some(logits) => logits,
            None => {
                announce(tokens.len());
                let exact = reference::logits(model, &mut reference::State::new(model.config()), &tokens)?;
                let logits: Vec<f32> = exact.into_iter().map(|logit| logit as f32).collect();
                if let Some(kept) = kept {
                    let shape = [tokens.len(), model.vocabulary()];
                    npy::write_f32(&kept, &shape, &logits).with_context(|| kept.display().to_string())?;
                }
                logits
            }
        };
        Self { tokens, logits, tolerance, from: "the same weights in f64".to_owned() }.checked()
    }

    /// Refuses a text that says nothing about quality.
    fn checked(self) -> Result<Self> {
        let period = cycle(&self.tokens);
        ensure!(period.is_none(), "the golden text ends in a cycle of {period:?} tokens, which says nothing");
        ensure!(self.logits.iter().all(|logit| logit.is_finite()), "the golden logits are not finite");
        Ok(self)
    }

    /// Of the text and its logits.
    pub(super) fn hash(&self) -> String {
        format!("{:016x}", ::rwkv7::quality::hash(&self.tokens, &self.logits))
    }
}

/// The logits of a file that is whole; anything else is made again.
fn read(path: &Path, len: usize) -> Option<Vec<f32>> {
    let logits = npy::read_f32(&std::fs::read(path).ok()?).ok()?;
    (logits.len() == len).then_some(logits)
}

#[expect(clippy::print_stderr, reason = "it may take a minute")]
fn announce(positions: usize) {
    eprintln!("computing the golden logits of {positions} positions in f64, once for this file …");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(tokens: Vec<u32>, logits: Vec<f32>) -> Result<Golden> {
        Golden { tokens, logits, tolerance: 0.0, from: String::new() }.checked()
    }

    #[test]
    fn a_cycling_text_and_broken_logits_are_refused() {
        assert!(golden((0..20).collect(), vec![1.0]).is_ok());
        // The two that `JoelTankard/web-rwkv-gguf` logged as good.
        for cycling in [[33, 3319, 153, 129].repeat(8), vec![2361; 32]] {
            assert!(golden(cycling, vec![1.0]).err().unwrap().to_string().contains("cycle"));
        }
        assert!(golden(vec![1, 2], vec![f32::NAN]).is_err());
    }
}
