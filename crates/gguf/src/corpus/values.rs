//! Scales that are not finite: for every type with a scale, one file with the largest finite scales, and for each scale
//! of a block one file with an infinity and one with a NaN.
//!
//! The offsets of the scales come from `ggml-common.h` of ggml-org/llama.cpp and not from `quant`, so that the files
//! can test the table in `quant`.

use quant::GgmlType;

use super::{
    Case, accepted,
    raw::{Raw, info},
};

/// Blocks of the tensor in each file.
const BLOCKS: usize = 3;

/// A number of a block that must be finite: its offset, and special values of it.
struct Scale {
    ty: GgmlType,
    /// Its name in ggml, for the name of the file: `d`, `dmin`.
    name: &'static str,
    at: usize,
    forms: Forms,
}

/// The largest finite number, an infinity and a NaN, as bytes from `Scale::at`.
#[derive(Clone, Copy)]
struct Forms {
    largest: &'static [u8],
    infinite: &'static [u8],
    nan: &'static [u8],
}

const F16: Forms = Forms { largest: &[0xff, 0x7b], infinite: &[0x00, 0xfc], nan: &[0x01, 0x7c] };
const BF16: Forms = Forms { largest: &[0x7f, 0xff], infinite: &[0x80, 0x7f], nan: &[0x81, 0xff] };
const F32: Forms =
    Forms { largest: &[0xff, 0xff, 0x7f, 0xff], infinite: &[0x00, 0x00, 0x80, 0x7f], nan: &[0x01, 0x00, 0x80, 0xff] };
const F64: Forms = Forms {
    largest: &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xef, 0x7f],
    infinite: &[0, 0, 0, 0, 0, 0, 0xf0, 0xff],
    nan: &[1, 0, 0, 0, 0, 0, 0xf0, 0x7f],
};
/// An exponent byte: 255 is reserved for blocks that are not finite.
const E8M0: Forms = Forms { largest: &[0xfe], infinite: &[0xff], nan: &[0xff] };
/// The top nibbles of four 16-bit words, the lowest nibble first; the other bits belong to other scales.
const SCATTERED: Forms = Forms {
    largest: &[0xff, 0xff, 0xff, 0xff, 0xff, 0xbf, 0xff, 0x7f],
    infinite: &[0xff, 0x0f, 0xff, 0x0f, 0xff, 0xcf, 0xff, 0x7f],
    nan: &[0xff, 0x1f, 0xff, 0x0f, 0xff, 0xcf, 0xff, 0x7f],
};

