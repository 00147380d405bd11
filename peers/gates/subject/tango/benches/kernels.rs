//! The benchmarks for tango.

use subject::{Benchmark, KERNELS};
use tango_bench::{IntoBenchmarks, benchmark_fn, tango_benchmarks, tango_main};

fn kernels() -> impl IntoBenchmarks {
    KERNELS
        .iter()
        .enumerate()
        .map(|(index, (name, _))| {
            benchmark_fn(*name, move |b| {
                let mut benchmark = Benchmark::set_up(index);
                b.iter(move || benchmark.run())
            })
        })
        .collect::<Vec<_>>()
}

tango_benchmarks!(kernels());
tango_main!();
