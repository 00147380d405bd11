//! Integers as outputs: every voxel is exact, or the conversion fails.
//!
//! Stored integers that are not scaled are compared as integers, so that 64 bits stay exact. All other values are
//! computed in f64, and have to be whole numbers within the range of the output. Values that scaling made are trusted
//! up to 2^53 only: above, f64 does not tell whole numbers apart.

use super::{
    BLOCK, Fill, Losses, Output, Value,
    format::{Format, Kind},
    kernel::{Intermediate, Source, choose, unscaled},
    output::{Target, output},
};
use crate::Datatype;

/// The loop that fills the block that integers are made from.
#[derive(Debug, Clone, Copy)]
pub enum Fills {
    /// Stored integers; `is_u64` where the block has the bits of `u64`.
    Whole { fill: Fill<i64>, is_u64: bool },
    /// Values, whole up to this magnitude. `stored` is filled for scaled integers of 64 bits, which have to fit f64 as
    /// well.
    Double { fill: Fill<f64>, most: f64, stored: Option<(Fill<i64>, bool)> },
}

fn fills(source: &Source) -> Option<(Fills, &'static str)> {
    let Source { datatype, map, .. } = source;
    let is_float = matches!(datatype, Datatype::Float32 | Datatype::Float64);
    let is_u64 = *datatype == Datatype::Uint64;
    if !is_float && !map.is_scaled() && !map.is_normalized() {
        return Some((Fills::Whole { fill: unscaled(source)?, is_u64 }, "unscaled"));
    }
    let (fill, arithmetic) = choose(source)?;
    let is_computed = map.is_scaled() || map.is_normalized();
    let most = if is_computed { EXACT as f64 } else { f64::INFINITY };
    let is_wide = !is_float && datatype.bytes() == 8;
    let stored = if is_wide { Some((unscaled(source)?, is_u64)) } else { None };
    Some((Fills::Double { fill, most, stored }, arithmetic))
}

/// Up to this magnitude, every whole number is exact in f64.
const EXACT: u64 = 1 << 53;

/// Converts a block, and counts what is not exact.
#[inline(always)]
fn narrow<T: Copy, D>(
    block: &[T],
    dst: &mut [D],
    (first, losses): (usize, &mut Losses),
    convert: impl Fn(usize, T) -> (D, bool),
    value: impl Fn(T) -> Value,
) {
    let mut are_exact = true;
    for (i, (dst, &number)) in dst.iter_mut().zip(block).enumerate() {
        let (converted, is_exact) = convert(i, number);
        *dst = converted;
        are_exact &= is_exact;
    }
    if !are_exact {
        for (i, &number) in block.iter().enumerate().filter(|&(i, &number)| !convert(i, number).1) {
            losses.add(Kind::Whole, first + i, value(number));
        }
    }
}

/// Which voxels of a block are too wide for f64.
fn too_wide(block: &[i64], is_u64: bool) -> [bool; BLOCK] {
    let mut are_wide = [false; BLOCK];
    for (is_wide, &bits) in are_wide.iter_mut().zip(block) {
        *is_wide = if is_u64 { bits as u64 } else { bits.unsigned_abs() } > EXACT;
    }
    are_wide
}

/// The number in a block of stored integers.
pub(super) fn value_of(bits: i64, is_u64: bool) -> Value {
    Value::Int(if is_u64 { (bits as u64).into() } else { bits.into() })
}

macro_rules! whole {
    ($($type:ty, $name:literal;)*) => {$(
        output!(
            $type, $name, None, in place: false, Fills, fills,
            |fills, source, src, dst, intermediate, losses| {
                match *fills {
                    Fills::Whole { fill, is_u64 } => {
                        let block = &mut intermediate.wholes()[..dst.len()];
                        fill(source.simd, &source.map, src, block);
                        let value = |bits| value_of(bits, is_u64);
                        if is_u64 {
                            let convert = |_, bits| checked(<$type>::try_from(bits as u64).ok());
                            narrow(block, dst, losses, convert, value);
                        } else {
                            let convert = |_, bits: i64| checked(<$type>::try_from(bits).ok());
                            narrow(block, dst, losses, convert, value);
                        }
                    }
                    Fills::Double { fill, most, stored } => {
                        let are_wide = stored.map(|(fill, is_u64)| {
                            let block = &mut intermediate.wholes()[..dst.len()];
                            fill(source.simd, &source.map, src, block);
                            too_wide(block, is_u64)
                        });
                        let block = &mut intermediate.doubles()[..dst.len()];
                        fill(source.simd, &source.map, src, block);
                        // One past the largest value, which is a power of two.
                        let end = f64::exp2(f64::from(<$type>::MAX.count_ones()));
                        let convert = |i: usize, value: f64| {
                            let converted = value as $type;
                            let is_exact = converted as f64 == value && value < end && value.abs() <= most;
                            (converted, is_exact && are_wide.is_none_or(|are_wide| !are_wide[i]))
                        };
                        narrow(block, dst, losses, convert, Value::Float);
                    }
                }
            }
        );
    )*};
}

/// A number and whether it is there; 0 where it is not.
#[inline(always)]
fn checked<D: Default>(number: Option<D>) -> (D, bool) {
    let is_exact = number.is_some();
    (number.unwrap_or_default(), is_exact)
}

whole! {
    u8, "uint8";
    i8, "int8";
    u16, "uint16";
    i16, "int16";
    u32, "uint32";
    i32, "int32";
    u64, "uint64";
    i64, "int64";
}
