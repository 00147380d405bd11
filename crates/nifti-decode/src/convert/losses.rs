//! Values that a conversion changes by more than the rounding of fractions.
//!
//! A float type rounds fractions: that is what asking for it means. It should not silently change a label id, turn a large value into
//! infinity, or turn a small one into zero. Such voxels are counted where the pair of types and the scaling can produce them at all,
//! which [`Scan::new`] decides once per volume. Then each block of values, which is in L1, is counted in vector registers, by the bits of
//! the values. Values are examined one by one only to find the first one that is lost, and where a block has values below the normal
//! numbers.

use std::fmt;

#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::{
    BLOCK, Fill, Map, Path,
    kernel::{Intermediate, Source, choose, unscaled},
    whole::value_of,
};
use crate::{Datatype, error::Short};

/// Voxels whose output is not the value that they stand for, beside the rounding of fractions to the nearest number of a float type.
///
/// They are counted for plans that do not normalize. Whole numbers are counted up to 2^53 where they are scaled or stored as floats:
/// above, an f64 cannot tell a whole number from its neighbors.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Losses {
    /// Whole numbers that the output type does not have, such as label ids above 2^24 in `float32`.
    pub whole: u64,
    /// Finite values that became infinite.
    pub overflowed: u64,
    /// Values so small that they became zero, or lost digits as subnormal numbers.
    pub underflowed: u64,
    /// The first of them in the output.
    pub first: Option<Loss>,
}

/// A value that was lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// Index of the voxel in the output, first axis fastest.
    pub index: usize,
    /// What it stands for.
    pub value: Value,
}

/// A scaled value, exactly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Of integers that are not scaled.
    Int(i128),
    /// Of all others.
    Float(f64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{}", Short(*value)),
        }
    }
}

impl Losses {
    /// All voxels that were lost.
    pub fn total(&self) -> u64 {
        self.whole + self.overflowed + self.underflowed
    }

    /// Whether every voxel kept its value, apart from the rounding of fractions.
    pub fn is_empty(&self) -> bool {
        self.total() == 0
    }

    /// Counts one of `kind`.
    pub(super) fn add(&mut self, kind: Kind, index: usize, value: Value) {
        match kind {
            Kind::Whole => self.whole += 1,
            Kind::Overflowed => self.overflowed += 1,
            Kind::Underflowed => self.underflowed += 1,
        }
        self.see(Loss { index, value });
    }

    fn see(&mut self, loss: Loss) {
        if self.first.is_none_or(|first| loss.index < first.index) {
            self.first = Some(loss);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.whole += other.whole;
        self.overflowed += other.overflowed;
        self.underflowed += other.underflowed;
        if let Some(loss) = other.first {
            self.see(loss);
        }
    }
}

impl fmt::Display for Losses {
    /// `3 values changed: 2 whole numbers, 1 to infinity; the first is 16777217 at index 5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        write!(f, "{total} {} changed", if total == 1 { "value" } else { "values" })?;
        let kinds = [(self.whole, "whole"), (self.overflowed, "to infinity"), (self.underflowed, "near zero")];
        let mut separator = ": ";
        for (count, kind) in kinds.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{separator}{count} {kind}")?;
            separator = ", ";
        }
        match self.first {
            Some(Loss { index, value }) => write!(f, "; the first is {value} at index {index}"),
            None => Ok(()),
        }
    }
}

/// What became of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Whole,
    Overflowed,
    Underflowed,
}

/// A binary float format.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Format {
    /// Bits of the significand, the leading one included: whole numbers up to 2^bits are exact.
    pub(super) bits: u32,
    /// Least f32 that rounds to infinity.
    pub(super) overflow: f64,
    /// Least f64 that rounds to it: every type but f64 is reached through f32, and ties go to the even neighbor.
    pub(super) overflow_double: f64,
    /// Least normal number: smaller ones have fewer bits.
    pub(super) min_normal: f64,
}

pub(super) const F16: Format =
    Format { bits: 11, overflow: 65520.0, overflow_double: 65520.0 - 1.0 / 512.0, min_normal: 1.0 / 16384.0 };
