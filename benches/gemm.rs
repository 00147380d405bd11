//! Products of matrices: every kernel of this machine and `ndarray`, side by side on the shapes that its users run.
//!
//! The type in an id is that of A and B; C is f32. `-bt`: B is stored column after column, as models store weights;
//! `-packed`: it was packed before. Streamed cases walk over copies of B that no cache holds.

use std::num::NonZeroUsize;

use gemm::{Case, Parallelism, Shape, Type, explain, kernels};
use machine::{ceiling::Level, isa::Isa};
use proof::bench::{Bench, Ceiling, Suite};
use record::Work;

use timed::{Timed, Who};

#[path = "gemm/timed.rs"]
mod timed;

#[global_allocator]
static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;

/// One problem, and who is timed on it.
#[derive(Clone, Copy)]
struct Row {
    shape: Shape,
    element: Type,
    b: Weights,
    threads: usize,
    streamed: bool,
    /// Whether bias and GELU are fused.
    fused: bool,
    /// Of the id whose kernel is `auto`; the others are tier 2, or the same if that is more.
    tier: u8,
    rivals: Rivals,
}

/// How B lies.
#[derive(Clone, Copy, PartialEq)]
enum Weights {
    Rows,
    Columns,
    Packed,
}

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

const fn row(m: usize, n: usize, k: usize, threads: usize, tier: u8, rivals: Rivals) -> Row {
    let shape = Shape { m, n, k };
    Row { shape, element: Type::F32, b: Weights::Rows, threads, streamed: false, fused: false, tier, rivals }
}

/// Products.
const ROWS: [Row; 35] = [
    // Squares. 1000 is no multiple of any tile; rows of 1024 floats share sets of the caches.
    row(256, 256, 256, 1, 1, Rivals::All),
    row(512, 512, 512, 1, 1, Rivals::All),
    row(1000, 1000, 1000, 1, 1, Rivals::Fast),
    row(1024, 1024, 1024, 2, 1, Rivals::None),
    row(1024, 1024, 1024, 1, 2, Rivals::Fast),
    row(2048, 2048, 2048, 1, 3, Rivals::None),
    row(512, 512, 512, 2, 2, Rivals::None),
    row(256, 256, 256, 2, 2, Rivals::None),
    // Small ones, where a call costs as much as the work.
    row(64, 64, 64, 1, 1, Rivals::Foreign),
    row(32, 32, 32, 1, 2, Rivals::Foreign),
    row(16, 16, 16, 1, 2, Rivals::Foreign),
    row(8, 8, 8, 1, 2, Rivals::Foreign),
    row(3, 3, 3, 1, 3, Rivals::Foreign),
    // A few rows of activations against a layer's weights, and the long way round.
    row(8, 1536, 384, 1, 1, Rivals::Fast),
    row(2048, 48, 512, 1, 1, Rivals::Fast),
    row(128, 1536, 384, 1, 3, Rivals::Foreign),
    // Short and long sums.
    row(512, 512, 16, 1, 3, Rivals::Foreign),
    row(64, 64, 8192, 1, 3, Rivals::Foreign),
    // Weights as models store them.
    Row { b: Weights::Columns, ..row(128, 1536, 384, 1, 2, Rivals::Foreign) },
    Row { b: Weights::Columns, ..row(8, 1536, 384, 1, 3, Rivals::Foreign) },
    Row { b: Weights::Packed, ..row(8, 1536, 384, 1, 2, Rivals::None) },
    // Layers of a vision transformer of width 384 and 1024 on an image of 1374 tokens, of one token's width 2560.
    Row { b: Weights::Columns, ..row(1374, 1152, 384, 1, 2, Rivals::None) },
    Row { b: Weights::Columns, fused: true, ..row(1374, 1536, 384, 1, 1, Rivals::None) },
    Row { b: Weights::Columns, ..row(1374, 1536, 384, 1, 2, Rivals::None) },
    Row { b: Weights::Columns, ..row(1374, 384, 1536, 1, 2, Rivals::None) },
    Row { b: Weights::Columns, ..row(1374, 3072, 1024, 1, 2, Rivals::None) },
    Row { b: Weights::Packed, ..row(1374, 3072, 1024, 1, 3, Rivals::None) },
    // 16-bit types.
    Row { element: Type::F16, ..row(512, 512, 512, 1, 1, Rivals::None) },
    Row { element: Type::Bf16, ..row(512, 512, 512, 1, 1, Rivals::None) },
    Row { element: Type::F16, ..row(1024, 1024, 1024, 1, 2, Rivals::None) },
    Row { element: Type::Bf16, ..row(1024, 1024, 1024, 1, 2, Rivals::None) },
    Row { element: Type::Bf16, b: Weights::Columns, ..row(8, 1536, 384, 1, 3, Rivals::None) },
    Row { element: Type::Bf16, b: Weights::Packed, ..row(8, 1536, 384, 1, 3, Rivals::None) },
    Row { element: Type::F16, ..row(64, 64, 64, 1, 3, Rivals::None) },
    Row { element: Type::F16, ..row(1024, 1024, 1024, 2, 3, Rivals::None) },
];