#[rustfmt::skip]
const SCALES: &[Scale] = &[
    Scale { ty: GgmlType::F32, name: "x", at: 0, forms: F32 },
    Scale { ty: GgmlType::F16, name: "x", at: 0, forms: F16 },
    Scale { ty: GgmlType::BF16, name: "x", at: 0, forms: BF16 },
    Scale { ty: GgmlType::F64, name: "x", at: 0, forms: F64 },
    Scale { ty: GgmlType::Q4_0, name: "d", at: 0, forms: F16 },
    Scale { ty: GgmlType::Q4_1, name: "d", at: 0, forms: F16 },
    Scale { ty: GgmlType::Q4_1, name: "m", at: 2, forms: F16 },
    Scale { ty: GgmlType::Q5_0, name: "d", at: 0, forms: F16 },
    Scale { ty: GgmlType::Q5_1, name: "d", at: 0, forms: F16 },
    Scale { ty: GgmlType::Q5_1, name: "m", at: 2, forms: F16 },
    Scale { ty: GgmlType::Q8_0, name: "d", at: 0, forms: F16 },
    Scale { ty: GgmlType::Q8_1, name: "d", at: 0, forms: F16 },
    Scale { ty: GgmlType::Q8_1, name: "s", at: 2, forms: F16 },
    Scale { ty: GgmlType::Q2_K, name: "d", at: 80, forms: F16 },
    Scale { ty: GgmlType::Q2_K, name: "dmin", at: 82, forms: F16 },
    Scale { ty: GgmlType::Q3_K, name: "d", at: 108, forms: F16 },
    Scale { ty: GgmlType::Q4_K, name: "d", at: 0, forms: F16 },
    Scale { ty: GgmlType::Q4_K, name: "dmin", at: 2, forms: F16 },
    Scale { ty: GgmlType::Q5_K, name: "d", at: 0, forms: F16 },
    Scale { ty: GgmlType::Q5_K, name: "dmin", at: 2, forms: F16 },
    Scale { ty: GgmlType::Q6_K, name: "d", at: 208, forms: F16 },
    Scale { ty: GgmlType::Q8_K, name: "d", at: 0, forms: F32 },
    Scale { ty: GgmlType::IQ2_XXS, name: "d", at: 0, forms: F16 },
    Scale { ty: GgmlType::IQ2_XS, name: "d", at: 0, forms: F16 },
    Scale { ty: GgmlType::IQ2_S, name: "d", at: 0, forms: F16 },
    Scale { ty: GgmlType::IQ3_XXS, name: "d", at: 0, forms: F16 },
    Scale { ty: GgmlType::IQ3_S, name: "d", at: 0, forms: F16 },
    Scale { ty: GgmlType::IQ1_S, name: "d", at: 0, forms: F16 },
    Scale { ty: GgmlType::IQ1_M, name: "scattered", at: 48, forms: SCATTERED },
    Scale { ty: GgmlType::IQ4_NL, name: "d", at: 0, forms: F16 },
    Scale { ty: GgmlType::IQ4_XS, name: "d", at: 0, forms: F16 },
    Scale { ty: GgmlType::TQ1_0, name: "d", at: 52, forms: F16 },
    Scale { ty: GgmlType::TQ2_0, name: "d", at: 64, forms: F16 },
    Scale { ty: GgmlType::MXFP4, name: "e", at: 0, forms: E8M0 },
    Scale { ty: GgmlType::Q1_0, name: "d", at: 0, forms: F16 },
    Scale { ty: GgmlType::Q2_0, name: "d", at: 0, forms: F16 },
];

/// Types in which every byte pattern is finite.
const WITHOUT: [GgmlType; 5] = [GgmlType::I8, GgmlType::I16, GgmlType::I32, GgmlType::I64, GgmlType::NVFP4];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for &ty in GgmlType::ALL {
        let name = format!("values-{}", ty.name().to_lowercase());
        let finite = if WITHOUT.contains(&ty) { "all-ones" } else { "largest" };
        cases.push(accepted(format!("{name}-{finite}"), file(ty, &vec![block(ty); BLOCKS])));
        for scale in SCALES.iter().filter(|scale| scale.ty == ty) {
            // One in the middle and one at the end; the other blocks are finite.
            for (form, spoiled, at) in [("infinite", scale.forms.infinite, 1), ("nan", scale.forms.nan, BLOCKS - 1)] {
                let mut blocks = vec![block(ty); BLOCKS];
                blocks[at][scale.at..scale.at + spoiled.len()].copy_from_slice(spoiled);
                let spoiled = accepted(format!("{name}-{}-{form}", scale.name), file(ty, &blocks));
                cases.push(Case { not_finite: Some(at), ..spoiled });
            }
        }
    }
    cases
}

/// A block with all bits set, except for the scales, which are the largest finite ones.
fn block(ty: GgmlType) -> Vec<u8> {
    let mut block = vec![0xff; ty.block_bytes()];
    for scale in SCALES.iter().filter(|scale| scale.ty == ty) {
        block[scale.at..scale.at + scale.forms.largest.len()].copy_from_slice(scale.forms.largest);
    }
    block
}

fn file(ty: GgmlType, blocks: &[Vec<u8>]) -> Vec<u8> {
    let dims = [ty.block_len() as i64, blocks.len() as i64];
    let header = Raw::of_infos(vec![info("t", &dims, ty.id() as i32, 0)], 0);
    [header, blocks.concat()].concat()
}
