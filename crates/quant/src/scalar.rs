//! Rows converted by the portable code of each format.

use crate::{
    GgmlType,
    format::{
        BF16, Block, BlockIQ4_NL, BlockMXFP4, BlockQ2_K, BlockQ3_K, BlockQ4_0, BlockQ4_1, BlockQ4_K, BlockQ5_0,
        BlockQ5_1, BlockQ5_K, BlockQ6_K, BlockQ8_0, BlockQ8_1, BlockQ8_K, F16, F32,
    },
};

/// Both directions of one type.
struct Rows {
    dequantize: fn(&[u8], &mut [f32]),
    quantize: fn(&[f32], &mut [u8]),
}

/// The types that this crate can convert. The caller has checked the length of the row; a wrong one would panic in
/// `bytemuck`.
const fn rows(ty: GgmlType) -> Option<Rows> {
    Some(match ty {
        GgmlType::F32 => of::<F32>(),
        GgmlType::F16 => of::<F16>(),
        GgmlType::BF16 => of::<BF16>(),
        GgmlType::Q4_0 => of::<BlockQ4_0>(),
        GgmlType::Q4_1 => of::<BlockQ4_1>(),
        GgmlType::Q5_0 => of::<BlockQ5_0>(),
        GgmlType::Q5_1 => of::<BlockQ5_1>(),
        GgmlType::Q8_0 => of::<BlockQ8_0>(),
        GgmlType::Q8_1 => of::<BlockQ8_1>(),
        GgmlType::Q2_K => of::<BlockQ2_K>(),
        GgmlType::Q3_K => of::<BlockQ3_K>(),
        GgmlType::Q4_K => of::<BlockQ4_K>(),
        GgmlType::Q5_K => of::<BlockQ5_K>(),
        GgmlType::Q6_K => of::<BlockQ6_K>(),
        GgmlType::Q8_K => of::<BlockQ8_K>(),
        GgmlType::IQ4_NL => of::<BlockIQ4_NL>(),
        GgmlType::MXFP4 => of::<BlockMXFP4>(),
        _ => return None,
    })
}

const fn of<B: Block>() -> Rows {
    assert!(size_of::<B>() == B::TYPE.block_bytes() && size_of::<B::Values>() == 4 * B::TYPE.block_len());
    Rows { dequantize: dequantize_row::<B>, quantize: quantize_row::<B> }
}

fn dequantize_row<B: Block>(bytes: &[u8], out: &mut [f32]) {
    let (blocks, out): (&[B], &mut [B::Values]) = (bytemuck::cast_slice(bytes), bytemuck::cast_slice_mut(out));
    for (block, out) in blocks.iter().zip(out) {
        block.dequantize(out);
    }
}

fn quantize_row<B: Block>(x: &[f32], bytes: &mut [u8]) {
    let (x, blocks): (&[B::Values], &mut [B]) = (bytemuck::cast_slice(x), bytemuck::cast_slice_mut(bytes));
    for (x, block) in x.iter().zip(blocks) {
        *block = B::quantize(x);
    }
}

/// Whether the type can be converted.
pub(crate) fn has(ty: GgmlType) -> bool {
    rows(ty).is_some()
}

/// Dequantizes a row whose length was checked; `false` if the type cannot be converted.
pub(crate) fn dequantize(ty: GgmlType, bytes: &[u8], out: &mut [f32]) -> bool {
    rows(ty).map(|rows| (rows.dequantize)(bytes, out)).is_some()
}

/// Quantizes a row whose length was checked; `false` if the type cannot be converted.
pub(crate) fn quantize(ty: GgmlType, x: &[f32], bytes: &mut [u8]) -> bool {
    rows(ty).map(|rows| (rows.quantize)(x, bytes)).is_some()
}
