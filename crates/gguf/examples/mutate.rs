//! Mutated files by the million: none may panic, hang or make the reader allocate more than the file's size and 1 MiB.
//!
//! `cargo run --release -p gguf --example mutate -- --files 1000000 [--seed 0]`
//!
//! Every file is parsed with and without options, its values and data are walked, and what is accepted is written again.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

use std::{
    collections::BTreeMap,
    process::ExitCode,
    time::{Duration, Instant},
};

use gguf::{Gguf, Options, Writer, corpus::Mutator};
use proof::alloc::total;

#[global_allocator]
static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;

/// Longer than any file of some kilobytes can take.
const HANGS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut files, mut first) = (1_000_000, 0);
    while let Some(name) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse().ok());
        match (&*name, value) {
            ("--files", Some(n)) => files = n,
            ("--seed", Some(n)) => first = n,
            _ => {
                eprintln!("usage: mutate [--files N] [--seed N]");
                return ExitCode::from(2);
            }
        }
    }
    let (mutator, start) = (Mutator::default(), Instant::now());
    let (mut bytes, mut worst, mut longest) = (Vec::new(), (0, 0), (Duration::ZERO, 0));
    let mut verdicts = BTreeMap::<String, u64>::new();
    for seed in first..first + files {
        mutator.fill(seed, &mut bytes);
        let (before, begin) = (total().bytes, Instant::now());
        let outcome = Gguf::parse_with(&bytes[..], Options::LENIENT);
        if let Ok(file) = &outcome {
            walk(file);
        }
        let (heap, elapsed) = ((total().bytes - before).saturating_sub(bytes.len() as u64), begin.elapsed());
        worst = worst.max((heap, seed));
        longest = longest.max((elapsed, seed));
        if heap > 1 << 20 || elapsed > HANGS {
            eprintln!("seed {seed}: {heap} bytes beyond the file's size, {elapsed:?}");
            return ExitCode::FAILURE;
        }
        let verdict = match outcome {
            Ok(file) if Gguf::parse(&bytes[..]).is_ok() => again(&file),
            Ok(_) => "accepted on request".to_owned(),
            Err(error) => error.rule(),
        };
        *verdicts.entry(verdict).or_default() += 1;
    }
    println!("{files} files in {:.1} s: no panic, no hang", start.elapsed().as_secs_f64());
    println!("most memory beyond the file's size: {} bytes (seed {})", worst.0, worst.1);
    println!("longest: {:?} (seed {})", longest.0, longest.1);
    verdicts.iter().for_each(|(verdict, n)| println!("{n:>9}  {verdict}"));
    ExitCode::SUCCESS
}

/// Looks at everything that the views show.
fn walk(file: &Gguf<&[u8]>) {
    for (key, value) in file.metadata().iter() {
        std::hint::black_box((key, value));
        for element in value.as_array().into_iter().flatten() {
            std::hint::black_box(element);
        }
    }
    for tensor in file.tensors() {
        let sum = file.data(&tensor).map_or(0, |data| data.iter().fold(0_u64, |sum, &byte| sum + u64::from(byte)));
        std::hint::black_box(sum);
    }
}

/// Writes the file again, which must succeed.
fn again(file: &Gguf<&[u8]>) -> String {
    let mut writer = Writer::new().with_version(file.version());
    for (key, value) in file.metadata().iter() {
        writer.key(key, value);
    }
    for tensor in file.tensors() {
        writer.tensor(tensor.name, tensor.dims(), tensor.ty);
    }
    let data = |tensor: &gguf::Tensor<'_>, out: &mut dyn std::io::Write| {
        let original = file.tensor(tensor.name).expect("it was copied from there");
        out.write_all(file.data(&original).expect("it is of this file"))
    };
    let bytes = writer.to_bytes(data).expect("an accepted file can be written");
    Gguf::parse(&bytes[..]).expect("a written file can be read");
    "accepted, and written again".to_owned()
}
