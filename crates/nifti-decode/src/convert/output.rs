//! What voxels are converted to.

use half::{bf16, f16};

use super::{
    Fill, Losses,
    format::{BF16, F16, F32, F64, Format},
    kernel::{Intermediate, Path, Source, choose},
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

macro_rules! in_place {
    ($type:ty, $name:literal, $format:expr) => {
        impl Output for $type {
            const NAME: &'static str = $name;
        }

        impl Target for $type {
            type Fills = Fill<$type>;
            const FORMAT: Option<Format> = Some($format);
            const IS_IN_PLACE: bool = true;

            fn fills(source: &Source) -> Option<(Self::Fills, &'static str)> {
                choose(source)
            }

            fn convert(
                fill: &Self::Fills,
                source: &Source,
                src: &[u8],
                dst: &mut [Self],
                _: &mut Intermediate,
                _: (usize, &mut Losses),
            ) {
                fill(&source.map, src, dst);
            }
        }
    };
}
in_place!(f32, "float32", F32);
in_place!(f64, "float64", F64);

macro_rules! packed {
    ($type:ty, $name:literal, $format:expr, $pack:ident) => {
        impl Output for $type {
            const NAME: &'static str = $name;
        }

        impl Target for $type {
            type Fills = Fill<f32>;
            const FORMAT: Option<Format> = Some($format);
            const IS_IN_PLACE: bool = false;

            fn fills(source: &Source) -> Option<(Self::Fills, &'static str)> {
                choose(source)
            }

            fn convert(
                fill: &Self::Fills,
                source: &Source,
                src: &[u8],
                dst: &mut [Self],
                intermediate: &mut Intermediate,
                _: (usize, &mut Losses),
            ) {
                let block = &mut intermediate.single[..dst.len()];
                fill(&source.map, src, block);
                match source.path {
                    Path::Scalar => super::scalar::$pack(block, dst),
                    #[cfg(target_arch = "x86_64")]
                    Path::Avx2(token) => super::avx2::$pack(token, block, dst),
                }
            }
        }
    };
}
packed!(f16, "float16", F16, pack_f16);
packed!(bf16, "bfloat16", BF16, pack_bf16);
