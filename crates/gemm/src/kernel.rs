//! The kernels of this op: what each instruction set runs, and the list that tests and benches iterate over.

mod code;
mod cpu;
mod list;
mod reference;
mod weights;

pub use cpu::Codes;
pub(crate) use cpu::CpuKernel;
pub use list::{Case, GemmOp, Kernel, Operands, block_paths, kernels, paths, rows_alone};
pub use reference::round_activations;
