//! GGML block formats: their layouts, a scalar reference of both directions, and kernels.
//!
//! A quantized row consists of blocks: 32 or 256 numbers, stored as small integers with shared scales. [`GgmlType`]
//! lists every type of a GGUF file with the size of its block. [`mod@format`] has a module for each type that this
//! crate can convert. [`dequantize`] and [`quantize`] use the fastest kernel of this machine; [`kernels`] lists all of
//! them.
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
//! - Dequantizing yields the same bits for all block bytes. Any two NaNs count as equal, because neither C nor Rust
//!   defines a NaN's payload.
//! - Quantizing yields the same bytes for all finite numbers for which the C code has defined behavior. Where it does
//!   not (a number so small that the inverse of its scale overflows, converted to an integer), the integer saturates
//!   here.
//! - A block with a NaN or an infinity among its numbers, for which ggml stores garbage, is **not finite** as a whole
//!   here: its scale is NaN, so it dequantizes to no finite number and [`first_non_finite`] finds it.
//!   [`MXFP4`](mod@format::mxfp4) has no NaN; there it is the reserved exponent with codes that overflow. F16, BF16 and
//!   F32 keep such a number in its place.
//!
//! # Memory
//!
//! Blocks have alignment 1, and their fields are little-endian on every host. So any bytes of the right length are a
//! row of blocks, and a mapped file needs no copy whatever its alignment. Rows of big-endian files must be converted by
//! [`swap_bytes`] first.

mod byte_order;
pub mod cases;
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

/// Length of a K-quant block, in numbers.
pub const QK_K: usize = 256;

/// Converts a row of blocks to f32 numbers with the fastest kernel of this machine.
///
/// `bytes` holds whole blocks of type `ty`; `out` receives as many numbers as the blocks hold.
///
/// # Errors
/// [`QuantError::Unsupported`] for a type without a kernel, [`QuantError::RowLength`] if the length of `out` is not a
/// multiple of the block length, [`QuantError::Bytes`] if `bytes` does not have the length of that many blocks.
pub fn dequantize(ty: GgmlType, bytes: &[u8], out: &mut [f32]) -> Result<(), QuantError> {
    Kernel::best().dequantize(ty, bytes, out)
}

/// Converts a row of f32 numbers to blocks of type `ty` with the fastest kernel of this machine.
///
/// # Errors
/// As [`dequantize`], with `x` for `out`.
pub fn quantize(ty: GgmlType, x: &[f32], bytes: &mut [u8]) -> Result<(), QuantError> {
    Kernel::best().quantize(ty, x, bytes)
}

/// The code of the README, compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
