//! Our side of RWKV-7: a file to logits, prompts, generated tokens, and texts to tokens.

mod cases;
mod models;
mod texts;

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ::gguf::{File, Options};
use ::rwkv7::{Forward, Model, RunError, State, Threads, Vocabulary, greedy};
use op::CaseRow;
use peer::{Case, Clocked, Closures, Description, Implementation, Load, Ran, Refusal, found};

use crate::commands::gguf::map;
use cases::{Run, Texts, Weights, Work};

/// Of random tokens.
const TOKEN_SEED: u64 = 5;

pub(super) struct Rwkv7 {
    threads: Threads,
}

impl Rwkv7 {
    pub(super) fn new(threads: NonZeroUsize) -> Self {
        Self { threads: threads.into() }
    }
}

impl Implementation for Rwkv7 {
    fn describe(&mut self) -> Result<Description, String> {
        Ok(Description::new("assay", env!("CARGO_PKG_VERSION"), format!("threads: {}, mapped", self.threads)))
    }

    fn cases(&mut self) -> Result<Vec<CaseRow>, Refusal> {
        Ok(super::rows(&cases::cases()))
    }

    fn inputs(&mut self, case: &Case, dir: &Path) -> Result<(), Refusal> {
        let Run { model, work } = case.read()?;
        models::make(model, dir).map_err(chain)?;
        let count = match work {
            Work::Generate { prompt, tokens } => prompt + tokens,
            Work::Prefill { tokens } | Work::Logits { tokens, .. } => tokens,
            Work::Load => 1,
            Work::Greedy { .. } => {
                // Every second one: prompts of all three tasks.
                let prompts = texts::tasks().map_err(chain)?.into_iter().step_by(2);
                let prompts: Vec<Vec<u8>> = prompts.map(|(prompt, _)| prompt.into_bytes()).collect();
                return Ok(peer::write_texts(&dir.join("texts"), &prompts)?);
            }
            Work::Tokenize { texts, seed } => {
                let file = map(&dir.join("model.gguf"), Options::default()).map_err(refused)?;
                let vocabulary = Vocabulary::from_metadata(file.metadata()).map_err(refused)?;
                let texts = match texts {
                    Texts::Fuzz => texts::fuzz(&vocabulary, seed as u64),
                    Texts::Control => texts::control(),
                };
                return Ok(peer::write_texts(&dir.join("texts"), &texts)?);
            }
        };
        let tokens = if model.weights == Weights::Trained {
            texts::trained_tokens(count).map_err(chain)?
        } else {
            let file = map(&dir.join("model.gguf"), Options::default()).map_err(refused)?;
            let vocabulary = Model::new(&file).map_err(refused)?.vocabulary();
            texts::random_tokens(TOKEN_SEED, vocabulary, count)
        };
        let bytes: Vec<u8> = tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
        Ok(peer::write(&dir.join("tokens"), &bytes)?)
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Load<'_> {
        let Run { work, .. } = case.read()?;
        let (path, threads) = (inputs.join("model.gguf"), self.threads);
        let open = || Session::open(&path, threads);
        match work {
            Work::Generate { prompt, .. } => generate(open()?, tokens(inputs)?, prompt, threads),
            Work::Prefill { .. } => prefill(open()?, tokens(inputs)?, threads),
            Work::Load => first_logits(path, tokens(inputs)?, threads),
            Work::Logits { batch, .. } => {
                let (Session { forward, mut state, .. }, tokens) = (open()?, tokens(inputs)?);
                let mut logits = vec![0.0; tokens.len() * forward.model().vocabulary()];
                forward.chunk(batch).all(&mut state, &tokens, &mut logits).map_err(refused)?;
                Ok(Closures::boxed(ran(threads), || (), move || bytes(&logits)))
            }
            Work::Greedy { tokens: most } => {
                let (mut session, texts) = (open()?, peer::read_texts(&inputs.join("texts"))?);
                let vocabulary = Vocabulary::from_metadata(session.file.metadata()).map_err(refused)?;
                let answers = texts.iter().map(|text| session.answer(&vocabulary.encode(text), most));
                let answers = answers.collect::<Result<Vec<_>, _>>().map_err(refused)?;
                Ok(Closures::boxed(ran(threads), || (), move || found::numbered(&answers).into_bytes()))
            }
            Work::Tokenize { .. } => {
                let file = map(&path, Options::default()).map_err(refused)?;
                let vocabulary = Vocabulary::from_metadata(file.metadata()).map_err(refused)?;
                let texts = peer::read_texts(&inputs.join("texts"))?;
                let tokens: Vec<Vec<u32>> = texts.iter().map(|text| vocabulary.encode(text)).collect();
                Ok(Closures::boxed(Ran::by("rwkv7", "encode"), || (), move || found::numbered(&tokens).into_bytes()))
            }
        }
    }
}

fn ran(threads: Threads) -> Ran {
    let best = simd::InstructionSet::best();
    Ran { threads: threads.get(), ..Ran::new(best.kernel_name(), best.isa().to_string()) }
}

