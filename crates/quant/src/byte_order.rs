//! Rows of the other byte order, as big-endian GGUF files hold them.
//!
//! The numbers of this crate's kernels are little-endian on every host. [`swap_bytes`] turns a row from a big-endian file into
//! such a row, and back: it reverses every number of more than one byte that a block has, and leaves codes and scales of single
//! bytes where they are. Which those numbers are is what the blocks of `ggml-common.h` in ggml-org/llama.cpp declare, and what
//! its functions on rows move as one word: the fifth bits of Q5_0 and Q5_1 are four bytes by declaration and one word by use.
//! For the types that `gguf_convert_endian.py` of the same repository knows, the rows are the same as its own.

use crate::{GgmlType, QuantError};

/// The order of bytes in a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Endian {
    /// The low byte first, as nearly all files have it.
    #[default]
    Little,
    /// The high byte first.
    Big,
}

/// Numbers of a block that stand in a row: `count` of `width` bytes each from byte `at`.
struct Numbers {
    at: usize,
    width: usize,
    count: usize,
}

const fn one(at: usize, width: usize) -> Numbers {
    Numbers { at, width, count: 1 }
}

/// The numbers of more than one byte of a block; `None` for the types of blocks that this crate has no code for: some of ggml's
/// functions read their codes as words that the block does not declare. NVFP4 is all bytes.
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

/// Turns a row of blocks from one byte order into the other, in place.
///
/// # Errors
/// [`QuantError::Unsupported`] for a type that this crate does not compute with, unless its elements are plain numbers or bytes;
/// [`QuantError::Bytes`] if the bytes are no whole number of blocks. Nothing is changed then.
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
