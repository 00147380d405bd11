#![doc = include_str!("../README.md")]
#![expect(
    clippy::needless_range_loop,
    reason = "a tile is indexed by rows, vectors and steps at once; closures would not inherit the instruction set"
)]
#![cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "only x86-64 has kernels in blocks so far"))]

mod algorithm;
mod api;
pub mod cases;
mod choice;
mod chunks;
mod epilogue;
mod error;
mod grid;
mod int8;
mod kernel;
mod matrix;
mod plan;
mod problem;
mod quantized;
mod rounding;
mod shape;
mod tile;
mod weights;

pub use api::{Gemm, SharedA, Term, explain, gemm, gemv, split};
pub use choice::{Blocking, Choice, Path};
pub use epilogue::{Activation, Epilogue};
pub use error::{GemmError, LayoutError, Operand};
pub use kernel::{Case, Codes, GemmOp, Kernel, Operands, block_paths, kernels, paths, round_activations, rows_alone};
pub use matrix::{Batch, BatchMut, Input, MatMut, MatRef, Output};
pub use op::{Threads, Workspace};
pub use plan::{Figures, ProblemLayout, Split, Storage};
pub use shape::Shape;
pub use simd::{Element, ElementType};
pub use weights::{Int8Weights, PackedB, QMatRef, Rhs, RhsBatch};
