//! Reads millions of mutated files. None may panic, hang, or make the reader allocate more than the file's size plus 1
//! MiB.
//!
//! `cargo run --release -p gguf --example mutate -- --files 1000000 [--seed 0] [--out FILE]`
//!
//! Every file is parsed with all options and its values and data are read. An accepted file is written again. One in
//! eight is a model in several files. If a file fails, the program prints its seed and ends with an error.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

mod summary;
mod trial;
mod watch;

use std::{fs, path::PathBuf, process::ExitCode, time::Instant};

use gguf::corpus::Mutator;
use summary::Summary;
use trial::{ALLOWED, trial};
use watch::Watch;

#[global_allocator]
static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;

struct Arguments {
    files: u64,
    seed: u64,
    out: Option<PathBuf>,
}

impl Arguments {
    /// `None` for an unknown or incomplete argument.
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut parsed = Self { files: 1_000_000, seed: 0, out: None };
        while let Some(name) = arguments.next() {
            let value = arguments.next()?;
            match &*name {
                "--files" => parsed.files = value.parse().ok().filter(|&files| files > 0)?,
                "--seed" => parsed.seed = value.parse().ok()?,
                "--out" => parsed.out = Some(value.into()),
                _ => return None,
            }
        }
        Some(parsed)
    }
}

fn main() -> ExitCode {
    let Some(Arguments { files, seed: first, out }) = Arguments::parse(std::env::args().skip(1)) else {
        eprintln!("usage: mutate [--files N] [--seed N] [--out FILE]");
        return ExitCode::from(2);
    };
    let (mutator, watch, start) = (Mutator::default(), Watch::start(), Instant::now());
    let (mut bytes, mut summary) = (Vec::new(), Summary::new(first));
    for (done, seed) in (1..=files).zip(first..) {
        watch.begin(seed);
        let outcome = trial(&mutator, seed, &mut bytes);
        if outcome.heap > ALLOWED {
            eprintln!("seed {seed}: {} bytes beyond the file's size, {ALLOWED} are allowed", outcome.heap);
            return ExitCode::FAILURE;
        }
        summary.add(seed, outcome, start.elapsed());
        if done % (files / 20).max(1) == 0 {
            eprintln!("{done} of {files} files, {} s left", summary.left(files).as_secs());
        }
    }
    let page = summary.to_string();
    print!("{page}");
    if let Some(error) = out.and_then(|path| fs::write(path, &page).err()) {
        eprintln!("the summary was not written: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
