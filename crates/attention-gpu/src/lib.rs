//! Fused attention on a GPU, in WGSL: O = softmax(Q K^T / sqrt(head_dim)) V, in memory that does not grow with the
//! sequence.
//!
//! | kernel | where it runs | for what |
//! |---|---|---|
//! | `wgpu-tile-*` | any adapter | tiles of queries, register-tiled products in f32 |
//! | `wgpu-coop-*` | f16, where 16 x 16 cooperative matrices are | tiles of queries, sums in f32 |
//! | `wgpu-decode-*` | any adapter | few queries, many keys: keys are split among workgroups, parts merged exactly |
//!
//! [`Attention::prepare`] checks a problem, chooses a [`Variant`] or takes a forced one, compiles what is not compiled
//! yet, and binds the tensors; [`Prepared::steps`] are the dispatches of one run. Tensors are dense, batch x token x
//! head x element, f32, f16 or bf16 as storage; scores and sums are f32. The problem type is that of `attention`, with
//! its masks, grouped queries and packed sequences.
//!
//! The order of all sums depends on the problem and the variant alone: results are equal from run to run.

pub mod cases;
mod choose;
mod device;
mod error;
mod items;
mod kernel;
mod plan;
mod variant;

pub use attention::{ElementType, Mask, Shape, cases::Problem};
pub use device::{Attention, Prepared, Tensor, Tensors};
pub use error::AttentionGpuError;
pub use kernel::{AttentionGpuOp, Kernel, OnDevice, Operands, kernels};
pub use plan::sources;
pub use variant::{VARIANTS, Variant, by_name};

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
