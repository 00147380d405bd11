//! Finds the voxels that a float type does not hold.
//!
//! [`Scan::new`] decides once per volume, from the types and the scaling, whether any can be lost. Then each block of
//! values, which is in L1, is screened by the extremes of what is stored ([`screen`]). Only blocks that can lose
//! something are counted, in vector registers, by the bits of the values. Values are examined one by one only to find
//! the first one that is lost, and where a block has values below the normal numbers.

use super::{
    BLOCK, Fill, Loss, Losses, Map, Value,
    format::{self, Counts, F32, Format, Kind},
    kernel::{Intermediate, Source, choose, unscaled},
    screen::{self, Bounds, Reach, Screen},
    whole::value_of,
};
use crate::Datatype;

/// How the voxels of a conversion to a float type are scanned.
#[derive(Clone, Copy)]
pub(crate) struct Scan {
    format: Format,
    values: Values,
    /// To tell infinities that were stored from those that scaling made.
    stored: Fill<f64>,
    /// Finds the blocks that have nothing to count; `None` where that cannot be told from extremes.
    screen: Option<(Screen, Bounds)>,
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
        let unit = lowest_bit(source.map.slope).min(lowest_bit(source.map.inter));
        let is_range_all = format.is_double() && !matches!(values, Values::I64 { .. });
        let screen =
            Bounds::new(source, &format, unit, is_range_all).and_then(|bounds| Some((screen::choose(source)?, bounds)));
        Some(Self { format, values, stored: unscaled(source)?, screen })
    }

    /// Counts what was lost of the `n` voxels in `src`, the first of which has the index `first` in the output.
    /// `intermediate` is as the conversion of the block left it.
    pub(super) fn run(
        &self,
        source: &Source,
        src: &[u8],
        n: usize,
        intermediate: &mut Intermediate,
        (first, losses): (usize, &mut Losses),
    ) {
        let reach = self.screen.map_or(Reach::Any, |(screen, bounds)| screen(source.simd, &bounds, src));
        if reach == Reach::Nothing {
            return;
        }
        match self.values {
            Values::Filled => {
                let block = &intermediate.single[..n];
                let counts = match reach {
                    Reach::Whole => format::count_f32::<true>(source.simd, block, &self.format),
                    _ => format::count_f32::<false>(source.simd, block, &self.format),
                };
                self.settle(counts, block.iter().map(|&value| value.into()), first, losses);
            }
            Values::F64(fill) => {
                let block = &mut intermediate.doubles()[..n];
                fill(source.simd, &source.map, src, block);
                let counts = match reach {
                    Reach::Whole => format::count_f64::<true>(source.simd, block, &self.format),
                    _ => format::count_f64::<false>(source.simd, block, &self.format),
                };
                if counts.infinite > 0 {
                    self.find_infinities(source, src, block, first, losses);
                }
                self.settle(counts, block.iter().copied(), first, losses);
            }
            Values::I64 { fill, is_u64 } => {
                let block = &mut intermediate.wholes()[..n];
                fill(source.simd, &source.map, src, block);
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
        (self.stored)(source.simd, &source.map, src, stored);
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

#[cfg(test)]
mod tests {
    use super::{
        super::{
            compiled::instruction_set,
            format::{BF16, F16, F64},
        },
        *,
    };
    use simd::Isa;

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

    /// Stored bits at the edges of all types and formats, in an order without pattern.
    fn hostile(datatype: Datatype, seed: u64) -> Vec<u8> {
        let mut state = seed;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        // Blocks of small numbers, and of ever wider ones.
        let (powers, n) = ([4, 8, 11, 12, 13, 16, 24, 31, 53, 63][next() as usize % 10], next() as usize % BLOCK);
        let special = if next().is_multiple_of(3) { 0 } else { next() % 70 };
        let mut bytes = Vec::new();
        for _ in 0..=n {
            let near = (1_i128 << (next() % (powers + 1))) + i128::from(next() % 5) - 2;
            let whole = if next().is_multiple_of(2) { near } else { -near };
            let edges =
                [0, 1, 2, f32::MIN_POSITIVE.to_bits(), f32::MAX.to_bits(), f32::INFINITY.to_bits(), 0x7fc0_0000];
            let edge = f32::from_bits(edges[next() as usize % 7].wrapping_add(next() as u32 % 3).wrapping_sub(1));
            let is_edge = next() % 71 < special;
            match datatype {
                Datatype::Float32 => {
                    let value = whole as f32 * [1.0, 0.5, 1e-39, 1e-5][next() as usize % 4 * usize::from(special > 35)];
                    bytes.extend((if is_edge { edge } else { value }).to_ne_bytes());
                }
                Datatype::Float64 => {
                    let wide =
                        [f64::from(edge), f64::MAX, 5e-324, f64::from(f32::MAX) * 1.01, f64::NEG_INFINITY, 1e-310];
                    let value = whole as f64 * [1.0, 0.5, 1e-39, 1e-5][next() as usize % 4 * usize::from(special > 35)];
                    bytes.extend((if is_edge { wide[next() as usize % 6] } else { value }).to_ne_bytes());
                }
                _ => bytes.extend(&(whole as u64).to_le_bytes()[..datatype.bytes()]),
            }
        }
        bytes
    }

    /// A screened scan finds what an unscreened one finds: counts, first value and index.
    #[test]
    fn screens_change_nothing() {
        let scaled = |slope, inter| Map { slope, inter, ..Map::IDENTITY };
        let maps = [
            Map::IDENTITY,
            scaled(0.5, -24.0),
            scaled(-2.0, 3.0),
            scaled(1e6, 3.0),
            scaled(1e-42, 0.0),
            scaled(1e-42, 1e-40),
            scaled(1e300, 0.0),
            scaled(0.1, -1024.0),
            scaled(f64::from(0.1_f32), 0.0),
            scaled(1.0, 1e6),
            Map { low: -300.0, high: 4001.0, ..Map::IDENTITY },
            Map { low: -16.0, high: 64.0, ..scaled(0.25, 1.0) },
        ];
        let datatypes = Datatype::ALL.iter().copied();
        let (mut screened, mut lost) = (0, 0);
        for datatype in datatypes {
            for (map, format) in maps.iter().flat_map(|map| [F16, BF16, F32, F64].map(|format| (*map, format))) {
                for (isa, is_swapped) in [(Isa::best(), false), (Isa::best(), true), (Isa::Scalar, false)] {
                    let source = Source { datatype, is_swapped, map, simd: instruction_set(isa) };
                    let Some(scan) = Scan::new(&source, format) else { continue };
                    let Some((screen, bounds)) = scan.screen else { continue };
                    for seed in 0..12 {
                        let mut src = hostile(datatype, seed);
                        if is_swapped {
                            src.chunks_mut(datatype.bytes()).for_each(<[u8]>::reverse);
                        }
                        let n = src.len() / datatype.bytes();
                        let mut intermediate = Intermediate::new();
                        choose(&source).unwrap().0(source.simd, &map, &src, &mut intermediate.single[..n]);
                        let mut run = |scan: Scan| {
                            let mut losses = Losses::default();
                            scan.run(&source, &src, n, &mut intermediate, (7, &mut losses));
                            losses
                        };
                        let expected = run(Scan { screen: None, ..scan });
                        assert_eq!(run(scan), expected, "{datatype:?} {map:?} {format:?} {bounds:?} {seed}");
                        screened += u32::from(screen(source.simd, &bounds, &src) == Reach::Nothing);
                        lost += u32::from(!expected.is_empty());
                    }
                }
            }
        }
        assert!(screened > 100 && lost > 100, "{screened} {lost}");
    }
}
