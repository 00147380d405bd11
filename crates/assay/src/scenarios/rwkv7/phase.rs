//! The phases: what each computes, how that is proved, and how it is timed.

use std::str::FromStr;
use std::time::{Duration, Instant};

use ::rwkv7::quality::{self, Difference};
use ::rwkv7::{Model, Threads, Vocabulary, greedy};
use anyhow::{Context as _, Error, Result, bail, ensure};
use gguf::Options;
use machine::cache::Caches;
use machine::ceiling::Level;
use record::Unit;
use scenario::{Bursts, Measured};

use super::models::ModelFile;
use crate::commands::gguf::map;
use crate::commands::rwkv7::{Device, Sequence};
use crate::scenarios::cold;

/// Tokens that are generated.
const GENERATED: usize = 64;
/// Tokens of a prompt that are also computed one at a time, for the proof.
const ALSO_ALONE: usize = 128;
/// Iterations go on so long at least.
const LEAST: Duration = Duration::from_millis(500);
/// And are so many at least.
const ITERATIONS: usize = 3;

/// What computes.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) device: Device,
    pub(super) threads: Threads,
}

impl Place {
    /// A sequence before its first token.
    pub(super) fn sequence<'m, 'a>(self, model: &'m Model<'a>) -> Result<Sequence<'m, 'a>> {
        Sequence::new(self.device, (self.threads, ::rwkv7::CHUNK), model)
    }
}

/// What a cell times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Load { is_cold: bool },
    Prefill { tokens: usize },
    Generate,
}

impl FromStr for Phase {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "load-warm" => Self::Load { is_cold: false },
            "load-cold" => Self::Load { is_cold: true },
            "generate-64" => Self::Generate,
            other => match other.strip_prefix("prefill-").map(str::parse) {
                Some(Ok(tokens)) => Self::Prefill { tokens },
                _ => bail!("no phase is named {other}"),
            },
        })
    }
}

/// Most that the length of chunks may change logits, as relative RMS: the order of float sums, and of blocks nothing.
const ORDER_OF_SUMS: f64 = 1e-5;

/// What a phase gave.
pub(super) struct Output {
    pub(super) tokens: Vec<u32>,
    /// Of the tokens and of the largest logit behind the last.
    pub(super) hash: String,
    /// How far its logits are from those that another way gives.
    difference: Option<Difference>,
}

impl Output {
    fn new(tokens: Vec<u32>, largest: &[f32], difference: Option<Difference>) -> Self {
        let hash = format!("{:016x}", quality::hash(&tokens, largest));
        Self { tokens, hash, difference }
    }

    /// Why it is not what the other way gives.
    pub(super) fn failure(&self) -> Option<String> {
        let difference = self.difference.as_ref()?;
        let is_near = difference.relative <= ORDER_OF_SUMS;
        (!is_near).then(|| {
            format!("computed together and one by one, logits differ by more than {ORDER_OF_SUMS:.0e}: {difference:?}")
        })
    }

    /// The hash that `JoelTankard/web-rwkv-gguf` logs.
    pub(super) fn folded(&self) -> String {
        format!("{:x}", quality::folded(&self.tokens))
    }

    /// Whether the tokens say anything.
    pub(super) fn tail(&self) -> String {
        match quality::cycle(&self.tokens) {
            Some(period) => format!("a cycle of {period}: these tokens say nothing, the logits do"),
            None => format!("no cycle of up to {}", quality::LONGEST_PERIOD),
        }
    }
}

impl Phase {
    /// Runs the phase once, and computes what it gives in another way.
    pub(super) fn prove(
        self,
        (file, place): (&ModelFile, Place),
        sequence: &mut Sequence<'_, '_>,
        text: &[u32],
        vocabulary: usize,
    ) -> Result<Output> {
        let mut logits = vec![0.0; vocabulary];
        match self {
            Self::Load { .. } => Ok(load(file, place, text)?.output),
            Self::Prefill { tokens } => {
                let prompt = repeated(text, tokens);
                let output = prefill(sequence, &prompt, &mut logits)?;
                let difference = one_by_one(sequence, &prompt[..tokens.min(ALSO_ALONE)], vocabulary)?;
                Ok(Output { difference: Some(difference), ..output })
            }
            Self::Generate => {
                let (output, _) = generate(sequence, text, &mut logits)?;
                let difference = given(sequence, text, &output.tokens, vocabulary)?;
                Ok(Output { difference: Some(difference), ..output })
            }
        }
    }

