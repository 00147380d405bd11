//! `once ID ITERATIONS`: one benchmark as a command, for tools that time processes.

use std::process::ExitCode;

use subject::{Benchmark, KERNELS};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let parsed = match words.as_slice() {
        [id, iterations] => KERNELS.iter().position(|(name, _)| name == id).zip(iterations.parse::<u32>().ok()),
        _ => None,
    };
    let Some((index, iterations)) = parsed else {
        eprintln!("usage: once ID ITERATIONS");
        return ExitCode::FAILURE;
    };
    let mut benchmark = Benchmark::set_up(index);
    let sum = (0..iterations).fold(0, |sum, _| sum ^ benchmark.run());
    println!("{sum}");
    ExitCode::SUCCESS
}
