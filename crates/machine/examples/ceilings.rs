//! Prints this machine's ceilings: the median, lowest and highest of several bursts each.
//!
//! `cargo run --release -p machine --example ceilings [BURST_MS]`
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::time::Duration;

use machine::{
    Fingerprint,
    ceiling::{Burst, Dot8Loop, FmaLoop, Level, ReadLoop},
    isa::Isa,
    threads,
};

fn main() {
    let ms = std::env::args().nth(1).and_then(|ms| ms.parse().ok()).unwrap_or(20);
    let min = Duration::from_millis(ms);
    println!("{}", Fingerprint::collect().class());
    println!("{:<26} {:>10} {:>10} {:>10}  bursts of {ms} ms", "ceiling", "median", "lowest", "highest");
    let counts = if threads::available() > 1 { vec![1, threads::available()] } else { vec![1] };
    for isa in Isa::supported() {
        for &threads in &counts {
            match FmaLoop::new(isa, threads) {
                Ok(mut fma) => row(&fma.name(), "Gflop/s", || fma.burst(min)),
                Err(error) => println!("fma f32 {isa} t{threads}: {error}"),
            }
        }
    }
    for isa in Isa::supported() {
        for &threads in &counts {
            if let Ok(mut dot) = Dot8Loop::new(isa, threads) {
                row(&dot.name(), "Gop/s", || dot.burst(min));
            }
        }
    }
    for level in Level::ALL {
        for &threads in &counts {
            match ReadLoop::new(level, threads) {
                Ok(mut read) => row(&read.name(), "GB/s", || read.burst(min)),
                Err(error) => println!("read {level} t{threads}: {error}"),
            }
        }
    }
}

fn row(name: &str, unit: &str, mut burst: impl FnMut() -> Burst) {
    let mut rates: Vec<f64> = (0..15).map(|_| burst().per_s() / 1e9).collect();
    rates.sort_by(f64::total_cmp);
    let (low, median, high) = (rates[0], rates[rates.len() / 2], rates[rates.len() - 1]);
    println!("{name:<26} {median:>10.1} {low:>10.1} {high:>10.1}  {unit}");
}
