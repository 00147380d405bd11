//! Rows in big-endian byte order, from big-endian GGUF files.
//!
//! Kernels of this crate read and write little-endian blocks on every host. [`swap_bytes`] converts a row between the
//! two byte orders: it reverses the bytes of every multi-byte number of a block, and leaves single-byte codes and
//! scales unchanged. The multi-byte numbers are those that `ggml-common.h` of ggml-org/llama.cpp declares, and those
//! that its row functions access as one word: the fifth bits of Q5_0 and Q5_1 are declared as four bytes and used as
//! one word. For the types that `gguf_convert_endian.py` of the same repository supports, the result is the same.

use crate::{GgmlType, QuantError};

/// The byte order of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Endian {
    /// Least significant byte first, the order of nearly all files.
    #[default]
    Little,
    /// Most significant byte first.
    Big,
}

/// Consecutive numbers in a block: `count` numbers of `width` bytes each, from byte `at`.
struct Numbers {
    at: usize,
    width: usize,
    count: usize,
}

const fn one(at: usize, width: usize) -> Numbers {
    Numbers { at, width, count: 1 }
}

/// The multi-byte numbers of a block. `None` for block types that this crate cannot convert: some of ggml's functions
/// read their codes as words that the block does not declare. NVFP4 consists of single bytes.
const fn numbers(ty: GgmlType) -> Option<&'static [Numbers]> {
    Some(match ty {
        GgmlType::I8 | GgmlType::MXFP4 | GgmlType::NVFP4 => &[],
        GgmlType::F16 | GgmlType::BF16 | GgmlType::I16 => const { &[one(0, 2)] },
        GgmlType::F32 | GgmlType::I32 => const { &[one(0, 4)] },
        GgmlType::F64 | GgmlType::I64 => const { &[one(0, 8)] },
        GgmlType::Q4_0 | GgmlType::Q8_0 | GgmlType::IQ4_NL => const { &[one(0, 2)] },
        GgmlType::Q4_1 | GgmlType::Q8_1 | GgmlType::Q4_K | GgmlType::Q5_K => const { &[one(0, 2), one(2, 2)] },
        GgmlType::Q5_0 => const { &[one(0, 2), one(2, 4)] },
        GgmlType::Q5_1 => const { &[one(0, 2), one(2, 2), one(4, 4)] },
        GgmlType::Q2_K => const { &[one(80, 2), one(82, 2)] },
        GgmlType::Q3_K => const { &[one(108, 2)] },
        GgmlType::Q6_K => const { &[one(208, 2)] },
        GgmlType::Q8_K => const { &[one(0, 4), Numbers { at: 260, width: 2, count: 16 }] },
        _ => return None,
    })
}

/// Converts a row of blocks from one byte order to the other, in place.
///
/// # Errors
/// [`QuantError::Unsupported`] for a block type that this crate cannot convert; [`QuantError::Bytes`] if the length of
/// `bytes` is not a multiple of the block size. `bytes` is then unchanged.
pub fn swap_bytes(ty: GgmlType, bytes: &mut [u8]) -> Result<(), QuantError> {
    let numbers = numbers(ty).ok_or(QuantError::Unsupported { ty })?;
    let size = ty.block_bytes();
    if !bytes.len().is_multiple_of(size) {
        return Err(QuantError::Bytes { ty, got: bytes.len(), need: bytes.len().next_multiple_of(size) });
    }
    if numbers.is_empty() {
        return Ok(());
    }
    for block in bytes.chunks_exact_mut(size) {
        for &Numbers { at, width, count } in numbers {
            block[at..at + width * count].chunks_exact_mut(width).for_each(<[u8]>::reverse);
        }
    }
    Ok(())
}
