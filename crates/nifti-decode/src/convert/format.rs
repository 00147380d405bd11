//! What a float format holds, and how many values of a block it does not.

use simd::InstructionSet;

use super::compiled::{self, Loop};

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
    pub(super) const fn is_double(&self) -> bool {
        self.bits == F64.bits
    }

    /// Up to this magnitude, whole numbers are exact and nothing overflows.
    pub(super) fn exact_up_to(&self) -> f64 {
        f64::exp2(self.bits.into())
    }

    /// What becomes of a finite `value`; `None` where it is exact, or a fraction that is rounded.
    pub(super) fn kind(&self, value: f64) -> Option<Kind> {
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
    pub(super) fn has(&self, magnitude: u64) -> bool {
        magnitude == 0 || magnitude.ilog2() - magnitude.trailing_zeros() < self.bits
    }
}

/// Numbers of values in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// Whole numbers with more bits than the format has.
    pub(super) whole: u64,
    pub(super) overflowed: u64,
    /// Not zero, and below the normal numbers.
    pub(super) small: u64,
    pub(super) infinite: u64,
}

/// Counts by the bits of magnitudes, which sort as the magnitudes do: integer compares and sums, in vector registers.
macro_rules! counts {
    ($name:ident, $loop:ident, $float:ty, $int:ty, $overflow:ident) => {
        /// With `ONLY_WHOLE`, the caller knows that all magnitudes are zero or normal, do not overflow, and are at most
        /// 2^53.
        pub(super) fn $name<const ONLY_WHOLE: bool>(simd: InstructionSet, block: &[$float], format: &Format) -> Counts {
            compiled::run(simd, $loop::<ONLY_WHOLE> { block, format })
        }

        struct $loop<'a, const ONLY_WHOLE: bool> {
            block: &'a [$float],
            format: &'a Format,
        }

        impl<const ONLY_WHOLE: bool> Loop for $loop<'_, ONLY_WHOLE> {
            type Output = Counts;

            #[inline(always)]
            fn run(self) -> Counts {
                let Self { block, format } = self;
                const INFINITY: $int = <$float>::INFINITY.to_bits() as $int;
                let low = (1 << <$float>::MANTISSA_DIGITS.saturating_sub(format.bits)) - 1;
                let overflow = ((format.$overflow as $float).to_bits() as $int).min(INFINITY);
                let least = (format.min_normal as $float).to_bits() as $int;
                // Above 2^53, a float does not tell a whole number from its neighbors.
                let most = ((1_u64 << 53) as $float).to_bits() as $int;
                let (mut whole, mut overflowed, mut small, mut infinite): ($int, $int, $int, $int) = (0, 0, 0, 0);
                if ONLY_WHOLE {
                    for &value in block {
                        whole += <$int>::from((value.trunc() == value) & (value.to_bits() as $int & low != 0));
                    }
                    return Counts { whole: whole as u64, ..Counts::default() };
                }
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
        }
    };
}
counts!(count_f32, CountF32, f32, i32, overflow);
counts!(count_f64, CountF64, f64, i64, overflow_double);

#[cfg(test)]
mod tests {
    use half::{bf16, f16};
    use simd::Isa;

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
        for simd in [Isa::best(), Isa::Scalar].map(compiled::instruction_set) {
            for n in (0..values.len()).step_by(7).chain([values.len()]) {
                for format in [F16, BF16, F32, F64] {
                    assert_eq!(
                        count_f64::<false>(simd, &values[..n], &format),
                        expected(&values[..n], format),
                        "{format:?}"
                    );
                }
                let widened: Vec<f64> = singles[..n].iter().map(|&value| value.into()).collect();
                for format in [F16, BF16] {
                    assert_eq!(
                        count_f32::<false>(simd, &singles[..n], &format),
                        expected(&widened, format),
                        "{format:?}"
                    );
                }
            }
        }
    }

    /// Where nothing else can be lost, counting whole numbers only is enough.
    #[test]
    fn blocks_count_whole_numbers_alone() {
        let is_fit =
            |v: &f64, f: &Format| *v == 0.0 || (f.min_normal..f.overflow.min(f64::exp2(53.0))).contains(&v.abs());
        for simd in [Isa::best(), Isa::Scalar].map(compiled::instruction_set) {
            for format in [F16, BF16, F32, F64] {
                let values: Vec<f64> = values().into_iter().filter(|v| is_fit(v, &format)).collect();
                assert_eq!(count_f64::<true>(simd, &values, &format), count_f64::<false>(simd, &values, &format));
                let singles: Vec<f32> =
                    values.iter().map(|&v| v as f32).filter(|&v| is_fit(&v.into(), &format)).collect();
                assert_eq!(count_f32::<true>(simd, &singles, &format), count_f32::<false>(simd, &singles, &format));
            }
        }
    }
}