pub(super) const BF16: Format = Format {
    bits: 8,
    overflow: f32::from_bits(0x7f7f_8000) as f64,
    overflow_double: f32::from_bits(0x7f7f_8000) as f64 - HALF_STEP,
    min_normal: f32::MIN_POSITIVE as f64,
};
pub(super) const F32: Format = Format {
    bits: 24,
    overflow: f64::INFINITY,
    overflow_double: f32::MAX as f64 + HALF_STEP,
    min_normal: f32::MIN_POSITIVE as f64,
};
pub(super) const F64: Format =
    Format { bits: 53, overflow: f64::INFINITY, overflow_double: f64::INFINITY, min_normal: f64::MIN_POSITIVE };
/// Half the distance of the largest f32 from its neighbor: 2^103.
const HALF_STEP: f64 = (1_u128 << 103) as f64;

impl Format {
    const fn is_double(&self) -> bool {
        self.bits == F64.bits
    }

    /// Up to this magnitude, whole numbers are exact and nothing overflows.
    fn exact_up_to(&self) -> f64 {
        f64::exp2(self.bits.into())
    }

    /// What becomes of a finite `value`; `None` where it is exact, or a fraction that is rounded.
    fn kind(&self, value: f64) -> Option<Kind> {
        let magnitude = value.abs();
        if magnitude >= self.overflow_double {
            return Some(Kind::Overflowed);
        }
        if magnitude < self.min_normal {
            // Distance of neighbors; a quotient by a power of two is exact.
            let step = self.min_normal / f64::exp2(f64::from(self.bits - 1));
            return ((magnitude / step).fract() != 0.0).then_some(Kind::Underflowed);
        }
        let low = (1_u64 << (F64.bits - self.bits)) - 1;
        let is_whole = magnitude.fract() == 0.0 && magnitude <= f64::exp2(F64.bits.into());
        (is_whole && magnitude.to_bits() & low != 0).then_some(Kind::Whole)
    }

    /// Whether a whole number is exact.
    fn has(&self, magnitude: u64) -> bool {
        magnitude == 0 || magnitude.ilog2() - magnitude.trailing_zeros() < self.bits
    }
}

/// How the voxels of a conversion to a float type are scanned.
#[derive(Clone, Copy)]
pub(crate) struct Scan {
    format: Format,
    values: Values,
    /// To tell infinities that were stored from those that scaling made.
    stored: Fill<f64>,
}

/// Where the values come from that are scanned.
#[derive(Clone, Copy)]
enum Values {
    /// The block of f32 that the output was made from: it is exact.
    Filled,
    F64(Fill<f64>),
    I64 {
        fill: Fill<i64>,
        is_u64: bool,
    },
}

impl Scan {
    /// The scan of a conversion to `format`; `None` where nothing can be lost.
    pub(super) fn new(source: &Source, format: Format) -> Option<Self> {
        let values = match need(source.datatype, &source.map, &format) {
            Need::Nothing => return None,
            Need::Filled => Values::Filled,
            Need::F64 => Values::F64(choose(source)?.0),
            Need::I64 => Values::I64 { fill: unscaled(source)?, is_u64: source.datatype == Datatype::Uint64 },
        };
        Some(Self { format, values, stored: unscaled(source)? })
    }

    /// Counts what was lost of the `n` voxels in `src`, the first of which has the index `first` in the output. `intermediate` is as the
    /// conversion of the block left it.
    pub(super) fn run(
        &self,
        source: &Source,
        src: &[u8],
        n: usize,
        intermediate: &mut Intermediate,
        (first, losses): (usize, &mut Losses),
    ) {
        match self.values {
            Values::Filled => {
                let block = &intermediate.single[..n];
                let counts = source.path.count_f32(block, &self.format);
                self.settle(counts, block.iter().map(|&value| value.into()), first, losses);
            }
            Values::F64(fill) => {
                let block = &mut intermediate.doubles()[..n];
                fill(&source.map, src, block);
                let counts = source.path.count_f64(block, &self.format);
                if counts.infinite > 0 {
                    self.find_infinities(source, src, block, first, losses);
                }
                self.settle(counts, block.iter().copied(), first, losses);
            }
            Values::I64 { fill, is_u64 } => {
                let block = &mut intermediate.wholes()[..n];
                fill(&source.map, src, block);
                let most = self.format.exact_up_to() as u64;
                for (i, &bits) in block.iter().enumerate() {
                    let magnitude = if is_u64 { bits as u64 } else { bits.unsigned_abs() };
                    if magnitude > most && (magnitude as f64 >= self.format.overflow || !self.format.has(magnitude)) {
                        let is_over = magnitude as f64 >= self.format.overflow;
                        let kind = if is_over { Kind::Overflowed } else { Kind::Whole };
                        losses.add(kind, first + i, value_of(bits, is_u64));
                    }
                }
            }
        }
    }

