//! The ten stored types that are real numbers.

use crate::Datatype;

/// A number as a file stores it.
pub(crate) trait Stored: Copy + 'static {
    /// Bytes of one.
    const BYTES: usize;
    /// Whether every value is exact in f32.
    const IS_SMALL: bool;
    /// Whether it can be NaN.
    const IS_FLOAT: bool;

    /// Reads runs of stored bytes one by one; `SWAP` where the file's byte order is not this machine's.
    fn each<const SWAP: bool>(bytes: &[u8]) -> impl ExactSizeIterator<Item = Self>;
    fn to_f32(self) -> f32;
    fn to_f64(self) -> f64;
    /// An integer; the bits of a `u64` above `i64::MAX`.
    fn to_i64(self) -> i64;
    /// A number that sorts as the values do; the keys of NaN lie outside those of the infinities.
    fn key(self) -> u64;
    /// The value of a key.
    fn of_key(key: u64) -> Self;
}

macro_rules! stored {
    ($type:ty, $bits:ty, small: $small:expr, float: $float:expr, $key:expr, $of_key:expr) => {
        impl Stored for $type {
            const BYTES: usize = size_of::<$type>();
            const IS_SMALL: bool = $small;
            const IS_FLOAT: bool = $float;

            #[inline(always)]
            fn each<const SWAP: bool>(bytes: &[u8]) -> impl ExactSizeIterator<Item = Self> {
                bytes.as_chunks::<{ size_of::<$type>() }>().0.iter().map(|&chunk| {
                    let bits = <$bits>::from_ne_bytes(chunk);
                    <$type>::from_ne_bytes((if SWAP { bits.swap_bytes() } else { bits }).to_ne_bytes())
                })
            }

            #[inline(always)]
            fn to_f32(self) -> f32 {
                self as f32
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }

            #[inline(always)]
            fn to_i64(self) -> i64 {
                self as i64
            }

            #[inline(always)]
            fn key(self) -> u64 {
                $key(self)
            }

            #[inline(always)]
            fn of_key(key: u64) -> Self {
                $of_key(key)
            }
        }
    };
}

/// Order of IEEE numbers as integers: the sign bit is flipped, and all others too where it was set.
const fn float_key(bits: u64, width: u32) -> u64 {
    let sign = 1 << (width - 1);
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    if bits & sign == 0 { bits | sign } else { !bits & mask }
}

const fn float_bits(key: u64, width: u32) -> u64 {
    let sign = 1 << (width - 1);
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    if key & sign == 0 { !key & mask } else { key ^ sign }
}

stored!(u8, u8, small: true, float: false, |v: u8| u64::from(v), |k: u64| k as u8);
stored!(i8, u8, small: true, float: false, |v: i8| u64::from(v as u8 ^ 0x80), |k: u64| (k as u8 ^ 0x80) as i8);
stored!(u16, u16, small: true, float: false, |v: u16| u64::from(v), |k: u64| k as u16);
stored!(i16, u16, small: true, float: false, |v: i16| u64::from(v as u16 ^ 0x8000), |k: u64| (k as u16 ^ 0x8000) as i16);
stored!(u32, u32, small: false, float: false, |v: u32| u64::from(v), |k: u64| k as u32);
stored!(i32, u32, small: false, float: false, |v: i32| u64::from(v as u32 ^ (1 << 31)), |k: u64| (k as u32 ^ (1 << 31)) as i32);
stored!(u64, u64, small: false, float: false, |v: u64| v, |k: u64| k);
stored!(i64, u64, small: false, float: false, |v: i64| v as u64 ^ (1 << 63), |k: u64| (k ^ (1 << 63)) as i64);
stored!(f32, u32, small: false, float: true, |v: f32| float_key(v.to_bits().into(), 32), |k: u64| f32::from_bits(float_bits(k, 32) as u32));
stored!(f64, u64, small: false, float: true, |v: f64| float_key(v.to_bits(), 64), |k: u64| f64::from_bits(float_bits(k, 64)));

/// Calls `$function::<T, ..>($args)` with the stored type of `$datatype`; `None` for types that are no real numbers.
macro_rules! with_stored {
    ($datatype:expr, |$stored:ident| $body:expr) => {
        match $datatype {
            $crate::Datatype::Uint8 => {
                type $stored = u8;
                Some($body)
            }
            $crate::Datatype::Int8 => {
                type $stored = i8;
                Some($body)
            }
            $crate::Datatype::Uint16 => {
                type $stored = u16;
                Some($body)
            }
            $crate::Datatype::Int16 => {
                type $stored = i16;
                Some($body)
            }
            $crate::Datatype::Uint32 => {
                type $stored = u32;
                Some($body)
            }
            $crate::Datatype::Int32 => {
                type $stored = i32;
                Some($body)
            }
            $crate::Datatype::Uint64 => {
                type $stored = u64;
                Some($body)
            }
            $crate::Datatype::Int64 => {
                type $stored = i64;
                Some($body)
            }
            $crate::Datatype::Float32 => {
                type $stored = f32;
                Some($body)
            }
            $crate::Datatype::Float64 => {
                type $stored = f64;
                Some($body)
            }
            _ => None,
        }
    };
}
pub(crate) use with_stored;

const _: () = assert!(Datatype::ALL.len() == 16);

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered<S: Stored + PartialOrd + std::fmt::Debug>(values: &[S]) {
        for pair in values.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].key() < pair[1].key(), "{pair:?}");
        }
        for &value in values {
            assert_eq!(S::of_key(value.key()), value);
            assert!(S::BYTES == 8 || value.key() >> (8 * S::BYTES) == 0);
        }
    }

    #[test]
    fn keys_have_the_order_of_values() {
        ordered(&[i8::MIN, -1, 0, 1, i8::MAX]);
        ordered(&[u8::MIN, 1, u8::MAX]);
        ordered(&[i16::MIN, -1, 0, 1, i16::MAX]);
        ordered(&[u16::MIN, 1, u16::MAX]);
        ordered(&[i32::MIN, -1, 0, 1, i32::MAX]);
        ordered(&[u32::MIN, 1, u32::MAX]);
        ordered(&[i64::MIN, -1, 0, 1, i64::MAX]);
        ordered(&[u64::MIN, 1, u64::MAX]);
        ordered(&[f32::NEG_INFINITY, f32::MIN, -1.0, -1e-45, 0.0, 1e-45, 1.0, f32::MAX, f32::INFINITY]);
        ordered(&[f64::NEG_INFINITY, f64::MIN, -1.0, -5e-324, 0.0, 5e-324, 1.0, f64::MAX, f64::INFINITY]);
        assert!((-0.0_f32).key() < 0.0_f32.key());
    }

    #[test]
    fn bytes_are_swapped_where_asked() {
        let bytes = [0x12, 0x34, 0xff, 0xfe, 0x77];
        let plain: Vec<u16> = u16::each::<false>(&bytes).collect();
        let swapped: Vec<u16> = u16::each::<true>(&bytes).collect();
        assert_eq!(plain, [u16::from_ne_bytes([0x12, 0x34]), u16::from_ne_bytes([0xff, 0xfe])]);
        assert_eq!(swapped, plain.iter().map(|v| v.swap_bytes()).collect::<Vec<_>>());
    }
}
