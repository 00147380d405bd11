#![doc = include_str!("../README.md")]

#[cfg(target_arch = "x86_64")]
pub mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bytes;
mod dispatch;
mod element;
mod integer;
pub mod math;
mod norm;
mod portable;
mod prefetch;
mod vector;

#[cfg(test)]
mod tests;

#[cfg(target_arch = "x86_64")]
pub use avx2::{F32x8, I8x32, I32x8};
#[cfg(target_arch = "x86_64")]
pub use avx512::{F32x16, I8x64, I32x16};
pub use bytes::{ByteSimd, ByteVectorized};
pub use dispatch::{Dispatch, InstructionSet};
pub use element::{Element, ElementType, MAX_LANES};
#[doc(hidden)]
pub use half::{bf16, f16};
pub use integer::{I8Vector, I32Vector};
pub use machine::isa::{Amx, Avx2, Avx512, Avx512Vnni, Isa};
pub use norm::LayerNorm;
pub use portable::{F32x1, I8x4, I32x1, Portable};
pub use prefetch::{prefetch_l1, prefetch_l2};
pub use vector::{F32Vector, Simd, Vectorized};