    /// Adds what was counted in a block of `values`, and finds the first one that was lost.
    fn settle(&self, counts: Counts, values: impl Iterator<Item = f64>, first: usize, losses: &mut Losses) {
        let lost = |(i, value): (usize, f64)| {
            let kind = if value.is_finite() { self.format.kind(value) } else { None };
            kind.map(|kind| (kind, first + i, Value::Float(value)))
        };
        if counts.small > 0 {
            // Whether a small value is exact takes a division.
            values.enumerate().filter_map(lost).for_each(|(kind, index, value)| losses.add(kind, index, value));
        } else if counts.whole + counts.overflowed > 0 {
            losses.whole += counts.whole;
            losses.overflowed += counts.overflowed;
            if losses.first.is_none_or(|loss| first < loss.index)
                && let Some((_, index, value)) = values.enumerate().find_map(lost)
            {
                losses.see(Loss { index, value });
            }
        }
    }

    /// Counts infinities that scaling made of finite voxels.
    #[cold]
    fn find_infinities(&self, source: &Source, src: &[u8], block: &[f64], first: usize, losses: &mut Losses) {
        let mut stored = [0.0; BLOCK];
        let stored = &mut stored[..block.len()];
        (self.stored)(&source.map, src, stored);
        for (i, (value, stored)) in block.iter().zip(stored).enumerate() {
            if value.is_infinite() && stored.is_finite() {
                losses.add(Kind::Overflowed, first + i, Value::Float(*value));
            }
        }
    }
}

/// What has to be scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Nothing,
    Filled,
    F64,
    I64,
}

/// Decides from the types and the scaling alone what can be lost.
fn need(datatype: Datatype, map: &Map, format: &Format) -> Need {
    if (map.shift, map.gain) != (0.0, 1.0) {
        return Need::Nothing;
    }
    let is_plain = !map.is_scaled() && !map.is_normalized();
    let is_single = format.bits < F32.bits;
    let range = match datatype {
        Datatype::Float32 if is_plain => return if is_single { Need::Filled } else { Need::Nothing },
        Datatype::Float64 if is_plain => return if format.is_double() { Need::Nothing } else { Need::F64 },
        Datatype::Float32 => f64::from(f32::MAX),
        Datatype::Float64 => f64::MAX,
        _ if is_plain && datatype.bytes() > 2 => {
            return if datatype.bytes() as u32 * 8 <= format.bits { Need::Nothing } else { Need::I64 };
        }
        // Of signed and unsigned integers alike: twice too much for the signed ones.
        _ => f64::exp2(f64::from(datatype.bytes() as u32 * 8)),
    };
    let bounds =
        [map.low, map.high].into_iter().filter(|bound| bound.is_finite()).fold(0.0, |a: f64, b| a.max(b.abs()));
    let most = (range * map.slope.abs() + map.inter.abs()).max(bounds);
    if format.is_double() {
        // Values are computed in f64, as NumPy does; what is left to lose is its range.
        return if most < f64::MAX { Need::Nothing } else { Need::F64 };
    }
    if matches!(datatype, Datatype::Float32 | Datatype::Float64) {
        return Need::F64;
    }
    // All values are multiples of this.
    let unit = lowest_bit(map.slope).min(lowest_bit(map.inter));
    if most <= format.exact_up_to() && unit >= format.min_normal {
        Need::Nothing
    } else if is_single && datatype.bytes() <= 2 && most <= unit * f64::exp2(f64::from(F32.bits)) && bounds == 0.0 {
        Need::Filled
    } else {
        Need::F64
    }
}

