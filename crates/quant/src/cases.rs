//! The named cases of this op: one home for the rows that benches, peers and tests use.
//!
//! A name is `DIRECTION/TYPE/nLENGTH`, or `DIRECTION/TYPE/[VALUES/]seedSEED` for rows whose results are only compared.

use std::fmt;

use op::{NamedCase, ParamError, Parameters, Params};

use crate::GgmlType;

/// Types that this crate can convert, other than F32. The most common ones come first.
pub const TYPES: [GgmlType; 16] = [
    GgmlType::F16,
    GgmlType::BF16,
    GgmlType::Q4_0,
    GgmlType::Q8_0,
    GgmlType::Q4_K,
    GgmlType::Q5_K,
    GgmlType::Q6_K,
    GgmlType::Q4_1,
    GgmlType::Q5_0,
    GgmlType::Q5_1,
    GgmlType::Q2_K,
    GgmlType::Q3_K,
    GgmlType::Q8_K,
    GgmlType::Q8_1,
    GgmlType::IQ4_NL,
    GgmlType::MXFP4,
];

/// Length of a resident row: its 128 KiB of f32 and its blocks stay in an L2 cache of 512 KiB.
pub const RESIDENT: usize = 32 << 10;
/// Length of a streamed row: 192 MiB of f32.
pub const STREAMED: usize = 48 << 20;
/// Lengths of the rows that are compared with peers.
const PEER_DEQUANTIZED: usize = 1 << 20;
const PEER_QUANTIZED: usize = 64 << 10;
/// Length of the rows of other seeds, whose results are compared without timing.
const COMPARED: usize = 64 << 10;

/// The direction of a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Blocks to numbers.
    Dequantize,
    /// Numbers to blocks.
    Quantize,
}

impl Direction {
    const NAMES: [(Self, &'static str); 2] = [(Self::Dequantize, "dequantize"), (Self::Quantize, "quantize")];

    /// The value of the parameter `work`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dequantize => "dequantize",
            Self::Quantize => "quantize",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The parameters of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Direction of the conversion.
    pub direction: Direction,
    /// Type of the blocks.
    pub ty: GgmlType,
    /// Length, in numbers.
    pub len: usize,
    /// Whether the input may have blocks of zeros. ggml leaves some bytes of such blocks unwritten for two types.
    pub has_zeros: bool,
    /// The numbers that are quantized.
    pub values: Values,
    /// Seed of the input.
    pub seed: u64,
}

/// The numbers of a row that is quantized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// Nearly normal ones, of many scales, with a few outliers.
    Normal,
    /// Random bit patterns of finite numbers.
    Bits,
}

impl Values {
    const NAMES: [(Self, &'static str); 2] = [(Self::Normal, "normal"), (Self::Bits, "bits")];
}

impl Parameters for Row {
    fn to_params(&self) -> Params {
        let params = Params::new().with("work", self.direction.name()).with("type", self.ty.name()).with("n", self.len);
        let params = if self.has_zeros { params } else { params.with("zeros", "none") };
        let params = if self.values == Values::Bits { params.with("values", "bits") } else { params };
        if self.seed == 0 { params } else { params.with("seed", self.seed) }
    }

    fn from_params(params: &Params) -> Result<Self, ParamError> {
        let direction = params.one_of("work", Direction::NAMES)?;
        let ty = params.one_of("type", GgmlType::ALL.iter().map(|&ty| (ty, ty.name())))?;
        let has = |name: &str| params.get(name).is_some();
        let has_zeros = !has("zeros") || params.one_of("zeros", [(false, "none")])?;
        let values = if has("values") { params.one_of("values", Values::NAMES)? } else { Values::Normal };
        let seed = if has("seed") { params.number("seed")? as u64 } else { 0 };
        Ok(Self { direction, ty, len: params.number("n")?, has_zeros, values, seed })
    }
}

/// All named cases. Tiers are those of the fastest kernel.
pub fn cases() -> Vec<NamedCase<Row>> {
    use Direction::{Dequantize, Quantize};
    let mut cases = Vec::new();
    for ty in TYPES {
        cases.push(case(Dequantize, ty, RESIDENT));
        if matches!(ty, GgmlType::F16 | GgmlType::Q4_K | GgmlType::Q6_K) {
            cases.push(case(Dequantize, ty, STREAMED).tier(3).streamed());
        }
        let is_common = matches!(ty, GgmlType::Q4_0 | GgmlType::Q4_K | GgmlType::Q6_K | GgmlType::Q8_K);
        cases.push(case(Quantize, ty, RESIDENT).tier(if is_common { 1 } else { 2 }));
    }
    // ggml cannot dequantize Q8_1.
    let dequantized = || TYPES.into_iter().filter(|&ty| ty != GgmlType::Q8_1);
    cases.extend(dequantized().map(|ty| case(Dequantize, ty, PEER_DEQUANTIZED).tier(0)));
    cases.extend(TYPES.map(|ty| case(Quantize, ty, PEER_QUANTIZED).tier(0)));
    let seeds = 1..=3;
    for (ty, seed) in dequantized().flat_map(|ty| seeds.clone().map(move |seed| (ty, seed))) {
        let row = Row { seed, ..case(Dequantize, ty, COMPARED).params };
        cases.push(NamedCase::computed(format!("{Dequantize}/{ty}/seed{seed}"), row).tier(0));
    }
    for (ty, (values, word)) in TYPES.into_iter().flat_map(|ty| Values::NAMES.map(|values| (ty, values))) {
        cases.extend(seeds.clone().map(|seed| {
            let row = Row { seed, values, has_zeros: false, ..case(Quantize, ty, COMPARED).params };
            NamedCase::computed(format!("{Quantize}/{ty}/{word}/seed{seed}"), row).tier(0)
        }));
    }
    cases
}

fn case(direction: Direction, ty: GgmlType, len: usize) -> NamedCase<Row> {
    // ggml leaves the sums of an all-zero Q8_K block unwritten. Its IQ4_NL quantizer leaves the codes of an all-zero
    // block to what the block before had (fixed upstream since).
    let is_unwritten = matches!(ty, GgmlType::Q8_K | GgmlType::IQ4_NL) && direction == Direction::Quantize;
    let has_zeros = !(is_unwritten && len == PEER_QUANTIZED);
    let name = format!("{direction}/{ty}/n{len}");
    NamedCase::computed(name, Row { direction, ty, len, has_zeros, values: Values::Normal, seed: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        let cases = cases();
        assert_eq!(op::check_table(&cases), Ok(()));
        assert_eq!(cases.len(), 16 + 3 + 16 + 15 + 16 + 3 * 15 + 2 * 3 * 16);
        for case in &cases {
            let Row { ty, len, .. } = case.params;
            assert!(ty.row_bytes(len).is_ok(), "{}", case.name);
        }
    }
}
