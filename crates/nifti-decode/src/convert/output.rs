//! What voxels are converted to.

use half::{bf16, f16};
use simd::{Dispatch, Portable};

use super::{
    Fill, Losses,
    compiled::{self, Loop},
    format::{BF16, F16, F32, F64, Format},
    kernel::{Intermediate, Source, choose},
};

/// A type that voxels can be converted to.
///
/// | type | values |
/// |---|---|
/// | `f64` | as `nibabel.get_fdata()` computes them: product and sum in f64 |
/// | `f32`, [`struct@f16`], [`bf16`] | rounded to nearest, ties to even; what is lost beside fractions is counted, see [`Losses`] |
/// | `u8` to `u64`, `i8` to `i64` | exact, or the conversion fails with [`NiftiError::Inexact`](crate::NiftiError::Inexact) |
pub trait Output: Copy + Default + Send + Sync + bytemuck::Pod + Target {
    /// Name, as NumPy or PyTorch spell it.
    const NAME: &'static str;
}

pub(super) use sealed::Target;

pub(crate) mod sealed {
    use super::{Format, Intermediate, Losses, Source};

    /// How voxels become this type.
    pub trait Target: Sized {
        /// The loops that fill the blocks that it is made from.
        type Fills: Copy + Send + Sync;
        /// What it can hold; `None` for integers, which are exact or refused.
        const FORMAT: Option<Format>;
        /// Whether the output is filled without a block between.
        const IS_IN_PLACE: bool;

        /// The loops, and the name of their arithmetic; `None` where the stored type is not real.
        #[doc(hidden)]
        fn fills(source: &Source) -> Option<(Self::Fills, &'static str)>;

        /// Converts a block; longer runs too where it is filled in place. Counts what integers cannot hold.
        #[doc(hidden)]
        fn convert(
            fills: &Self::Fills,
            source: &Source,
            src: &[u8],
            dst: &mut [Self],
            intermediate: &mut Intermediate,
            losses: (usize, &mut Losses),
        );
    }
}

/// Implements an output: its name, what it can hold, and how a block of it is made.
macro_rules! output {
    (
        $type:ty, $name:literal, $format:expr, in place: $is_in_place:literal, $fills:ty, $choose:path,
        |$fill:ident, $source:ident, $src:ident, $dst:ident, $intermediate:ident, $losses:ident| $convert:expr
    ) => {
        impl Output for $type {
            const NAME: &'static str = $name;
        }

        impl Target for $type {
            type Fills = $fills;
            const FORMAT: Option<Format> = $format;
            const IS_IN_PLACE: bool = $is_in_place;

            fn fills(source: &Source) -> Option<(Self::Fills, &'static str)> {
                $choose(source)
            }

            fn convert(
                $fill: &Self::Fills,
                $source: &Source,
                $src: &[u8],
                $dst: &mut [Self],
                $intermediate: &mut Intermediate,
                $losses: (usize, &mut Losses),
            ) {
                $convert
            }
        }
    };
}
pub(super) use output;

macro_rules! in_place {
    ($type:ty, $name:literal, $format:expr) => {
        output!(
            $type, $name, Some($format), in place: true, Fill<$type>, choose,
            |fill, source, src, dst, _intermediate, _losses| fill(source.simd, &source.map, src, dst)
        );
    };
}
in_place!(f32, "float32", F32);
in_place!(f64, "float64", F64);

macro_rules! packed {
    ($type:ty, $name:literal, $format:expr, |$simd:ident, $block:ident, $dst:ident| $pack:expr) => {
        output!(
            $type, $name, Some($format), in place: false, Fill<f32>, choose,
            |fill, source, src, $dst, intermediate, _losses| {
                let $simd = source.simd;
                let $block = &mut intermediate.single[..$dst.len()];
                fill($simd, &source.map, src, $block);
                $pack
            }
        );
    };
}
packed!(f16, "float16", F16, |simd, block, dst| simd.dispatch(PackF16 { block, dst }));
packed!(bf16, "bfloat16", BF16, |simd, block, dst| compiled::run(simd, PackBf16 { block, dst }));

/// Rounds a block to f16.
struct PackF16<'a> {
    block: &'a [f32],
    dst: &'a mut [f16],
}

impl Dispatch for PackF16<'_> {
    type Output = ();

    fn portable(self, _: Portable) {
        pack_f16(self.block, self.dst);
    }

    #[cfg(target_arch = "x86_64")]
    fn avx2(self, token: simd::Avx2) {
        super::avx2::pack_f16(token, self.block, self.dst);
    }
}

pub(super) fn pack_f16(block: &[f32], dst: &mut [f16]) {
    for (dst, &value) in dst.iter_mut().zip(block) {
        *dst = f16::from_f32_const(value);
    }
}

/// Rounds a block to bf16.
struct PackBf16<'a> {
    block: &'a [f32],
    dst: &'a mut [bf16],
}

impl Loop for PackBf16<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (dst, &value) in self.dst.iter_mut().zip(self.block) {
            // To nearest, ties to even; a NaN stays one whatever its payload.
            let bits = value.to_bits();
            let rounded = (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16;
            let quiet = (bits >> 16) as u16 | 0x40;
            *dst = bf16::from_bits(if bits & 0x7fff_ffff > 0x7f80_0000 { quiet } else { rounded });
        }
    }
}
