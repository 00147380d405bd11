//! Values of voxels as numbers of another type, and how many of them that type could not hold.
//!
//! Integers that are not scaled stay integers, of up to 64 bits; everything else is computed in f64, as nibabel does, and rounded
//! once. An integer type holds a value exactly or the conversion is refused. A floating-point type rounds; what that changes is
//! counted.

use std::fmt;

use anyhow::{Result, bail};
use clap::ValueEnum;
use nifti_decode::{Datatype, Scale, bf16, f16};
use serde_json::{Value as Json, json};

/// A type that values can be converted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Type {
    Uint8,
    Int8,
    Uint16,
    Int16,
    Uint32,
    Int32,
    Uint64,
    Int64,
    /// Only in .npy: NIfTI has no such type
    Float16,
    /// Only in .npy, as uint16 that holds the bits: NumPy has no such type either
    Bfloat16,
    Float32,
    Float64,
    /// The values as they are stored, without scaling
    Stored,
}

impl Type {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Uint8 => "uint8",
            Self::Int8 => "int8",
            Self::Uint16 => "uint16",
            Self::Int16 => "int16",
            Self::Uint32 => "uint32",
            Self::Int32 => "int32",
            Self::Uint64 => "uint64",
            Self::Int64 => "int64",
            Self::Float16 => "float16",
            Self::Bfloat16 => "bfloat16",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Stored => "stored",
        }
    }

    /// NIfTI's type, if it has one.
    pub(super) fn datatype(self) -> Option<Datatype> {
        Datatype::from_name(self.name())
    }
}

/// One value.
#[derive(Debug, Clone, Copy)]
enum Value {
    Whole(i128),
    Real(f64),
}

/// Values that a conversion changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Changed {
    /// Values in all.
    n: u64,
    /// Rounded to a neighbor.
    rounded: u64,
    /// Of those, whole numbers, such as labels.
    rounded_whole: u64,
    /// Beyond the type's range: infinite now, or of an integer type not there.
    out_of_range: u64,
    /// Not 0 before, and 0 now.
    zeroed: u64,
    /// Fractions and NaN, where the type has integers only.
    not_whole: u64,
}

impl Changed {
    pub(super) fn json(&self) -> Json {
        json!({
            "values": self.n,
            "rounded": self.rounded,
            "rounded_whole_numbers": self.rounded_whole,
            "out_of_range": self.out_of_range,
            "zeroed": self.zeroed,
        })
    }

    /// Whether a user should be told: rounding a measured value is what a smaller type is for, losing a label or a magnitude is not.
    pub(super) fn is_worth_a_warning(&self) -> bool {
        self.rounded_whole + self.out_of_range + self.zeroed > 0
    }
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.out_of_range, "beyond its range"),
            (self.rounded_whole, "whole numbers rounded"),
            (self.zeroed, "too small and now 0"),
            (self.not_whole, "not whole numbers"),
        ];
        let parts = parts.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
        write!(f, "{}, of {} values", parts.collect::<Vec<_>>().join(", "), self.n)
    }
}

/// Values that are converted at a time, so that they stay in the cache.
const BLOCK: usize = 2048;

/// `stored` voxels of `datatype`, in this machine's byte order, scaled and converted to `wanted`.
///
/// # Errors
/// For an integer type that does not hold every value, and for voxels that are not real numbers.
pub(super) fn convert(
    stored: &[u8],
    datatype: Datatype,
    scale: Option<Scale>,
    wanted: Type,
) -> Result<(Vec<u8>, Changed)> {
    let Some(read) = reader(datatype) else {
        bail!("datatype {} cannot be converted to {}; read it as it is stored", datatype.name(), wanted.name());
    };
    let scale = scale.filter(|&scale| scale != Scale::NONE);
    let mut changed = Changed { n: (stored.len() / datatype.bytes()) as u64, ..Changed::default() };
    let (mut out, mut values) = (Vec::new(), Vec::with_capacity(BLOCK));
    for block in stored.chunks(BLOCK * datatype.bytes()) {
        values.clear();
        read(block, &mut values);
        if let Some(Scale { slope, inter }) = scale {
            for value in &mut values {
                *value = Value::Real(value.real() * slope + inter);
            }
        }
        write(wanted, &values, &mut out, &mut changed);
    }
    let is_integer = !matches!(wanted, Type::Float16 | Type::Bfloat16 | Type::Float32 | Type::Float64);
    if is_integer && changed.out_of_range + changed.not_whole > 0 {
        bail!("{} cannot hold the values exactly: {changed}; float64 holds more", wanted.name());
    }
    Ok((out, changed))
}

impl Value {
    fn real(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Real(value) => value,
        }
    }
}

/// Appends the numbers in some stored bytes.
type Reader = fn(&[u8], &mut Vec<Value>);