    /// Times the phase, and says what it gave.
    pub(super) fn time(
        self,
        (file, place): (&ModelFile, Place),
        text: &[u32],
        measured: &mut Measured,
    ) -> Result<Output> {
        if let Self::Load { is_cold } = self {
            return time_load((file, place), is_cold, text, measured);
        }
        let opened = map(&file.path, Options::default())?;
        let model = Model::new(&opened)?;
        let mut sequence = place.sequence(&model)?;
        let mut logits = vec![0.0; model.vocabulary()];
        if let Self::Prefill { tokens } = self {
            let prompt = repeated(text, tokens);
            let (output, median_s) = iterate(measured, || {
                sequence.reset()?;
                let begin = Instant::now();
                let output = prefill(&mut sequence, &prompt, &mut logits)?;
                Ok((output, begin.elapsed().as_secs_f64()))
            })?;
            measured.rate("tokens_per_s", tokens as f64 / median_s, Unit::ElementsPerSecond);
            return Ok(output);
        }
        // What a GPU reads is not bound by this machine's memory.
        let mut ceiling = Bursts::read(level(model.bytes_per_token()), place.threads.get());
        let has_ceiling = place.device == Device::Cpu && ceiling.burst().is_ok();
        let (output, median_s) = iterate(measured, || generate(&mut sequence, text, &mut logits))?;
        measured.rate("tokens_per_s", GENERATED as f64 / median_s, Unit::ElementsPerSecond);
        if has_ceiling
            && ceiling.burst().is_ok()
            && let Some(sample) = ceiling.sample()
        {
            let bytes = (GENERATED * model.bytes_per_token()) as f64;
            measured.rate_under("weights_bytes_per_s", bytes / median_s, sample);
        }
        Ok(output)
    }
}

/// Runs once untimed, then again and again. The result of each must be the same.
fn iterate(measured: &mut Measured, mut run: impl FnMut() -> Result<(Output, f64)>) -> Result<(Output, f64)> {
    let (first, _) = run()?;
    measured.memory_from_here();
    let (begin, mut seconds) = (Instant::now(), Vec::new());
    while seconds.len() < ITERATIONS || begin.elapsed() < LEAST {
        let (output, took_s) = run()?;
        ensure!(output.hash == first.hash, "two runs of the same gave {} and {}", first.hash, output.hash);
        seconds.push(took_s);
    }
    measured.memory_to_here();
    measured.iterations("phase_s", &seconds, 1);
    let median_s = record::stats::median(&seconds).context("nothing was timed")?;
    Ok((first, median_s))
}

/// A prompt of so many tokens.
fn repeated(text: &[u32], tokens: usize) -> Vec<u32> {
    text.iter().copied().cycle().take(tokens).collect()
}

/// The most probable token behind a prompt. The sequence begins anew.
fn prefill(sequence: &mut Sequence<'_, '_>, prompt: &[u32], logits: &mut [f32]) -> Result<Output> {
    sequence.reset()?;
    sequence.last(prompt, logits)?;
    let token = greedy(logits);
    Ok(Output::new(vec![token], &[logits[token as usize]], None))
}

/// Logits of a prompt's last token, all tokens together, against those of one token at a time.
fn one_by_one(sequence: &mut Sequence<'_, '_>, prompt: &[u32], vocabulary: usize) -> Result<Difference> {
    let [mut together, mut alone] = [0; 2].map(|_| vec![0.0; vocabulary]);
    sequence.reset()?;
    sequence.last(prompt, &mut together)?;
    sequence.reset()?;
    for token in prompt {
        sequence.last(&[*token], &mut alone)?;
    }
    Difference::new(&together, &alone, vocabulary).context("different numbers of logits")
}

/// Logits behind a text and tokens that follow it, token by token, against those of all tokens together.
fn given(sequence: &mut Sequence<'_, '_>, text: &[u32], tokens: &[u32], vocabulary: usize) -> Result<Difference> {
    let all = [text, tokens].concat();
    let mut together = vec![0.0; all.len() * vocabulary];
    sequence.reset()?;
    sequence.all(&all, &mut together)?;
    let mut alone = vec![0.0; tokens.len() * vocabulary];
    sequence.reset()?;
    sequence.last(text, &mut alone[..vocabulary])?;
    for (token, logits) in tokens.iter().zip(alone.chunks_exact_mut(vocabulary)) {
        sequence.last(&[*token], logits)?;
    }
    let behind = &together[text.len() * vocabulary..];
    Difference::new(&alone, behind, vocabulary).context("different numbers of logits")
}

