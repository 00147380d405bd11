//! Finds blocks whose scale is NaN or infinite: a single one makes every output of a model NaN.
//!
//! The rule is that of `ggml_validate_row_data` in ggml-org/llama.cpp, for every type, including those without a
//! kernel. There are two differences: Q8_1, which ggml does not support there, is checked too; and an F64 number beyond
//! the range of f32 is finite, whereas ggml converts it to f32 first.

use crate::{
    Endian, GgmlType, QuantError,
    format::{le::F16Le, mxfp4},
};

/// Which parts of a block must be finite.
enum Scale {
    /// None: integers, and scales that have no code for NaN or infinity.
    None,
    /// f16 numbers at these offsets.
    F16(&'static [usize]),
    BF16,
    F32,
    F64,
    /// An exponent byte, whose value 255 is reserved.
    Exponent,
    /// An f16 whose four nibbles are the top nibbles of four 16-bit words, from byte 48.
    Scattered,
}

/// Index of the first block of a row that is not finite; `None` if all are finite.
///
/// # Errors
/// [`QuantError::Bytes`] if the length of `bytes` is not a multiple of the block size.
pub fn first_non_finite(ty: GgmlType, bytes: &[u8]) -> Result<Option<usize>, QuantError> {
    first_non_finite_in(ty, bytes, Endian::Little)
}

/// Like [`first_non_finite`], for a row in either byte order. It supports every type, including those that
/// [`swap_bytes`](crate::swap_bytes) does not.
///
/// # Errors
/// As [`first_non_finite`].
pub fn first_non_finite_in(ty: GgmlType, bytes: &[u8], endian: Endian) -> Result<Option<usize>, QuantError> {
    let size = ty.block_bytes();
    if !bytes.len().is_multiple_of(size) {
        return Err(QuantError::Bytes { ty, got: bytes.len(), need: bytes.len().next_multiple_of(size) });
    }
    let scale = scale(ty);
    if matches!(scale, Scale::None) {
        return Ok(None);
    }
    let mut blocks = bytes.chunks_exact(size);
    Ok(match endian {
        Endian::Little => blocks.position(|block| !is_finite::<false>(block, &scale)),
        Endian::Big => blocks.position(|block| !is_finite::<true>(block, &scale)),
    })
}

fn scale(ty: GgmlType) -> Scale {
    match ty {
        GgmlType::F32 | GgmlType::Q8_K => Scale::F32,
        GgmlType::F64 => Scale::F64,
        GgmlType::BF16 => Scale::BF16,
        GgmlType::F16
        | GgmlType::Q4_0
        | GgmlType::Q5_0
        | GgmlType::Q8_0
        | GgmlType::IQ2_XXS
        | GgmlType::IQ2_XS
        | GgmlType::IQ2_S
        | GgmlType::IQ3_XXS
        | GgmlType::IQ3_S
        | GgmlType::IQ1_S
        | GgmlType::IQ4_NL
        | GgmlType::IQ4_XS
        | GgmlType::Q1_0
        | GgmlType::Q2_0 => Scale::F16(&[0]),
        GgmlType::Q4_1 | GgmlType::Q5_1 | GgmlType::Q8_1 | GgmlType::Q4_K | GgmlType::Q5_K => Scale::F16(&[0, 2]),
        GgmlType::Q2_K => Scale::F16(&[80, 82]),
        GgmlType::Q3_K => Scale::F16(&[108]),
        GgmlType::Q6_K => Scale::F16(&[208]),
        GgmlType::TQ1_0 => Scale::F16(&[52]),
        GgmlType::TQ2_0 => Scale::F16(&[64]),
        GgmlType::IQ1_M => Scale::Scattered,
        GgmlType::MXFP4 => Scale::Exponent,
        GgmlType::I8 | GgmlType::I16 | GgmlType::I32 | GgmlType::I64 | GgmlType::NVFP4 => Scale::None,
    }
}

fn is_finite<const BIG: bool>(block: &[u8], scale: &Scale) -> bool {
    let word = |at: usize| {
        let bytes = [block[at], block[at + 1]];
        if BIG { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    };
    // Sign and exponent of a float of so many bytes.
    let upper = |width: usize| if BIG { word(0) } else { word(width - 2) };
    match scale {
        Scale::None => true,
        Scale::F16(offsets) => offsets.iter().all(|&at| F16Le::from_bits(word(at)).is_finite()),
        Scale::BF16 => upper(2) & 0x7f80 != 0x7f80,
        Scale::F32 => upper(4) & 0x7f80 != 0x7f80,
        Scale::F64 => upper(8) & 0x7ff0 != 0x7ff0,
        Scale::Exponent => block[0] != mxfp4::RESERVED,
        Scale::Scattered => {
            // Word k has bits 4 k to 4 k + 3 of the scale; the exponent is bits 10 to 14.
            let bits = (0..4).fold(0, |bits, k| bits | (word(48 + 2 * k) >> 12) << (4 * k));
            F16Le::from_bits(bits).is_finite()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spoiled_scale_is_found_where_it_stands() {
        for &ty in GgmlType::ALL {
            let size = ty.block_bytes();
            let mut bytes = vec![0; 3 * size];
            assert_eq!(first_non_finite(ty, &bytes), Ok(None), "{ty}");
            assert_eq!(first_non_finite(ty, &[]), Ok(None), "{ty}");
            bytes[size..2 * size].fill(0xff);
            let expected = (!matches!(scale(ty), Scale::None)).then_some(1);
            assert_eq!(first_non_finite(ty, &bytes), Ok(expected), "{ty}");
            if size > 1 {
                let (got, need) = (size + 1, 2 * size);
                assert_eq!(first_non_finite(ty, &bytes[..got]), Err(QuantError::Bytes { ty, got, need }));
            }
        }
    }

    /// Each offset by itself: everything but the scale is 0xff, and the other way round.
    #[test]
    fn only_the_scale_counts() {
        for &ty in GgmlType::ALL {
            let Scale::F16(offsets) = scale(ty) else { continue };
            let mut block = vec![0xff; ty.block_bytes()];
            for &at in offsets {
                block[at..at + 2].copy_from_slice(&F16Le::from_f32(1.0).to_bits().to_le_bytes());
            }
            assert_eq!(first_non_finite(ty, &block), Ok(None), "{ty}");
            for &at in offsets {
                let mut block = block.clone();
                block[at..at + 2].copy_from_slice(&0x7c00_u16.to_le_bytes());
                assert_eq!(first_non_finite(ty, &block), Ok(Some(0)), "{ty} at {at}");
            }
        }
    }
}