/// How voxels of a type are read; `None` for types that are not real numbers.
fn reader(datatype: Datatype) -> Option<Reader> {
    fn read<const N: usize>(bytes: &[u8], values: &mut Vec<Value>, number: fn([u8; N]) -> Value) {
        values.extend(bytes.as_chunks::<N>().0.iter().map(|&bytes| number(bytes)));
    }
    Some(match datatype {
        Datatype::Uint8 => |bytes, values| read(bytes, values, |b| Value::Whole(u8::from_ne_bytes(b).into())),
        Datatype::Int8 => |bytes, values| read(bytes, values, |b| Value::Whole(i8::from_ne_bytes(b).into())),
        Datatype::Uint16 => |bytes, values| read(bytes, values, |b| Value::Whole(u16::from_ne_bytes(b).into())),
        Datatype::Int16 => |bytes, values| read(bytes, values, |b| Value::Whole(i16::from_ne_bytes(b).into())),
        Datatype::Uint32 => |bytes, values| read(bytes, values, |b| Value::Whole(u32::from_ne_bytes(b).into())),
        Datatype::Int32 => |bytes, values| read(bytes, values, |b| Value::Whole(i32::from_ne_bytes(b).into())),
        Datatype::Uint64 => |bytes, values| read(bytes, values, |b| Value::Whole(u64::from_ne_bytes(b).into())),
        Datatype::Int64 => |bytes, values| read(bytes, values, |b| Value::Whole(i64::from_ne_bytes(b).into())),
        Datatype::Float32 => |bytes, values| read(bytes, values, |b| Value::Real(f32::from_ne_bytes(b).into())),
        Datatype::Float64 => |bytes, values| read(bytes, values, |b| Value::Real(f64::from_ne_bytes(b))),
        _ => return None,
    })
}

fn write(wanted: Type, values: &[Value], out: &mut Vec<u8>, changed: &mut Changed) {
    match wanted {
        Type::Uint8 => integers(values, out, changed, |v| u8::try_from(v).map(u8::to_ne_bytes).ok()),
        Type::Int8 => integers(values, out, changed, |v| i8::try_from(v).map(i8::to_ne_bytes).ok()),
        Type::Uint16 => integers(values, out, changed, |v| u16::try_from(v).map(u16::to_ne_bytes).ok()),
        Type::Int16 => integers(values, out, changed, |v| i16::try_from(v).map(i16::to_ne_bytes).ok()),
        Type::Uint32 => integers(values, out, changed, |v| u32::try_from(v).map(u32::to_ne_bytes).ok()),
        Type::Int32 => integers(values, out, changed, |v| i32::try_from(v).map(i32::to_ne_bytes).ok()),
        Type::Uint64 => integers(values, out, changed, |v| u64::try_from(v).map(u64::to_ne_bytes).ok()),
        Type::Int64 => integers(values, out, changed, |v| i64::try_from(v).map(i64::to_ne_bytes).ok()),
        Type::Float16 => reals(values, out, changed, |v| f16::from_f64(v.real()), |v| v.to_f64(), f16::to_ne_bytes),
        Type::Bfloat16 => reals(values, out, changed, |v| bf16::from_f64(v.real()), |v| v.to_f64(), bf16::to_ne_bytes),
        Type::Float32 => {
            // From the integer itself: through f64, one of 64 bits would be rounded twice.
            let convert = |value| match value {
                Value::Whole(value) => value as f32,
                Value::Real(value) => value as f32,
            };
            reals(values, out, changed, convert, f64::from, f32::to_ne_bytes);
        }
        Type::Float64 => reals(values, out, changed, Value::real, |v| v, f64::to_ne_bytes),
        // Nothing is converted: the caller copies.
        Type::Stored => {}
    }
}

fn integers<const N: usize>(
    values: &[Value],
    out: &mut Vec<u8>,
    changed: &mut Changed,
    convert: fn(i128) -> Option<[u8; N]>,
) {
    for value in values {
        let whole = match *value {
            Value::Whole(value) => Some(value),
            // Saturates, which is out of range of every type here.
            Value::Real(value) => (value.fract() == 0.0 || value.is_infinite()).then_some(value as i128),
        };
        match whole.map(convert) {
            Some(Some(bytes)) => out.extend(bytes),
            Some(None) => changed.out_of_range += 1,
            None => changed.not_whole += 1,
        }
    }
}

