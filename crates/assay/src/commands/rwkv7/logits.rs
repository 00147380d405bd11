//! `assay rwkv7 logits` and `perplexity`.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

use super::{Running, Text};
use crate::commands::npy;
use crate::print;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    running: Running,
    #[command(flatten)]
    text: Text,
    /// The array to write; it appears as a whole or not at all
    #[arg(long)]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct PerplexityArguments {
    #[command(flatten)]
    running: Running,
    #[command(flatten)]
    text: Text,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let file = super::open(&arguments.running.model)?;
    let model = super::model_of(&file, &arguments.running.model)?;
    let tokens = arguments.text.tokens(&file)?;
    let logits = arguments.running.on_threads(|| -> Result<Vec<f32>> {
        let mut logits = vec![0.0; tokens.len() * model.vocabulary()];
        arguments.running.sequence(&model)?.all(&tokens, &mut logits)?;
        Ok(logits)
    })??;
    npy::write_f32(&arguments.out, &[tokens.len(), model.vocabulary()], &logits)
}

pub(super) fn perplexity(arguments: &PerplexityArguments) -> Result<()> {
    let file = super::open(&arguments.running.model)?;
    let model = super::model_of(&file, &arguments.running.model)?;
    let tokens = arguments.text.tokens(&file)?;
    ensure!(tokens.len() >= 2, "the text has one token: nothing follows from it that could be compared");
    let nats = arguments.running.on_threads(|| -> Result<f64> {
        let (vocabulary, chunk) = (model.vocabulary(), arguments.running.chunk.max(1));
        let mut sequence = arguments.running.sequence(&model)?;
        let mut logits = vec![0.0; chunk.min(tokens.len()) * vocabulary];
        let mut nats = 0.0;
        for (nth, part) in tokens[..tokens.len() - 1].chunks(chunk).enumerate() {
            let logits = &mut logits[..part.len() * vocabulary];
            sequence.all(part, logits)?;
            let next = &tokens[nth * chunk + 1..];
            nats +=
                logits.chunks_exact(vocabulary).zip(next).map(|(logits, &next)| surprise(logits, next)).sum::<f64>();
        }
        Ok(nats / (tokens.len() - 1) as f64)
    })??;
    print::lines([
        format!("tokens      {}", tokens.len() - 1),
        format!("surprise    {nats:.4} nats, {:.4} bits", nats / std::f64::consts::LN_2),
        format!("perplexity  {:.4}", nats.exp()),
    ])
}

/// -ln of the probability of a token.
fn surprise(logits: &[f32], token: u32) -> f64 {
    let largest = logits.iter().fold(f64::NEG_INFINITY, |largest, &logit| largest.max(logit.into()));
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum();
    largest + sum.ln() - f64::from(logits[token as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surprise_of_equal_logits_is_the_logarithm_of_their_number() {
        assert!((surprise(&[7.0; 8], 3) - 8_f64.ln()).abs() < 1e-12);
        assert!(surprise(&[0.0, 100.0], 1) < 1e-12 && surprise(&[0.0, 100.0], 0) > 99.0);
    }
}
