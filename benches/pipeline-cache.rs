//! What a cache of pipelines is worth: the time to create the pipelines of `attention-gpu`, and that of the first
//! dispatch of each, with our cache off, cold (empty) and warm, and with the driver's own cache off and on.
//!
//! Every sample is a fresh process: this program, started again as a child. Some drivers compile at creation, others at
//! the first dispatch, so both are timed. Each child checks its results, and reports what the cache did; a row whose
//! cache did not do what its name says is wrong. A driver that gives an empty blob is told, not called a hit.
//!
//! A software adapter proves three cells under `--test`, those in which the driver's own cache spares it seconds of
//! compilation for each process. Its times say nothing.

use std::{path::Path, time::Duration};

use gpu::{Choice, Wgpu};
use proof::bench::{Bench, Ceiling};
use record::Work;

use cell::{Cell, Driver, Metric, Ours, Timed};

#[path = "pipeline-cache/cell.rs"]
mod cell;
#[path = "pipeline-cache/child.rs"]
mod child;

#[global_allocator]
static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;

#[expect(clippy::print_stdout, reason = "a bench program reports to a person, and a child to its parent")]
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, first, folder] = &arguments[..]
        && first == child::ARGUMENT
    {
        println!("{}", child::run((folder != "-").then(|| Path::new(folder))));
        return;
    }
    let Ok(gpu) = Wgpu::open(&Choice::Best) else {
        println!("SKIPPED: no GPU adapter, so pipeline-cache has no benches here");
        return proof::bench::main(|_| {});
    };
    let (identity, is_software) = (gpu.identity().to_string(), gpu.identity().is_software());
    drop(gpu);
    println!("{identity}");
    let is_test = arguments.iter().any(|argument| ["--test", "--list"].contains(&&**argument));
    if is_software && !is_test && arguments.iter().any(|argument| argument == "--bench") {
        println!("SKIPPED: a software adapter has no speed; `-- --test` proves what the cache does");
        return;
    }
    proof::bench::main(|suite| {
        for metric in [Metric::Create, Metric::FirstDispatch] {
            for driver in [Driver::Off, Driver::On] {
                if is_software && (metric == Metric::FirstDispatch || driver == Driver::Off) {
                    continue;
                }
                for ours in [Ours::Off, Ours::Cold, Ours::Warm] {
                    let cell = Cell { metric, ours, driver };
                    let bench = Bench {
                        group: format!("pipeline-cache/{}/wgsl", metric.name()),
                        function: "attention/resident/t1".to_owned(),
                        value: format!("ours-{}-driver-{}", ours.name(), driver.name()),
                        tier: 1,
                        work: Work { flops: None, bytes: None, elements: None },
                        ceiling: Ceiling::None,
                    };
                    suite.bench(bench, || Box::new(Timed::new(cell)));
                }
            }
        }
    });
}

/// Seconds that a child printed.
fn seconds(text: &str) -> Duration {
    text.parse().map_or(Duration::ZERO, Duration::from_secs_f64)
}
