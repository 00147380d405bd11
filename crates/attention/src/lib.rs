#![doc = include_str!("../README.md")]
#![expect(
    clippy::needless_range_loop,
    reason = "a tile is indexed by rows, vectors and steps at once; closures would not inherit the instruction set"
)]

mod algorithm;
mod api;
pub mod cases;
mod choice;
mod error;
mod kernel;
mod mask;
mod options;
mod parts;
mod problem;
mod shape;
mod view;

pub use api::{Attention, attention, packed_workspace_bytes, workspace_bytes};
pub use choice::{BF16_WEIGHT_ERROR, Choice, Path};
pub use error::{AttentionError, Operand, ViewError};
pub use kernel::{AttentionOp, Case, Kernel, Operands, kernels, paths};
pub use mask::Mask;
pub use op::{Threads, Workspace};
pub use options::{Bias, Options};
pub use shape::Shape;
pub use simd::{Element, ElementType};
pub use view::{Extents, Input, Output, Strides, View, ViewMut};
