//! Products of matrices on a GPU, in WGSL.
//!
//! Operands larger than a binding of the device are bound in parts, each with a dispatch of its own.
//!
//! | part | what it does |
//! |---|---|
//! | [`Matrix`] | rows of f32, f16 or bf16 on a device, padded with zeros |
//! | [`Product`] | C <- A B for dense matrices, one or a batch ([`Operands`]), by a [`Variant`] that fits; with an [`Epilogue`] |
//! | [`Blocks`] | weights in GGML blocks on a device, as a GGUF file stores them or packed |
//! | [`Activations`] | rows of A, rounded to 8 bits on the device |
//! | [`BlockProduct`] | y <- x W^T for weights in blocks; added to y, or through a squared ReLU ([`Finish`]) |
//! | [`Product::tuned`], [`BlockProduct::tuned`] | the same by the variant that a [`gpu::Tuner`] finds fastest, and remembers |
//! | [`kernels`] | the WGSL and the constants of every kernel |

mod activations;
mod blocks;
pub mod cases;
mod epilogue;
mod error;
pub mod kernels;
mod matrix;
mod parts;
mod product;
mod tuned;
mod variant;

pub use activations::{Activations, Rows};
pub use blocks::{BlockProduct, BlockVariant, Blocks, Finish, Layout};
pub use epilogue::{Bias, Epilogue};
pub use error::GemmGpuError;
pub use gemm::Activation;
pub use matrix::{Element, ElementType, Matrix};
pub use product::{Operand, Operands, Product};
pub use variant::Variant;
