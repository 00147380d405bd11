//! Products of matrices: every kernel of this machine and `ndarray`, side by side on the shapes that its users run.
//!
//! The cases are those of `gemm::cases`; this file says who is timed on them. The type in an id is that of A and B; C
//! is f32. `-bt`: B is stored column by column, as models store weights; `-packed`: it was packed before. Streamed
//! cases rotate over copies of B that no cache holds together.

use gemm::{
    Activation, Case, Codes, Int8Weights, Shape, Threads,
    cases::{Order, Product, find},
    kernels,
};
use machine::{
    ceiling::{Level, TileNumbers},
    isa::Isa,
};
use op::{NamedCase, Regime};
use proof::bench::{Bench, Ceiling, Suite, isa_of};
use record::Work;

use timed::{Implementation, Timed};

#[path = "gemm/timed.rs"]
mod timed;

#[global_allocator]
static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;

/// Kernels timed beside `auto`.
#[derive(Clone, Copy, PartialEq)]
enum Rivals {
    None,
    /// `ndarray`, which has one thread and no 16-bit types.
    Foreign,
    /// `ndarray` and every kernel of ours that is not portable.
    Fast,
    /// All.
    All,
}

/// A named case, the threads, the tier of the id whose kernel is `auto` (the others are tier 2, or the same if that is
/// more), and the rivals.
type Row = (&'static str, usize, u8, Rivals);

const ROWS: [Row; 76] = [
    // Squares.
    ("f32-256", 1, 1, Rivals::All),
    ("f32-512", 1, 1, Rivals::All),
    ("f32-1000", 1, 1, Rivals::Fast),
    ("f32-1024", 2, 1, Rivals::None),
    ("f32-1024", 1, 2, Rivals::Fast),
    ("f32-2048", 1, 3, Rivals::None),
    ("f32-512", 2, 2, Rivals::None),
    ("f32-256", 2, 2, Rivals::None),
    ("f32-64", 1, 1, Rivals::Foreign),
    ("f32-32", 1, 2, Rivals::Foreign),
    ("f32-16", 1, 2, Rivals::Foreign),
    ("f32-8", 1, 2, Rivals::Foreign),
    ("f32-3", 1, 3, Rivals::Foreign),
    // Few rows, and tall products.
    ("f32-m8-n1536-k384", 1, 1, Rivals::Fast),
    ("f32-m2048-n48-k512", 1, 1, Rivals::Fast),
    ("f32-m128-n1536-k384", 1, 3, Rivals::Foreign),
    // Short and long sums.
    ("f32-m512-n512-k16", 1, 3, Rivals::Foreign),
    ("f32-m64-n64-k8192", 1, 3, Rivals::Foreign),
    // Weights as models store them.
    ("f32-m128-n1536-k384-bt", 1, 2, Rivals::Foreign),
    ("f32-m8-n1536-k384-bt", 1, 3, Rivals::Foreign),
    ("f32-m8-n1536-k384-packed", 1, 2, Rivals::None),
    // Layers of a vision transformer.
    ("f32-m1374-n1152-k384-bt", 1, 2, Rivals::None),
    ("f32-m1374-n1536-k384-bt-gelu", 1, 1, Rivals::None),
    ("f32-m1374-n1536-k384-bt", 1, 2, Rivals::None),
    ("f32-m1374-n384-k1536-bt", 1, 2, Rivals::None),
    ("f32-m1374-n3072-k1024-bt", 1, 2, Rivals::None),
    ("f32-m1374-n3072-k1024-packed", 1, 3, Rivals::None),
    // 16-bit types.
    ("f16-512", 1, 1, Rivals::None),
    ("bf16-512", 1, 1, Rivals::None),
    ("f16-1024", 1, 2, Rivals::None),
    ("bf16-1024", 1, 2, Rivals::None),
    ("bf16-m8-n1536-k384-bt", 1, 3, Rivals::None),
    ("bf16-m8-n1536-k384-packed", 1, 3, Rivals::None),
    ("f16-64", 1, 3, Rivals::None),
    ("f16-1024", 2, 3, Rivals::None),
    // One to sixteen rows against weights that come from memory: what decoding a token costs.
    ("f32-m1-4096-bt", 1, 1, Rivals::None),
    ("f32-m1-4096-bt", 2, 2, Rivals::None),
    ("f32-m1-4096", 1, 2, Rivals::None),
    ("f32-m1-4096", 2, 3, Rivals::None),
    ("f32-m1-4096-packed", 1, 3, Rivals::None),
    ("f16-m1-4096-bt", 1, 2, Rivals::None),
    ("bf16-m1-4096-bt", 1, 2, Rivals::None),
    ("bf16-m1-4096-bt", 2, 3, Rivals::None),
    ("f32-m2-4096-bt", 1, 3, Rivals::None),
    ("f32-m2-4096", 1, 3, Rivals::None),
    ("f32-m4-4096-bt", 1, 2, Rivals::None),
    ("f32-m4-4096", 1, 3, Rivals::None),
    ("f32-m8-4096-bt", 1, 3, Rivals::None),
    ("f32-m8-4096", 1, 3, Rivals::None),
    ("f32-m16-4096-bt", 1, 2, Rivals::None),
    ("f32-m16-4096", 1, 3, Rivals::None),
    ("f32-m16-4096-packed", 1, 3, Rivals::None),
    ("bf16-m16-4096-bt", 2, 3, Rivals::None),
    // Weights in blocks: decoding a token, a few tokens, and a prompt.
    ("q4_k-m1-n10240-k2560-bt", 1, 1, Rivals::Fast),
    ("q4_k-m1-n10240-k2560-bt", 2, 2, Rivals::None),
    ("q4_k-m1-n10240-k2560-bt-resident", 1, 2, Rivals::Fast),
    ("q4_k-m1-n10240-k2560-bt-resident", 2, 3, Rivals::None),
    ("q4_k-m4-n10240-k2560-bt", 1, 2, Rivals::None),
    ("q4_k-m8-n10240-k2560-bt", 1, 3, Rivals::None),
    ("q4_k-m16-n10240-k2560-bt", 1, 3, Rivals::None),
    ("q4_k-m128-n10240-k2560-bt", 1, 2, Rivals::Fast),
    ("q4_k-m128-n10240-k2560-bt", 2, 2, Rivals::None),
    ("q5_k-m1-n10240-k2560-bt", 1, 3, Rivals::Fast),
    ("q5_k-m128-n10240-k2560-bt", 1, 3, Rivals::Fast),
    ("q6_k-m1-n10240-k2560-bt", 1, 2, Rivals::Fast),
    ("q6_k-m128-n10240-k2560-bt", 1, 2, Rivals::Fast),
    ("q8_0-m1-n10240-k2560-bt", 1, 2, Rivals::Fast),
    ("q8_0-m128-n10240-k2560-bt", 1, 2, Rivals::Fast),
    ("q4_0-m1-n10240-k2560-bt", 1, 3, Rivals::Fast),
    ("q4_0-m128-n10240-k2560-bt", 1, 3, Rivals::Fast),
    ("q4_k-m512-n2560-k2560-bt", 2, 3, Rivals::None),
    // Integer weights.
    ("int8-m1-n10240-k2560-bt", 1, 2, Rivals::None),
    ("int8-m8-n1536-k384-bt", 1, 2, Rivals::Fast),
    ("int8-m128-n1536-k384-bt", 1, 2, Rivals::Fast),
    ("int8-m128-n4096-k1024-bt", 2, 3, Rivals::None),
    ("int8-m512-n384-k1536-bt", 1, 3, Rivals::Fast),
];

fn main() {
    proof::bench::main(|suite| {
        for &(name, threads, tier, rivals) in &ROWS {
            let case = find(name).unwrap_or_else(|| panic!("no case is called {name}"));
            let threads = Threads::new(threads).unwrap_or_default();
            let problem = problem(case, threads);
            for kernel in kernels().into_iter().filter(|kernel| kernel.supports(&problem)) {
                let is_timed = match kernel.name() {
                    "auto" => true,
                    "reference" => false,
                    "cpu-scalar" => rivals == Rivals::All,
                    _ => matches!(rivals, Rivals::Fast | Rivals::All),
                };
                if is_timed {
                    declare(suite, case, threads, tier, Implementation::Ours(kernel));
                }
            }
            if rivals != Rivals::None && problem.codes.is_none() {
                declare(suite, case, threads, tier, Implementation::Ndarray);
            }
        }
    });
}

fn problem(case: &NamedCase<Product>, threads: Threads) -> Case {
    let codes = match case.params.b {
        Order::Blocks(ty) => Some(Codes::Blocks(ty)),
        Order::Int8 => Some(Codes::Int8),
        _ => None,
    };
    Case { threads, codes, ..Case::from(case.params.shape) }
}

/// Whether integer weights are multiplied in tile registers.
fn runs_tiles(kernel: &str, Shape { m, n, k }: Shape) -> bool {
    let no_weights =
        || Int8Weights::from_codes(&[], &[], 0, 0).map(|weights| weights.explain(m, Threads::SERIAL).kernel);
    kernel == "cpu-amx" || kernel == "auto" && n * k > 0 && no_weights() == Ok("cpu-amx")
}

fn declare(suite: &mut Suite, case: &'static NamedCase<Product>, threads: Threads, tier: u8, by: Implementation) {
    let Product { shape, element, b, activation } = case.params;
    let Shape { m, n, k } = shape;
    let (name, isa, tier) = match &by {
        Implementation::Ours(kernel) if kernel.name() == "auto" => ("auto", Isa::best(), tier),
        Implementation::Ours(kernel) if kernel.name() == "cpu-amx" => ("cpu-amx", Isa::Avx512, tier.max(2)),
        Implementation::Ours(kernel) => (kernel.name(), isa_of(kernel.name()), tier.max(2)),
        Implementation::Ndarray => ("ndarray", Isa::best(), tier.max(2)),
    };
    let order = match b {
        Order::Rows => "",
        Order::Columns | Order::Blocks(_) | Order::Int8 => "-bt",
        Order::Packed => "-packed",
    };
    let epilogue = if activation == Activation::Identity { String::new() } else { format!("-{}", activation.name()) };
    let (regime, count) = (case.regime, threads.get());
    let (ty, weights) = match b {
        Order::Blocks(ty) => (ty.name().to_lowercase(), n * ty.row_bytes(k).expect("whole blocks")),
        Order::Int8 => ("int8".to_owned(), n * k),
        _ => (element.to_string(), element.bytes() * k * n),
    };
    let bytes = element.bytes() * m * k + weights + 4 * m * n;
    let bench = Bench {
        group: format!("gemm/gemm/{ty}"),
        function: format!("m{m}-n{n}-k{k}{order}{epilogue}/{regime}/t{threads}"),
        value: name.to_owned(),
        tier,
        work: Work { flops: shape.flops().map(|flops| flops as f64), bytes: Some(bytes as f64), elements: None },
        // An element of streamed weights takes part in 2 m operations: up to 8 rows memory is the bound. Weights in
        // blocks are multiplied as bytes.
        ceiling: match (regime == Regime::Streamed && m <= 8, b) {
            (_, Order::Int8) if runs_tiles(name, shape) => {
                Ceiling::Tiles { numbers: TileNumbers::Bytes, threads: count }
            }
            (true, _) => Ceiling::Read { level: Level::Memory, threads: count },
            (false, Order::Blocks(_) | Order::Int8) => Ceiling::Dot8 { isa, threads: count },
            (false, _) => Ceiling::Fma { isa, threads: count },
        },
    };
    let problem = problem(case, threads);
    suite.bench(bench, move || Box::new(Timed::new(by, problem, case)));
}
