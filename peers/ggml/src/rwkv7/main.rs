//! llama.cpp runs RWKV-7: `rwkv7 default|as-stored --threads N`.
//!
//! Two settings are peers of their own, because each is best at something: by default weights are rearranged when they
//! are loaded, where ggml has buffers for their type and this processor; `as-stored` (`use_extra_bufts` off) leaves
//! them in the mapped file. The library must be compiled for this very processor, with OpenMP, which is its own
//! default: without, it starts threads for every batch.

#[path = "../features.rs"]
mod features;
mod session;

use std::cell::RefCell;
use std::ffi::CStr;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use llama_cpp_sys_2 as sys;
use peer::{Case, Clocked, Closures, Description, Implementation, Load, Ran, Refusal, found};

use session::{Model, Session, Settings, greedy};

struct Llama {
    settings: Settings,
}

impl Implementation for Llama {
    fn describe(&mut self) -> Result<Description, String> {
        features::compiled()?;
        // SAFETY: returns a text that lives as long as the process.
        let system = unsafe { CStr::from_ptr(sys::llama_print_system_info()) }.to_string_lossy().into_owned();
        if !system.contains("OPENMP = 1") {
            return Err("llama.cpp was built without OpenMP".to_owned());
        }
        let weights = if self.settings.extra_buffers { "use_extra_bufts (the default)" } else { "no use_extra_bufts" };
        let settings = format!("{} threads, mmap, {weights}; {}", self.settings.threads, system.trim());
        Ok(Description::new("llama.cpp", "llama-cpp-sys-2 0.1.161", settings))
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Load<'_> {
        let (settings, path) = (self.settings, inputs.join("model.gguf"));
        let session = || Session::open(&path, settings).map_err(Refusal::Error);
        let texts = || peer::read_texts(&inputs.join("texts"));
        let tokens = || -> Result<Vec<sys::llama_token>, Refusal> {
            let bytes = std::fs::read(inputs.join("tokens"))?;
            Ok(bytes.as_chunks().0.iter().map(|&token| sys::llama_token::from_le_bytes(token)).collect())
        };
        match case.text("work")? {
            "generate" => generate(session()?, tokens()?, case.number("prompt")?),
            "prefill" => prefill(session()?, tokens()?),
            "load" => first_logits(path, settings, tokens()?),
            "logits" => {
                let (tokens, batch) = (tokens()?, case.number("batch")?);
                result("llama_decode", bytes(&session()?.all(&tokens, batch).map_err(Refusal::Error)?))
            }
            "greedy" => {
                let (mut session, most) = (session()?, case.number("tokens")?);
                let answers =
                    texts()?.iter().map(|text| answer(&mut session, text, most)).collect::<Result<Vec<_>, _>>();
                result("llama_decode", found::numbered(&answers.map_err(Refusal::Error)?).into_bytes())
            }
            "tokenize" => {
                let model = Model::open(&path, settings, true).map_err(Refusal::Error)?;
                let tokens = texts()?.iter().map(|text| model.encode(text)).collect::<Result<Vec<_>, _>>();
                result("llama_tokenize", found::numbered(&tokens.map_err(Refusal::Error)?).into_bytes())
            }
            other => Err(Refusal::Unsupported(format!("no work is called {other}"))),
        }
    }
}

/// The process of a call that fails ends, which is an error of the case.
fn worked<T>(outcome: Result<T, String>) -> T {
    outcome.unwrap_or_else(|why| panic!("{why}"))
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A result that is only compared.
fn result(function: &str, output: Vec<u8>) -> Load<'static> {
    Ok(Closures::boxed(Ran::by("llama.cpp", function), || (), move || output.clone()))
}

/// The most probable token again and again. The prompt is not timed.
///
/// Tokens of random weights hang on roundings: what is compared is computed by the same calls for given tokens.
fn generate(session: Session, mut tokens: Vec<sys::llama_token>, prompt: usize) -> Load<'static> {
    let given = tokens.split_off(prompt);
    let steps = given.len();
    let state = Rc::new(RefCell::new((session, tokens)));
    let shown = state.clone();
    let run = move || {
        let (session, prompt) = &mut *state.borrow_mut();
        session.reset();
        let mut token = greedy(worked(session.last(prompt)));
        let start = Instant::now();
        for _ in 0..steps {
            token = greedy(worked(session.last(&mut [token])));
        }
        start.elapsed()
    };
    let output = move || {
        let (session, prompt) = &mut *shown.borrow_mut();
        session.reset();
        let mut logits = bytes(worked(session.last(prompt)));
        for &token in &given {
            logits = bytes(worked(session.last(&mut [token])));
        }
        logits
    };
    Ok(Clocked::boxed(Ran::by("llama.cpp", "llama_decode"), run, output))
}

/// All tokens in one batch, from an empty state.
fn prefill(mut session: Session, mut tokens: Vec<sys::llama_token>) -> Load<'static> {
    let logits = Rc::new(RefCell::new(Vec::new()));
    let shown = logits.clone();
    let run = move || {
        session.reset();
        let start = Instant::now();
        let found = worked(session.last(&mut tokens));
        let elapsed = start.elapsed();
        *logits.borrow_mut() = bytes(found);
        elapsed
    };
    Ok(Clocked::boxed(Ran::by("llama.cpp", "llama_decode"), run, move || shown.borrow().clone()))
}

/// From the path of a file to the logits of a first token. What is freed afterwards is not timed.
fn first_logits(path: PathBuf, settings: Settings, mut tokens: Vec<sys::llama_token>) -> Load<'static> {
    let logits = Rc::new(RefCell::new(Vec::new()));
    let shown = logits.clone();
    let run = move || {
        let start = Instant::now();
        let mut session = worked(Session::open(&path, settings));
        let found = worked(session.last(&mut tokens));
        let elapsed = start.elapsed();
        *logits.borrow_mut() = bytes(found);
        elapsed
    };
    Ok(Clocked::boxed(Ran::by("llama.cpp", "open, first token"), run, move || shown.borrow().clone()))
}

/// What follows a text, up to the end of the line, at most so many tokens.
fn answer(session: &mut Session, text: &[u8], most: usize) -> Result<Vec<sys::llama_token>, String> {
    let (mut tokens, mut answer) = (session.model.encode(text)?, Vec::new());
    session.reset();
    let mut token = greedy(session.last(&mut tokens)?);
    while answer.len() < most && token != sys::llama_token::from(b'\n') {
        answer.push(token);
        token = greedy(session.last(&mut [token])?);
    }
    Ok(answer)
}

fn main() -> io::Result<()> {
    let extra_buffers = match std::env::args().nth(1).as_deref() {
        Some("default") => true,
        Some("as-stored") => false,
        other => return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("no setting is called {other:?}"))),
    };
    let threads = i32::try_from(peer::threads_argument().get()).map_err(io::Error::other)?;
    session::start();
    peer::serve(&mut Llama { settings: Settings { extra_buffers, threads } })
}
