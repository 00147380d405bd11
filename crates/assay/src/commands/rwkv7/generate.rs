//! `assay rwkv7 generate`.

use std::io::{self, Write};
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Args;
use rwkv7::{Sampler, Vocabulary};

use super::{Running, Text};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    running: Running,
    #[command(flatten)]
    text: Text,
    /// Tokens to generate, at most: the token that ends a text ends it
    #[arg(long, default_value_t = 128)]
    length: usize,
    /// 0 takes the most probable token; larger numbers take others more often
    #[arg(long, default_value_t = 0.0)]
    temperature: f32,
    /// Only the most probable tokens that together have this probability are taken
    #[arg(long, default_value_t = 1.0)]
    top_p: f32,
    /// Seed of the choices
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What a run took.
struct Times {
    /// What computed, where it was not the CPU.
    device: Option<String>,
    load_s: f64,
    prompt_s: f64,
    prompt: usize,
    generation_s: f64,
    generated: usize,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.temperature >= 0.0, "--temperature is {}, not 0 or more", arguments.temperature);
    ensure!((0.0..=1.0).contains(&arguments.top_p), "--top-p is {}, not from 0 to 1", arguments.top_p);
    let begin = Instant::now();
    let file = super::open(&arguments.running.model)?;
    let model = super::model_of(&file, &arguments.running.model)?;
    let vocabulary = Vocabulary::from_metadata(file.metadata()).ok();
    let tokens = arguments.text.tokens(&file)?;
    let load_s = begin.elapsed().as_secs_f64();
    let times = arguments.running.on_threads(|| -> Result<Times> {
        let begin = Instant::now();
        let mut sequence = arguments.running.sequence(&model)?;
        let load_s = load_s + begin.elapsed().as_secs_f64();
        let mut sampler = Sampler::new(arguments.temperature, arguments.top_p, arguments.seed);
        let mut logits = vec![0.0; model.vocabulary()];
        let begin = Instant::now();
        let mut token = sequence.next(&tokens, &mut sampler, &mut logits)?;
        let prompt_s = begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        let end = vocabulary.as_ref().and_then(Vocabulary::end);
        let mut generated = 0;
        while generated < arguments.length {
            if Some(token) == end || !show(vocabulary.as_ref(), token, generated)? {
                break;
            }
            generated += 1;
            token = sequence.next(&[token], &mut sampler, &mut logits)?;
        }
        let generation_s = begin.elapsed().as_secs_f64();
        let device = sequence.device().map(str::to_owned);
        Ok(Times { device, load_s, prompt_s, prompt: tokens.len(), generation_s, generated })
    })??;
    show_end()?;
    summary(&times);
    Ok(())
}

/// Writes a token's bytes, or its number where there is no vocabulary. False if nobody reads any more.
fn show(vocabulary: Option<&Vocabulary>, token: u32, nth: usize) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    let outcome = match vocabulary {
        Some(vocabulary) => out.write_all(vocabulary.bytes(token)),
        None => write!(out, "{}{token}", if nth == 0 { "" } else { "," }),
    };
    match outcome.and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        other => other.map(|()| true),
    }
}

fn show_end() -> io::Result<()> {
    match writeln!(io::stdout()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

#[expect(clippy::print_stderr, reason = "times are no part of the text")]
fn summary(times: &Times) {
    let rate = |tokens: usize, seconds: f64| if seconds > 0.0 { tokens as f64 / seconds } else { 0.0 };
    let Times { ref device, load_s, prompt_s, prompt, generation_s, generated } = *times;
    if let Some(device) = device {
        eprintln!("device      {device}");
    }
    eprintln!("load        {:.1} ms", 1e3 * load_s);
    eprintln!("prompt      {prompt} tokens, {:.1} ms, {:.1} tokens/s", 1e3 * prompt_s, rate(prompt, prompt_s));
    eprintln!(
        "generation  {generated} tokens, {:.1} ms, {:.1} tokens/s",
        1e3 * generation_s,
        rate(generated, generation_s)
    );
}