fn tokens(inputs: &Path) -> Result<Vec<u32>, Refusal> {
    let bytes = std::fs::read(inputs.join("tokens"))?;
    Ok(bytes.as_chunks().0.iter().map(|&token| u32::from_le_bytes(token)).collect())
}

/// A model at work.
struct Session {
    file: &'static File,
    forward: Forward<'static, 'static>,
    state: State,
    logits: Vec<f32>,
}

impl Session {
    /// The file and the model live as long as the process, which opens each case once and ends with its set: they are
    /// a mapping and views of it.
    fn open(path: &Path, threads: Threads) -> Result<Self, Refusal> {
        let file: &File = Box::leak(Box::new(map(path, Options::default()).map_err(refused)?));
        let model: &Model<'_> = Box::leak(Box::new(Model::new(file).map_err(refused)?));
        let (state, logits) = (State::new(model.config()), vec![0.0; model.vocabulary()]);
        Ok(Self { file, forward: Forward::new(model, threads), state, logits })
    }

    fn last(&mut self, tokens: &[u32]) -> Result<(), RunError> {
        self.forward.last(&mut self.state, tokens, &mut self.logits)
    }

    /// What follows a text, up to the end of the line, at most so many tokens.
    fn answer(&mut self, text: &[u32], most: usize) -> Result<Vec<u32>, RunError> {
        let mut answer = Vec::new();
        self.state.reset();
        self.last(text)?;
        loop {
            let token = greedy(&self.logits);
            if answer.len() == most || token == u32::from(b'\n') {
                return Ok(answer);
            }
            answer.push(token);
            self.last(&[token])?;
        }
    }

    /// The time of so many tokens, each the most probable one. The prompt is not timed.
    fn generate(&mut self, prompt: &[u32], tokens: usize) -> Result<Duration, RunError> {
        self.state.reset();
        self.last(prompt)?;
        let mut token = greedy(&self.logits);
        let start = Instant::now();
        for _ in 0..tokens {
            self.last(&[token])?;
            token = greedy(&self.logits);
        }
        Ok(start.elapsed())
    }

    fn prefill(&mut self, tokens: &[u32]) -> Result<Duration, RunError> {
        self.state.reset();
        let start = Instant::now();
        self.last(tokens)?;
        Ok(start.elapsed())
    }

    /// The logits after a prompt and tokens that follow it one by one.
    fn forced(&mut self, prompt: &[u32], tokens: &[u32]) -> Result<(), RunError> {
        self.state.reset();
        self.last(prompt)?;
        tokens.iter().try_for_each(|&token| self.last(&[token]))
    }
}

/// Tokens of random weights hang on roundings: what is compared is computed by the same calls for given tokens.
fn generate(mut session: Session, mut prompt: Vec<u32>, len: usize, threads: Threads) -> Load<'static> {
    let given = prompt.split_off(len);
    session.forced(&prompt, &given).map_err(refused)?;
    let compared = bytes(&session.logits);
    let ran = Ran { bytes: (given.len() * session.forward.model().bytes_per_token()) as u64, ..ran(threads) };
    session.generate(&prompt, given.len()).map_err(refused)?;
    // The same call succeeded above.
    let run = move || session.generate(&prompt, given.len()).unwrap_or_default();
    Ok(Clocked::boxed(ran, run, move || compared.clone()))
}

fn prefill(mut session: Session, tokens: Vec<u32>, threads: Threads) -> Load<'static> {
    session.prefill(&tokens).map_err(refused)?;
    let session = Rc::new(RefCell::new(session));
    let shown = session.clone();
    // The same call succeeded above.
    let run = move || session.borrow_mut().prefill(&tokens).unwrap_or_default();
    Ok(Clocked::boxed(ran(threads), run, move || bytes(&shown.borrow().logits)))
}

/// From the path of a file to the logits of its first token, the vocabulary included. What is freed afterwards is not
/// timed.
fn first_logits(path: PathBuf, tokens: Vec<u32>, threads: Threads) -> Load<'static> {
    let once = move || -> Result<(Duration, Vec<f32>), Refusal> {
        let start = Instant::now();
        let file = map(&path, Options::default()).map_err(refused)?;
        let model = Model::new(&file).map_err(refused)?;
        let _vocabulary = Vocabulary::from_metadata(file.metadata()).map_err(refused)?;
        let (mut state, mut logits) = (State::new(model.config()), vec![0.0; model.vocabulary()]);
        Forward::new(&model, threads).last(&mut state, &tokens, &mut logits).map_err(refused)?;
        Ok((start.elapsed(), logits))
    };
    let logits = Rc::new(RefCell::new(once()?.1));
    let shown = logits.clone();
    let run = move || {
        // The same call succeeded above.
        let (elapsed, found) = once().unwrap_or_default();
        *logits.borrow_mut() = found;
        elapsed
    };
    Ok(Clocked::boxed(Ran { path: "open, first token".to_owned(), ..ran(threads) }, run, move || {
        bytes(&shown.borrow())
    }))
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn refused(error: impl std::fmt::Display) -> Refusal {
    Refusal::Error(error.to_string())
}

fn chain(error: anyhow::Error) -> Refusal {
    Refusal::Error(format!("{error:#}"))
}