/// The largest power of two of which `value` is a multiple.
fn lowest_bit(value: f64) -> f64 {
    let bits = value.abs().to_bits();
    if bits == 0 {
        return f64::INFINITY;
    }
    let (exponent, fraction) = ((bits >> 52) as i32, bits & ((1 << 52) - 1));
    let significand = if exponent == 0 { fraction } else { fraction | 1 << 52 };
    f64::exp2(f64::from(exponent.max(1) - 1075 + significand.trailing_zeros() as i32))
}

/// Numbers of values in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// Whole numbers with more bits than the format has.
    whole: u64,
    overflowed: u64,
    /// Not zero, and below the normal numbers.
    small: u64,
    infinite: u64,
}

/// Counts by the bits of magnitudes, which sort as the magnitudes do: integer compares and sums, in vector registers.
macro_rules! counts {
    ($name:ident, $float:ty, $int:ty, $overflow:ident) => {
        #[inline(always)]
        pub(super) fn $name(block: &[$float], format: &Format) -> Counts {
            const INFINITY: $int = <$float>::INFINITY.to_bits() as $int;
            let low = (1 << <$float>::MANTISSA_DIGITS.saturating_sub(format.bits)) - 1;
            let overflow = ((format.$overflow as $float).to_bits() as $int).min(INFINITY);
            let least = (format.min_normal as $float).to_bits() as $int;
            // Above 2^53, a float does not tell a whole number from its neighbors.
            let most = ((1_u64 << 53) as $float).to_bits() as $int;
            let (mut whole, mut overflowed, mut small, mut infinite): ($int, $int, $int, $int) = (0, 0, 0, 0);
            for &value in block {
                let bits = value.abs().to_bits() as $int;
                let is_over = (bits >= overflow) & (bits < INFINITY);
                let is_whole = (value.trunc() == value) & (bits & low != 0) & (bits <= most) & !is_over;
                whole += <$int>::from(is_whole);
                overflowed += <$int>::from(is_over);
                small += <$int>::from((bits != 0) & (bits < least));
                infinite += <$int>::from(bits == INFINITY);
            }
            Counts {
                whole: whole as u64,
                overflowed: overflowed as u64,
                small: small as u64,
                infinite: infinite as u64,
            }
        }
    };
}
counts!(count_f32, f32, i32, overflow);
counts!(count_f64, f64, i64, overflow_double);

impl Path {
    fn count_f32(self, block: &[f32], format: &Format) -> Counts {
        match self {
            Self::Scalar => count_f32(block, format),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(token) => avx2::count_f32(token, block, format),
        }
    }