/// One to sixteen rows against weights that come from memory: what decoding a token costs.
const FEW_ROWS: [(usize, Weights, Type, usize, u8); 18] = [
    (1, Weights::Columns, Type::F32, 1, 1),
    (1, Weights::Columns, Type::F32, 2, 2),
    (1, Weights::Rows, Type::F32, 1, 2),
    (1, Weights::Rows, Type::F32, 2, 3),
    (1, Weights::Packed, Type::F32, 1, 3),
    (1, Weights::Columns, Type::F16, 1, 2),
    (1, Weights::Columns, Type::Bf16, 1, 2),
    (1, Weights::Columns, Type::Bf16, 2, 3),
    (2, Weights::Columns, Type::F32, 1, 3),
    (2, Weights::Rows, Type::F32, 1, 3),
    (4, Weights::Columns, Type::F32, 1, 2),
    (4, Weights::Rows, Type::F32, 1, 3),
    (8, Weights::Columns, Type::F32, 1, 3),
    (8, Weights::Rows, Type::F32, 1, 3),
    (16, Weights::Columns, Type::F32, 1, 2),
    (16, Weights::Rows, Type::F32, 1, 3),
    (16, Weights::Packed, Type::F32, 1, 3),
    (16, Weights::Columns, Type::Bf16, 2, 3),
];

fn main() {
    let few = FEW_ROWS.map(|(m, b, element, threads, tier)| Row {
        b,
        element,
        streamed: true,
        ..row(m, 4096, 4096, threads, tier, Rivals::None)
    });
    proof::bench::main(|suite| {
        for row in ROWS.iter().chain(&few) {
            for kernel in kernels() {
                let is_timed = match kernel.name() {
                    "auto" => true,
                    "reference" => false,
                    "cpu-scalar" => row.rivals == Rivals::All,
                    _ => matches!(row.rivals, Rivals::Fast | Rivals::All),
                };
                if is_timed {
                    declare(suite, row, Who::Ours(kernel));
                }
            }
            if row.rivals != Rivals::None {
                declare(suite, row, Who::Ndarray);
            }
        }
    });
}

fn declare(suite: &mut Suite, row: &Row, who: Who) {
    let &Row { shape, element, b, threads, streamed, fused, tier, .. } = row;
    let Shape { m, n, k } = shape;
    let parallelism =
        NonZeroUsize::new(threads).filter(|_| threads > 1).map_or(Parallelism::Serial, Parallelism::Rayon);
    let case = Case { shape, alpha: 1.0, beta: 0.0, parallelism };
    let (name, isa, tier) = match &who {
        Who::Ours(kernel) if kernel.name() == "auto" => ("auto", explain(shape, parallelism).isa, tier),
        Who::Ours(kernel) => (kernel.name(), isa_of(kernel.name()), tier.max(2)),
        Who::Ndarray => ("ndarray", Isa::best(), tier.max(2)),
    };
    let layout = match b {
        Weights::Rows => "",
        Weights::Columns => "-bt",
        Weights::Packed => "-packed",
    };
    let (layout, regime) =
        (format!("{layout}{}", if fused { "-gelu" } else { "" }), if streamed { "streamed" } else { "resident" });
    let bytes = element.bytes() * (m * k + k * n) + 4 * m * n;
    let bench = Bench {
        group: format!("gemm/gemm/{element}"),
        function: format!("m{m}-n{n}-k{k}{layout}/{regime}/t{threads}"),
        value: name.to_owned(),
        tier,
        work: Work { flops: shape.flops().map(|flops| flops as f64), bytes: Some(bytes as f64), elements: None },
        throughput: None,
        // A byte of streamed weights meets 2 m / bytes operations: up to 8 rows memory is the bound.
        ceiling: match streamed && m <= 8 {
            true => Ceiling::Read { level: Level::Memory, threads },
            false => Ceiling::Fma { isa, threads },
        },
    };
    suite.bench(bench, || Box::new(Timed::new(who, case, row)));
}

/// The instruction set in a kernel's name: `cpu-avx2`.
fn isa_of(kernel: &str) -> Isa {
    kernel.strip_prefix("cpu-").and_then(|isa| isa.parse().ok()).unwrap_or(Isa::Scalar)
}
