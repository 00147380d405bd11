//! Products of matrices on a GPU: every variant on the shapes that models run, beside what the device reads and
//! multiplies at best in this process.
//!
//! The cases are those of `gemm_gpu::cases`. Times are those of the device's own clock. On a software adapter, cases
//! beyond a few million operations are left out, nothing is timed, and `--test` proves the rest. Without an adapter
//! there are no benches.

use gemm_gpu::{
    BlockVariant, ElementType, Finish, Layout, Variant,
    cases::{CASES, Case, Weights},
    kernels,
};
use gpu::Wgpu;
use proof::bench::{Bench, Ceiling, Suite};
use record::Work;

use device::{COOP, FMA, READ, device};
use timed::{Blocked, Dense};

#[path = "gpu/device.rs"]
mod device;
#[path = "gemm-gpu/timed.rs"]
mod timed;

#[global_allocator]
static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;

/// Operations that a software adapter computes within a second.
const SOFTWARE_FLOPS: f64 = 2e7;

#[expect(clippy::print_stdout, reason = "it says on what device the benches run")]
fn main() {
    let Some(gpu) = device() else {
        println!("SKIPPED: no GPU adapter, so gemm-gpu has no benches here");
        return proof::bench::main(|_| {});
    };
    let is_software = gpu.identity().is_software();
    println!("{}, clock {}", gpu.identity(), gpu.clock().name());
    if is_software && std::env::args().any(|argument| argument == "--bench") && !is_test() {
        println!("SKIPPED: a software adapter has no speed; `-- --test` proves its kernels");
        return;
    }
    if is_software {
        let large = CASES.iter().filter(|case| case.flops() > SOFTWARE_FLOPS).count();
        println!("SKIPPED: {large} large cases, and all but the first variant of a kernel, on a software adapter");
    }
    proof::bench::main(|suite| {
        for case in CASES.iter().filter(|case| !is_software || case.flops() <= SOFTWARE_FLOPS) {
            declare(suite, gpu, case);
        }
    });
}

fn is_test() -> bool {
    std::env::args().any(|argument| ["--test", "--list"].contains(&&*argument))
}

fn declare(suite: &mut Suite, gpu: &'static Wgpu, case: &'static Case) {
    match case.weights {
        Weights::Rows | Weights::Columns => {
            let by_columns = case.weights == Weights::Columns;
            let fits = |variant: &Variant| variant.missing(gpu.capabilities(), case.ty, case.m, by_columns).is_none();
            // A few rows are the business of their own kernel; more rows are not.
            let is_for = |variant: &Variant| matches!(variant, Variant::Gemv { .. }) == (case.m <= 16);
            let mut tier = case.tier;
            let most = if gpu.identity().is_software() { 1 } else { usize::MAX };
            for variant in Variant::ALL.into_iter().filter(|variant| fits(variant) && is_for(variant)).take(most) {
                suite.bench(bench(case, variant.to_string(), tier), move || Box::new(Dense::new(gpu, variant, case)));
                tier = tier.max(2);
            }
        }
        Weights::Blocks(ty) => {
            let mut tier = case.tier;
            let has = |layout: &Layout| kernels::blocks(ty, *layout, BlockVariant::ALL[0], 1, Finish::Store).is_some();
            for layout in [Layout::Packed, Layout::Gguf].into_iter().filter(has) {
                let most = if gpu.identity().is_software() { 1 } else { usize::MAX };
                for variant in BlockVariant::ALL.into_iter().filter(|variant| variant.is_for(ty)).take(most) {
                    let name = format!("wgpu-{}-{variant}", layout.name());
                    suite.bench(bench(case, name, tier), move || Box::new(Blocked::new(gpu, layout, variant, case)));
                    tier = tier.max(2);
                }
            }
        }
    }
}

fn bench(case: &Case, kernel: String, tier: u8) -> Bench {
    let is_bound_by_memory = case.m <= 8;
    let (flops, bytes) = (case.flops(), case.bytes());
    Bench {
        group: format!("gemm-gpu/gemm/{}", case.type_name()),
        function: case.function(),
        value: kernel,
        tier,
        work: Work { flops: Some(flops), bytes: Some(bytes), elements: None },
        ceiling: Ceiling::Given(match (is_bound_by_memory, case.ty) {
            (true, _) => READ,
            (false, ElementType::F16) if has_coop() => COOP,
            (false, _) => FMA,
        }),
    }
}

fn has_coop() -> bool {
    device().is_some_and(|gpu| gpu.capabilities().coop_16())
}
