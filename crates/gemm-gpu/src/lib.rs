//! Products of matrices on a GPU, in WGSL.
//!
//! | part | what it does |
//! |---|---|
//! | [`Matrix`] | rows of f32, f16 or bf16 on a device, padded with zeros |
//! | [`Product`] | C <- A B for dense matrices, by a [`Variant`] that fits |
//! | [`Blocks`] | weights in GGML blocks on a device, as a GGUF file stores them or packed |
//! | [`Activations`] | rows of A, rounded to 8 bits on the device |
//! | [`BlockProduct`] | y <- x W^T for weights in blocks; added to y, or through a squared ReLU ([`Finish`]) |
//! | [`kernels`] | the WGSL and the constants of every kernel |

mod activations;
mod blocks;
pub mod cases;
mod error;
pub mod kernels;
mod matrix;
mod product;
mod variant;

pub use activations::{Activations, Rows};
pub use blocks::{BlockProduct, BlockVariant, Blocks, Finish, Layout};
pub use error::GemmGpuError;
pub use matrix::{Element, ElementType, Matrix};
pub use product::{Operand, Product};
pub use variant::Variant;
