//! Whether a block of stored voxels can lose anything, by its extremes.
//!
//! Scaling is monotonic. So the stored values that a float format holds with nothing lost beside fractions make an
//! interval, which the types and the scaling decide ([`Bounds::new`]). A block whose smallest and largest voxel lie
//! inside needs no count. That takes two vector instructions for as many voxels as a register holds, and most blocks of
//! most volumes end there.
//!
//! Floats have a least magnitude too. Their magnitudes are compared, minus one unit in the last place: zero, which
//! nothing loses, becomes a NaN in this way, and comparisons leave NaN out.

use std::marker::PhantomData;

use simd::InstructionSet;

use super::{
    Map, Stored,
    compiled::{self, Loop},
    format::Format,
    kernel::Source,
    with_stored,
};
use crate::Datatype;

/// Screens the stored bytes of a block.
pub(super) type Screen = fn(InstructionSet, &Bounds, &[u8]) -> Reach;

/// What a block can lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Nothing,
    /// Only whole numbers, up to 2^53 in magnitude.
    Whole,
    Any,
}

/// Stored values that lose nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    /// Nothing is lost from the first to the second.
    exact: [f64; 2],
    /// Nothing becomes infinite, or is above 2^53.
    finite: [f64; 2],
    /// Least magnitude beside zero, of floats.
    least: f64,
}

impl Bounds {
    /// The bounds of `source` in `format`; `None` where small values can be lost anywhere. `unit` divides all values of
    /// scaled integers. `is_range_all` if only infinities can be lost.
    pub(super) fn new(source: &Source, format: &Format, unit: f64, is_range_all: bool) -> Option<Self> {
        let Source { datatype, map, .. } = source;
        let most = if is_range_all { f64::MAX / 2.0 } else { format.exact_up_to() };
        let is_kept = |bound: f64| bound == 0.0 || (format.min_normal..=most).contains(&bound.abs());
        if ![map.low, map.high].into_iter().all(|bound| bound.is_infinite() || is_kept(bound)) {
            return None;
        }
        // A difference of neighbors has half of the last bit of `inter` at least.
        let is_distant = map.inter.abs() >= format.min_normal * f64::exp2(54.0);
        let least = if is_range_all || is_distant {
            0.0
        } else if !matches!(datatype, Datatype::Float32 | Datatype::Float64) {
            if unit < format.min_normal && (map.inter != 0.0 || map.slope.abs() < format.min_normal) {
                return None;
            }
            0.0
        } else if map.inter == 0.0 {
            (format.min_normal / map.slope.abs() * (1.0 + MARGIN)).max(f64::MIN_POSITIVE)
        } else {
            return None;
        };
        let finite = (format.overflow_double * (1.0 - f64::exp2(-20.0))).min(f64::exp2(53.0)).max(most);
        Some(Self { exact: stored(map, most), finite: stored(map, finite), least })
    }

    /// `low` to `high` are the values of a block; `least` is below its least magnitude beside zero.
    fn reach(&self, (low, high, least): (f64, f64, f64)) -> Reach {
        let is_inside = |[from, to]: [f64; 2]| from <= low && high <= to;
        if least < self.least || !is_inside(self.finite) {
            Reach::Any
        } else if is_inside(self.exact) {
            Reach::Nothing
        } else {
            Reach::Whole
        }
    }
}

/// More than what product, sum and quotient round.
const MARGIN: f64 = 1.0 / (1_u64 << 48) as f64;

/// The stored values that `map` scales to magnitudes up to `most`.
fn stored(map: &Map, most: f64) -> [f64; 2] {
    if !map.is_scaled() {
        return [-most, most];
    }
    let ends = [(-most - map.inter) / map.slope, (most - map.inter) / map.slope];
    let margin = (most / map.slope.abs() + (map.inter / map.slope).abs()) * MARGIN;
    [ends[0].min(ends[1]) + margin, ends[0].max(ends[1]) - margin]
}

/// The loop that screens blocks of `source`.
pub(super) fn choose(source: &Source) -> Option<Screen> {
    with_stored!(source.datatype, |S| if source.is_swapped { screen::<S, true> } else { screen::<S, false> as Screen })
}

