//! Attention: every kernel of this machine and the unfused way, side by side on the shapes that models run.
//!
//! The cases are those of `attention::cases`; this file says who is timed on them. The type in an id is that of all
//! tensors. Streamed cases rotate over copies of K and V that no cache holds together: the decoding of a token.

use attention::{
    ElementType, Threads,
    cases::{Problem, find},
    kernels,
};
use machine::{
    ceiling::{Level, TileNumbers},
    isa::{Amx, Isa},
};
use op::{NamedCase, Regime};
use proof::bench::{Bench, Ceiling, Suite, isa_of};
use record::Work;

use timed::{Implementation, Timed};

#[path = "attention/timed.rs"]
mod timed;
#[path = "attention/unfused.rs"]
mod unfused;

#[global_allocator]
static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;

/// Kernels timed beside `auto`.
#[derive(Clone, Copy, PartialEq)]
enum Rivals {
    None,
    /// Two matrix products with a softmax between them.
    Unfused,
    /// That, and every kernel of ours that is not portable.
    All,
}

/// A named case, the threads, the tier of the id whose kernel is `auto` (the others are tier 2, or the same if that is
/// more), and the rivals.
type Row = (&'static str, usize, u8, Rivals);

const ROWS: [Row; 34] = [
    // One sequence, by elements of a head.
    ("f32-b1-h12-n1024-d64", 1, 1, Rivals::All),
    ("f32-b1-h12-n1024-d64-causal", 1, 1, Rivals::Unfused),
    ("f32-b1-h12-n1024-d32", 1, 1, Rivals::Unfused),
    ("f32-b1-h8-n1024-d128", 1, 1, Rivals::Unfused),
    ("f32-b1-h16-n1024-d8", 1, 1, Rivals::All),
    ("f32-b1-h12-n1024-d64", 2, 1, Rivals::None),
    ("f32-b1-h12-n1024-d64-causal", 2, 2, Rivals::None),
    ("f32-b1-h8-n1024-d128-causal", 1, 2, Rivals::None),
    ("f32-b1-h4-n1024-d256", 1, 3, Rivals::Unfused),
    ("f32-b1-h8-n1000-d80", 1, 3, Rivals::None),
    // By length.
    ("f32-b8-h12-n128-d32", 1, 2, Rivals::Unfused),
    ("f32-b32-h12-n16-d32", 1, 3, Rivals::Unfused),
    ("f32-b1-h6-n1374-d64", 1, 2, Rivals::None),
    ("f32-b1-h6-n1374-d64", 2, 2, Rivals::None),
    ("f32-b1-h2-n4096-d64", 1, 2, Rivals::Unfused),
    ("f32-b1-h2-n4096-d128", 1, 2, Rivals::None),
    ("f32-b1-h2-n4096-d32", 1, 3, Rivals::None),
    ("f32-b1-h4-n4096-d64-window256", 1, 2, Rivals::None),
    // Packed sequences.
    ("f32-h12-texts16-d32", 1, 1, Rivals::None),
    ("f32-h12-texts16-d32", 2, 2, Rivals::None),
    ("f32-h12-texts16-d64", 1, 3, Rivals::None),
    // Grouped queries.
    ("f32-b1-h16-kv4-n1024-d128-causal", 1, 2, Rivals::None),
    ("bf16-b1-h16-kv4-n1024-d128-causal", 1, 2, Rivals::None),
    ("f32-b1-h8-q16-n4096-d128-causal", 1, 3, Rivals::None),
    // One query for a long KV cache.
    ("f32-b1-h8-q1-n8192-d128", 1, 1, Rivals::Unfused),
    ("f32-b1-h8-q1-n8192-d128", 2, 2, Rivals::None),
    ("f16-b1-h8-q1-n8192-d128", 1, 2, Rivals::None),
    ("f16-b1-h32-kv8-q1-n8192-d128", 1, 1, Rivals::None),
    ("bf16-b1-h32-kv8-q1-n8192-d128", 1, 2, Rivals::None),
    ("f16-b1-h8-kv1-q1-n65536-d128", 1, 2, Rivals::None),
    // 16-bit types.
    ("bf16-b1-h12-n1024-d64", 1, 1, Rivals::None),
    ("f16-b1-h12-n1024-d64", 1, 2, Rivals::None),
    ("f16-b1-h8-n1024-d128", 1, 2, Rivals::None),
    ("bf16-b1-h8-n1024-d128", 1, 2, Rivals::None),
];

fn main() {
    proof::bench::main(|suite| {
        for &(name, threads, tier, rivals) in &ROWS {
            let case = find(name).unwrap_or_else(|| panic!("no case is called {name}"));
            let threads = Threads::new(threads).unwrap_or_default();
            for kernel in kernels() {
                let is_timed = match kernel.name() {
                    "auto" => true,
                    "reference" | "cpu-scalar" => false,
                    // The others have nothing for it, and run what `cpu-avx512` runs.
                    "cpu-amx" if case.params.element != ElementType::Bf16 => false,
                    _ => rivals == Rivals::All,
                };
                if is_timed {
                    declare(suite, case, threads, tier, Implementation::Ours(kernel));
                }
            }
            if rivals != Rivals::None {
                declare(suite, case, threads, tier, Implementation::Unfused);
            }
        }
    });
}

fn declare(suite: &mut Suite, case: &'static NamedCase<Problem>, threads: Threads, tier: u8, by: Implementation) {
    let element = case.params.element;
    let (name, isa, tier) = match &by {
        Implementation::Ours(kernel) if kernel.name() == "auto" => ("auto", Isa::best(), tier),
        Implementation::Ours(kernel) if kernel.name() == "cpu-amx" => ("cpu-amx", Isa::Avx512, tier.max(2)),
        Implementation::Ours(kernel) => (kernel.name(), isa_of(kernel.name()), tier.max(2)),
        Implementation::Unfused => ("gemm-softmax", Isa::best(), tier.max(2)),
    };
    let (regime, count) = (case.regime, threads.get());
    // Long sequences of bf16 are multiplied in tile registers where there are some.
    let has_tiles = ["auto", "cpu-amx"].contains(&name) && element == ElementType::Bf16 && Amx::new().is_some();
    let shape = case.name.strip_prefix(element.name()).unwrap_or(&case.name).trim_start_matches('-');
    let bench = Bench {
        group: format!("attention/sdpa/{element}"),
        function: format!("{shape}/{regime}/t{threads}"),
        value: name.to_owned(),
        tier,
        work: Work { flops: Some(case.params.flops() as f64), bytes: Some(case.params.bytes() as f64), elements: None },
        // One query reads all of K and V for a few operations on each element.
        ceiling: match regime {
            Regime::Streamed => Ceiling::Read { level: Level::Memory, threads: count },
            Regime::Resident if has_tiles => Ceiling::Tiles { numbers: TileNumbers::Bf16, threads: count },
            Regime::Resident => Ceiling::Fma { isa, threads: count },
        },
    };
    suite.bench(bench, move || Box::new(Timed::new(by, case, threads)));
}
