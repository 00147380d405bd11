//! Attention on a GPU: every variant that suits a case, side by side, by the device's clock.
//!
//! Each is proved in its process before it is timed: so are cooperative matrices, which no software adapter runs. A
//! software adapter proves the small cases under `--test` and times nothing. Without an adapter there are no benches.

use std::sync::Arc;

use attention_gpu::{
    Attention, ElementType, VARIANTS, Variant,
    cases::{CASES, is_small},
};
use op::Regime;
use proof::bench::{Bench, Ceiling, Suite};
use record::Work;

use device::{COOP, FMA, READ, device};
use timed::Timed;

#[path = "gpu/device.rs"]
mod device;
#[path = "attention-gpu/timed.rs"]
mod timed;

#[global_allocator]
static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;

type Case = op::NamedCase<attention_gpu::Problem>;

#[expect(clippy::print_stdout, reason = "a bench program reports to a person")]
fn main() {
    let Some(gpu) = device() else {
        println!("SKIPPED: no GPU adapter, so attention-gpu has no benches here");
        return proof::bench::main(|_| {});
    };
    let is_software = gpu.identity().is_software();
    println!("{}, clock {}", gpu.identity(), gpu.clock().name());
    let is_test = std::env::args().any(|argument| ["--test", "--list"].contains(&&*argument));
    if is_software && !is_test && std::env::args().any(|argument| argument == "--bench") {
        println!("SKIPPED: a software adapter has no speed; `-- --test` proves its kernels");
        return;
    }
    let attention = Arc::new(Attention::new(gpu));
    proof::bench::main(|suite| {
        for case in CASES.iter().filter(|case| !is_software || is_small(&case.params)) {
            declare(suite, case, &attention, "auto", None);
            for (name, variant) in VARIANTS {
                if is_rival(variant, case) && variant.lacks(&case.params, attention.capabilities()).is_none() {
                    declare(suite, case, &attention, name, Some(variant));
                }
            }
        }
    });
}

/// Whether a variant is timed on a case: of those that split keys, the ones with as many rows as the case needs; of the
/// others, all.
fn is_rival(variant: Variant, case: &Case) -> bool {
    let rows = case.params.shape.queries * case.params.shape.group();
    match variant {
        Variant::Decode { groups, .. } => rows <= 16 && (groups == 2) == (rows > 4),
        // Too few rows to be fast anywhere: it is there to be proved where workgroup memory is small.
        Variant::Coop { subgroups: 2, blocks: 1 } => false,
        _ => rows > 16 && !is_small(&case.params),
    }
}

fn declare(suite: &mut Suite, case: &'static Case, attention: &Arc<Attention>, name: &str, variant: Option<Variant>) {
    let element = case.params.element;
    let shape = case.name.strip_prefix(element.name()).unwrap_or(&case.name).trim_start_matches('-');
    let has_coop = attention.capabilities().coop_16();
    let bench = Bench {
        group: format!("attention-gpu/sdpa/{element}"),
        function: format!("{shape}/{}/t1", case.regime),
        value: name.to_owned(),
        tier: if variant.is_none() { case.tier } else { case.tier.max(2) },
        work: Work { flops: Some(case.params.flops() as f64), bytes: Some(case.params.bytes() as f64), elements: None },
        // One query reads all of K and V for a few operations on each element.
        ceiling: Ceiling::Given(match case.regime {
            Regime::Streamed => READ,
            Regime::Resident if has_coop && element == ElementType::F16 => COOP,
            Regime::Resident => FMA,
        }),
    };
    let attention = Arc::clone(attention);
    suite.bench(bench, move || Box::new(Timed::new(&attention, case, variant)));
}