/// Continues a text greedily; the time is that of the tokens behind it. Logits are read for the last one alone.
fn generate(sequence: &mut Sequence<'_, '_>, text: &[u32], logits: &mut [f32]) -> Result<(Output, f64)> {
    sequence.reset()?;
    let mut token = sequence.greedy(text, logits)?;
    let mut tokens = Vec::with_capacity(GENERATED);
    let begin = Instant::now();
    for _ in 1..GENERATED {
        tokens.push(token);
        token = sequence.greedy(&[token], logits)?;
    }
    tokens.push(token);
    sequence.last(&[token], logits)?;
    let took_s = begin.elapsed().as_secs_f64();
    let largest = logits[greedy(logits) as usize];
    Ok((Output::new(tokens, &[largest], None), took_s))
}

/// What a load took, stage by stage, and the first token that it led to. Seconds.
struct Load {
    open_s: f64,
    model_s: f64,
    vocabulary_s: f64,
    first_logits_s: f64,
    output: Output,
}

impl Load {
    fn total_s(&self) -> f64 {
        self.open_s + self.model_s + self.vocabulary_s + self.first_logits_s
    }
}

/// From the path to the logits of the text's first token.
fn load(file: &ModelFile, place: Place, text: &[u32]) -> Result<Load> {
    let mut begin = Instant::now();
    let mut lap = || std::mem::replace(&mut begin, Instant::now()).elapsed().as_secs_f64();
    let opened = map(&file.path, Options::default())?;
    let open_s = lap();
    let model = Model::new(&opened)?;
    let model_s = lap();
    let vocabulary = Vocabulary::from_metadata(opened.metadata())?;
    let vocabulary_s = lap();
    let mut logits = vec![0.0; model.vocabulary()];
    let output = prefill(&mut place.sequence(&model)?, &text[..1], &mut logits)?;
    let first_logits_s = lap();
    drop(vocabulary);
    Ok(Load { open_s, model_s, vocabulary_s, first_logits_s, output })
}

fn time_load(
    (file, place): (&ModelFile, Place),
    is_cold: bool,
    text: &[u32],
    measured: &mut Measured,
) -> Result<Output> {
    let cached = if is_cold { cold::evict(&file.path)? } else { cold::cached_share(&file.path)? };
    measured.ran("cached_before", format!("{:.0} %", 100.0 * cached));
    measured.memory_from_here();
    let load = load(file, place, text)?;
    measured.memory_to_here();
    measured.seconds("open_s", load.open_s).seconds("model_s", load.model_s);
    measured.seconds("vocabulary_s", load.vocabulary_s).seconds("first_logits_s", load.first_logits_s);
    measured.seconds("phase_s", load.total_s());
    Ok(load.output)
}

/// Where weights are read from, token after token.
fn level(bytes: usize) -> Level {
    let caches = Caches::detect();
    if 2 * bytes <= caches.l2_bytes {
        Level::L2
    } else if 2 * bytes <= caches.last_level_total_bytes() {
        Level::L3
    } else {
        Level::Memory
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_named() {
        assert_eq!("prefill-512".parse::<Phase>().unwrap(), Phase::Prefill { tokens: 512 });
        assert_eq!("load-cold".parse::<Phase>().unwrap(), Phase::Load { is_cold: true });
        for wrong in ["prefill", "prefill-x", "", "generate"] {
            assert!(wrong.parse::<Phase>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn other_logits_fail() {
        let of = |found: [f32; 2]| Output::new(vec![1], &[2.0], Difference::new(&found, &[1.0, 2.0], 2));
        assert_eq!(of([1.0, 2.000_001]).failure(), None);
        assert!(of([1.0, 2.001]).failure().is_some());
        assert!(of([f32::NAN; 2]).failure().is_some());
    }

    #[test]
    fn a_cycle_is_called_one() {
        let tail = |tokens: Vec<u32>| Output::new(tokens, &[], None).tail();
        assert!(tail([33, 3319, 153, 129].repeat(8)).starts_with("a cycle of 4"));
        assert!(tail((0..64).map(|i| i * i % 61).collect()).starts_with("no cycle"));
    }
}