    fn count_f64(self, block: &[f64], format: &Format) -> Counts {
        match self {
            Self::Scalar => count_f64(block, format),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(token) => avx2::count_f64(token, block, format),
        }
    }
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};

    use super::*;

    /// Values at the edges of every format, and some between.
    fn values() -> Vec<f64> {
        let mut values = vec![0.0, 0.1, 0.5, 1.0, 3.0, 255.0, 257.0, 2047.0, 2049.0, 65504.0, 65519.0, 65520.0, 1e300];
        for exponent in [-1074, -1022, -149, -133, -126, -25, -24, -14, 0, 7, 8, 11, 12, 16, 23, 24, 25, 53, 127, 128] {
            let power = f64::exp2(f64::from(exponent));
            values.extend([power, power * 1.5, power * 1.001, power + 1.0, power - 1.0]);
        }
        values.extend([f64::from(f32::MAX), f64::from(f32::MAX) * (1.0 + f64::EPSILON), f64::MAX]);
        values.extend([f64::from(bf16::MAX), 3.4e38, 3.395e38]);
        values.iter().flat_map(|&value| [value, -value]).collect()
    }

    /// By converting there and back.
    fn expected(value: f64, back: f64, min_normal: f64) -> Option<Kind> {
        if back == value {
            None
        } else if back.is_infinite() {
            Some(Kind::Overflowed)
        } else if value.abs() < min_normal {
            Some(Kind::Underflowed)
        } else {
            (value.fract() == 0.0 && value.abs() <= f64::exp2(53.0)).then_some(Kind::Whole)
        }
    }

    #[test]
    fn kinds_are_those_of_a_round_trip() {
        for value in values() {
            let single = value as f32;
            assert_eq!(F64.kind(value), None, "{value}");
            assert_eq!(F32.kind(value), expected(value, single.into(), F32.min_normal), "{value} in f32");
            let half = f16::from_f32(single).to_f64();
            assert_eq!(F16.kind(value), expected(value, half, F16.min_normal), "{value} in f16");
            let brain = bf16::from_f32(single).to_f64();
            assert_eq!(BF16.kind(value), expected(value, brain, BF16.min_normal), "{value} in bf16");
        }
        assert!((0..1 << 26).step_by(7).all(|n| F32.has(n) == ((n as f32) as u64 == n)));
    }

    /// Counts of whole blocks are the sums of what their values are, for both widths and all instruction sets.
    #[test]
    fn blocks_count_what_their_values_are() {
        let specials = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0];
        let values: Vec<f64> = values().into_iter().chain(specials).collect();
        let singles: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        let expected = |values: &[f64], format: Format| {
            let of = |kind| values.iter().filter(|v| v.is_finite() && format.kind(**v) == Some(kind)).count() as u64;
            let small = values.iter().filter(|v| **v != 0.0 && v.abs() < format.min_normal).count() as u64;
            let infinite = values.iter().filter(|v| v.is_infinite()).count() as u64;
            Counts { whole: of(Kind::Whole), overflowed: of(Kind::Overflowed), small, infinite }
        };
        for path in [Path::new(None), Path::new(Some(machine::isa::Isa::Scalar))] {
            for n in (0..values.len()).step_by(7).chain([values.len()]) {
                for format in [F16, BF16, F32, F64] {
                    assert_eq!(path.count_f64(&values[..n], &format), expected(&values[..n], format), "{format:?}");
                }
                let widened: Vec<f64> = singles[..n].iter().map(|&value| value.into()).collect();
                for format in [F16, BF16] {
                    assert_eq!(path.count_f32(&singles[..n], &format), expected(&widened, format), "{format:?}");
                }
            }
        }
    }

    /// Scalings of scanners need no scan, and others the cheapest that finds every loss.
    #[test]
    fn a_scan_is_made_only_where_something_can_be_lost() {
        let scaled = |slope, inter| Map { slope, inter, ..Map::IDENTITY };
        for (datatype, map, format, expected) in [
            (Datatype::Int16, Map::IDENTITY, F32, Need::Nothing),
            (Datatype::Int16, scaled(0.5, -24.0), F32, Need::Nothing),
            (Datatype::Int16, scaled(f64::from(0.1_f32), -1024.0), F32, Need::Nothing),
            (Datatype::Int16, scaled(1e6, 0.0), F32, Need::F64),
            (Datatype::Int16, scaled(1e-40, 0.0), F32, Need::F64),
            (Datatype::Int16, Map::IDENTITY, F16, Need::Filled),
            (Datatype::Uint8, Map::IDENTITY, F16, Need::Nothing),
            (Datatype::Uint8, Map::IDENTITY, BF16, Need::Nothing),
            (Datatype::Int16, scaled(0.5, -24.0), F16, Need::Filled),
            (Datatype::Int16, scaled(f64::from(0.1_f32), 0.0), F16, Need::F64),
            (Datatype::Uint32, Map::IDENTITY, F32, Need::I64),
            (Datatype::Uint32, Map::IDENTITY, F64, Need::Nothing),
            (Datatype::Int64, Map::IDENTITY, F64, Need::I64),
            (Datatype::Float32, Map::IDENTITY, F32, Need::Nothing),
            (Datatype::Float32, Map::IDENTITY, F16, Need::Filled),
            (Datatype::Float64, Map::IDENTITY, F64, Need::Nothing),
            (Datatype::Float64, Map::IDENTITY, F32, Need::F64),
            (Datatype::Float64, scaled(2.0, 0.0), F64, Need::F64),
            (Datatype::Float32, scaled(2.0, 0.0), F64, Need::Nothing),
            (Datatype::Float64, Map { shift: 1.0, gain: 0.1, ..Map::IDENTITY }, F16, Need::Nothing),
        ] {
            assert_eq!(need(datatype, &map, &format), expected, "{datatype:?} {map:?} {format:?}");
        }
    }

    #[test]
    fn lowest_bits() {
        for (value, bit) in [(1.0, 1.0), (-24.0, 8.0), (0.75, 0.25), (5e-324, 5e-324), (0.0, f64::INFINITY)] {
            assert_eq!(lowest_bit(value), bit);
        }
    }
}