fn reals<T: Copy, const N: usize>(
    values: &[Value],
    out: &mut Vec<u8>,
    changed: &mut Changed,
    convert: impl Fn(Value) -> T,
    back: fn(T) -> f64,
    bytes: fn(T) -> [u8; N],
) {
    for &value in values {
        let converted = convert(value);
        out.extend(bytes(converted));
        let now = back(converted);
        let (is_same, is_whole, is_finite, is_zero) = match value {
            Value::Whole(value) => (now.is_finite() && now as i128 == value, true, true, value == 0),
            Value::Real(value) => {
                (now == value || value.is_nan(), value.fract() == 0.0, value.is_finite(), value == 0.0)
            }
        };
        if is_same {
            continue;
        }
        if is_finite && now.is_infinite() {
            changed.out_of_range += 1;
        } else if now == 0.0 && !is_zero {
            changed.zeroed += 1;
        } else {
            changed.rounded += 1;
            changed.rounded_whole += u64::from(is_whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(values: impl IntoIterator<Item = [u8; N]>) -> Vec<u8> {
        values.into_iter().flatten().collect()
    }

    #[test]
    fn labels_stay_exact_or_are_counted() {
        let labels = [0_u32, 997, 16_777_217, 576_073_732, 614_454_277, u32::MAX];
        let stored = bytes(labels.map(u32::to_ne_bytes));
        let to = |wanted| convert(&stored, Datatype::Uint32, None, wanted);
        let (out, changed) = to(Type::Float64).unwrap();
        assert_eq!(out, bytes(labels.map(|label| f64::from(label).to_ne_bytes())));
        assert_eq!(changed, Changed { n: 6, ..Changed::default() });
        assert_eq!(to(Type::Uint32).unwrap().0, stored);
        let (out, changed) = to(Type::Float32).unwrap();
        assert_eq!(out, bytes(labels.map(|label| (label as f32).to_ne_bytes())));
        let rounded = labels.iter().filter(|&&label| f64::from(label as f32) != f64::from(label)).count() as u64;
        assert_eq!(changed, Changed { n: 6, rounded, rounded_whole: rounded, ..Changed::default() });
        assert!(rounded >= 3 && changed.is_worth_a_warning());
        let (_, changed) = to(Type::Float16).unwrap();
        assert_eq!(changed.out_of_range, 4);
        let refused = to(Type::Int32).unwrap_err().to_string();
        assert_eq!(
            refused,
            "int32 cannot hold the values exactly: 1 beyond its range, of 6 values; float64 holds more"
        );
        // An identity is no scaling.
        assert_eq!(convert(&stored, Datatype::Uint32, Some(Scale::NONE), Type::Uint32).unwrap().0, stored);
    }

    #[test]
    fn sixty_four_bits_are_not_rounded_twice() {
        // Halfway between two f32, plus 1: through f64 it would become the tie.
        let value = (1_u64 << 60) + (1 << 36) + 1;
        let (out, _) = convert(&value.to_ne_bytes(), Datatype::Uint64, None, Type::Float32).unwrap();
        assert_eq!(out, ((1_u64 << 60) as f32 + (1_u64 << 37) as f32).to_ne_bytes());
        let (out, changed) = convert(&u64::MAX.to_ne_bytes(), Datatype::Uint64, None, Type::Uint64).unwrap();
        assert_eq!((out, changed.rounded), (u64::MAX.to_ne_bytes().to_vec(), 0));
        let (_, changed) = convert(&u64::MAX.to_ne_bytes(), Datatype::Uint64, None, Type::Float64).unwrap();
        assert_eq!(changed.rounded_whole, 1);
    }

    #[test]
    fn magnitudes_that_a_type_lacks_are_counted() {
        let values = [0.1, 1e300, -1e300, 1e-310, f64::NAN, f64::INFINITY, 0.0];
        let stored = bytes(values.map(f64::to_ne_bytes));
        let (out, changed) = convert(&stored, Datatype::Float64, None, Type::Float32).unwrap();
        assert_eq!(out.len(), 28);
        assert_eq!(changed, Changed { n: 7, rounded: 1, out_of_range: 2, zeroed: 1, ..Changed::default() });
        let refused = convert(&stored, Datatype::Float64, None, Type::Int64).unwrap_err().to_string();
        assert!(refused.contains("3 beyond its range, 3 not whole numbers, of 7 values"), "{refused}");
        let fraction = convert(&0.1_f64.to_ne_bytes(), Datatype::Float64, None, Type::Float32).unwrap().1;
        assert!(!fraction.is_worth_a_warning());
    }

    #[test]
    fn scaled_values_are_computed_in_f64() {
        let scale = Some(Scale { slope: 0.5, inter: -1.0 });
        let stored = bytes([4_i16, 6, -2].map(i16::to_ne_bytes));
        let (out, _) = convert(&stored, Datatype::Int16, scale, Type::Int8).unwrap();
        assert_eq!(out, [1, 2, 254]);
        let odd = 3_i16.to_ne_bytes();
        assert!(
            convert(&odd, Datatype::Int16, scale, Type::Int8).unwrap_err().to_string().contains("1 not whole numbers")
        );
        assert!(convert(&[0; 3], Datatype::Rgb24, None, Type::Float32).is_err());
    }
}