fn screen<S: Screened, const SWAP: bool>(simd: InstructionSet, bounds: &Bounds, src: &[u8]) -> Reach {
    bounds.reach(compiled::run(simd, Extremes::<S, SWAP> { src, of: PhantomData }))
}

/// The extremes of a block.
struct Extremes<'a, S, const SWAP: bool> {
    src: &'a [u8],
    of: PhantomData<S>,
}

impl<S: Screened, const SWAP: bool> Loop for Extremes<'_, S, SWAP> {
    type Output = (f64, f64, f64);

    #[inline(always)]
    fn run(self) -> (f64, f64, f64) {
        S::extremes::<SWAP>(self.src)
    }
}

/// A stored type of which blocks are screened.
pub(super) trait Screened: Stored {
    /// Values between which all voxels of a block are, and one below the least magnitude beside zero.
    fn extremes<const SWAP: bool>(src: &[u8]) -> (f64, f64, f64);
}

macro_rules! integers {
    ($($type:ty)*) => {$(
        impl Screened for $type {
            #[inline(always)]
            fn extremes<const SWAP: bool>(src: &[u8]) -> (f64, f64, f64) {
                let (mut low, mut high) = (<$type>::MAX, <$type>::MIN);
                for value in <$type>::each::<SWAP>(src) {
                    low = low.min(value);
                    high = high.max(value);
                }
                (low.to_f64(), high.to_f64(), f64::INFINITY)
            }
        }
    )*};
}
integers!(u8 i8 u16 i16 u32 i32 u64 i64);

macro_rules! floats {
    ($($type:ty)*) => {$(
        impl Screened for $type {
            #[inline(always)]
            fn extremes<const SWAP: bool>(src: &[u8]) -> (f64, f64, f64) {
                /// Four registers for each extreme, so that no comparison waits for the one before.
                const LANES: usize = 128 / size_of::<$type>();
                #[inline(always)]
                fn fold<const SWAP: bool>(chunk: &[u8; 128], high: &mut [$type; LANES], least: &mut [$type; LANES]) {
                    for ((value, high), least) in <$type>::each::<SWAP>(chunk).zip(high).zip(least) {
                        let magnitude = value.abs();
                        *high = if magnitude > *high { magnitude } else { *high };
                        let below = <$type>::from_bits(magnitude.to_bits().wrapping_sub(1));
                        *least = if below < *least { below } else { *least };
                    }
                }
                let (mut high, mut least) = ([0.0; LANES], [<$type>::INFINITY; LANES]);
                let (chunks, rest) = src.as_chunks::<128>();
                for chunk in chunks {
                    fold::<SWAP>(chunk, &mut high, &mut least);
                }
                // Zeros change neither extreme.
                let mut last = [0; 128];
                last[..rest.len()].copy_from_slice(rest);
                fold::<SWAP>(&last, &mut high, &mut least);
                let high = high.into_iter().fold(0.0, <$type>::max).to_f64();
                (-high, high, least.into_iter().fold(<$type>::INFINITY, <$type>::min).to_f64())
            }
        }
    )*};
}
floats!(f32 f64);

#[cfg(test)]
mod tests {
    use simd::Isa;

    use super::{
        super::{compiled::instruction_set, format::F16},
        *,
    };

    /// Nothing is rounded where nothing is scaled: a bound itself is inside.
    #[test]
    fn unscaled_bounds_are_exact() {
        let (datatype, map) = (Datatype::Int16, Map::IDENTITY);
        let source = Source { datatype, is_swapped: false, map, simd: instruction_set(Isa::best()) };
        let bounds = Bounds::new(&source, &F16, 1.0, false).unwrap();
        let screen = choose(&source).unwrap();
        let reach = |voxels: &[i16]| screen(source.simd, &bounds, bytemuck::cast_slice(voxels));
        assert_eq!(reach(&[-2048, 0, 2048]), Reach::Nothing);
        assert_eq!((reach(&[-2049, 0]), reach(&[0, 2049])), (Reach::Whole, Reach::Whole));
    }
}
