//! GGML block formats: the bytes, and the scalar truth about them.
//!
//! A quantized row is a row of blocks: 32 or 256 numbers, stored as small integers and the scales that they share.
//! [`GgmlType`] names every type that a GGUF file may hold, with its block's size; [`mod@format`] has a module for each type that
//! this crate computes with; [`dequantize`] and [`quantize`] choose the fastest kernel of this machine, and [`kernels`]
//! lists them all.
//!
//! ```
//! use quant::{GgmlType, dequantize, quantize};
//!
//! let x: Vec<f32> = (0..64).map(|i| (i as f32 * 0.1).sin()).collect();
//! let mut blocks = vec![0; GgmlType::Q8_0.row_bytes(x.len())?];
//! quantize(GgmlType::Q8_0, &x, &mut blocks)?;
//! let mut y = vec![0.0; x.len()];
//! dequantize(GgmlType::Q8_0, &blocks, &mut y)?;
//! assert!(x.iter().zip(&y).all(|(x, y)| (x - y).abs() < 0.005));
//! # Ok::<(), quant::QuantError>(())
//! ```
//!
//! # Agreement with ggml
//!
//! The formats, and the arithmetic that fills and reads them, are those of `ggml-org/llama.cpp` (`ggml-common.h`,
//! `ggml-quants.c`, the functions `dequantize_row_*` and `quantize_row_*_ref`):
//!
//! - Dequantizing gives the same bits for all block bytes, where a NaN equals a NaN: C and Rust leave a NaN's payload open.
//! - Quantizing gives the same bytes for all finite numbers for which the C code is defined. Where it is not (a number so
//!   small that the inverse of its scale overflows, converted to an integer), the integer here saturates.
//! - A block with a NaN or an infinity among its numbers, garbage there, is **not finite** here as a whole: its scale is NaN
//!   (in [`MXFP4`](mod@format::mxfp4), which has no NaN, the reserved exponent and codes that overflow), so that it dequantizes
//!   to no finite number and [`first_non_finite`] finds it. F16, BF16 and F32 keep such a number where it stands.
//!
//! # Memory
//!
//! Blocks have alignment 1 and their fields are little-endian on every host, so any bytes of the right length are a row of
//! blocks: a mapped file needs no copy whatever its alignment. Rows of big-endian files have to be turned by [`swap_bytes`] first.

mod byte_order;
mod error;
pub mod format;
mod ggml_type;
pub mod kernel;
mod scalar;
mod search;
mod validate;

#[cfg(target_arch = "x86_64")]
mod avx2;

pub use byte_order::{Endian, swap_bytes};
pub use error::QuantError;
pub use format::Block;
pub use ggml_type::{GgmlType, UnknownType};
pub use kernel::{Kernel, kernels};
pub use validate::{first_non_finite, first_non_finite_in};

/// Numbers of a block of the K-quants.
pub const QK_K: usize = 256;

/// Writes the numbers of a row of blocks to `out`, by the fastest kernel of this machine.
///
/// `bytes` holds whole blocks of type `ty`, `out` the same numbers as f32.
///
/// # Errors
/// [`QuantError::Unsupported`] for a type without kernel, [`QuantError::RowLength`] if `out` is no whole number of blocks,
/// [`QuantError::Bytes`] if `bytes` is not as long as that many blocks.
pub fn dequantize(ty: GgmlType, bytes: &[u8], out: &mut [f32]) -> Result<(), QuantError> {
    Kernel::best().dequantize(ty, bytes, out)
}

/// Writes a row of numbers to `bytes` as blocks of type `ty`, by the fastest kernel of this machine.
///
/// # Errors
/// As [`dequantize`], with `x` for `out`.
pub fn quantize(ty: GgmlType, x: &[f32], bytes: &mut [u8]) -> Result<(), QuantError> {
    Kernel::best().quantize(ty, x, bytes)
}
