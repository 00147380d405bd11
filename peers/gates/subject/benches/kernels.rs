//! The benchmarks for criterion.

use criterion::{Criterion, criterion_group, criterion_main};
use subject::{Benchmark, KERNELS};

fn kernels(c: &mut Criterion) {
    for (index, (name, _)) in KERNELS.iter().enumerate() {
        let mut benchmark = Benchmark::set_up(index);
        c.bench_function(name, |b| b.iter(|| benchmark.run()));
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
