//! Types of voxels: the codes of nifti1.h.

use serde::{Deserialize, Serialize};

/// Type of a voxel; the discriminant is the code in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(i16)]
pub enum Datatype {
    /// Unsigned, 8 bits.
    Uint8 = 2,
    /// Signed, 16 bits.
    Int16 = 4,
    /// Signed, 32 bits.
    Int32 = 8,
    /// IEEE single precision.
    Float32 = 16,
    /// Two singles: real, imaginary.
    Complex64 = 32,
    /// IEEE double precision.
    Float64 = 64,
    /// Red, green, blue; 8 bits each.
    Rgb24 = 128,
    /// Signed, 8 bits.
    Int8 = 256,
    /// Unsigned, 16 bits.
    Uint16 = 512,
    /// Unsigned, 32 bits.
    Uint32 = 768,
    /// Signed, 64 bits.
    Int64 = 1024,
    /// Unsigned, 64 bits.
    Uint64 = 1280,
    /// Extended precision in 16 bytes.
    Float128 = 1536,
    /// Two doubles: real, imaginary.
    Complex128 = 1792,
    /// Two extended-precision numbers: real, imaginary.
    Complex256 = 2048,
    /// Red, green, blue, alpha; 8 bits each.
    Rgba32 = 2304,
}

impl Datatype {
    /// All types, by code.
    pub const ALL: [Datatype; 16] = [
        Self::Uint8,
        Self::Int16,
        Self::Int32,
        Self::Float32,
        Self::Complex64,
        Self::Float64,
        Self::Rgb24,
        Self::Int8,
        Self::Uint16,
        Self::Uint32,
        Self::Int64,
        Self::Uint64,
        Self::Float128,
        Self::Complex128,
        Self::Complex256,
        Self::Rgba32,
    ];

    /// The type of a code, if there is one. Code 1 (one bit) is not supported: programs disagree how the bits are
    /// packed.
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|datatype| i64::from(datatype.code()) == code)
    }

    /// The code in the header.
    pub fn code(self) -> i16 {
        self as i16
    }

    /// Bytes of a voxel.
    pub fn bytes(self) -> usize {
        self.unit_bytes() * self.units()
    }

    /// Bytes of each number in a voxel: the unit that byte order applies to.
    pub fn unit_bytes(self) -> usize {
        match self {
            Self::Uint8 | Self::Int8 | Self::Rgb24 | Self::Rgba32 => 1,
            Self::Int16 | Self::Uint16 => 2,
            Self::Int32 | Self::Uint32 | Self::Float32 | Self::Complex64 => 4,
            Self::Int64 | Self::Uint64 | Self::Float64 | Self::Complex128 => 8,
            Self::Float128 | Self::Complex256 => 16,
        }
    }

    /// Numbers in a voxel.
    pub fn units(self) -> usize {
        match self {
            Self::Complex64 | Self::Complex128 | Self::Complex256 => 2,
            Self::Rgb24 => 3,
            Self::Rgba32 => 4,
            _ => 1,
        }
    }

    /// Whether a voxel is one number that fits f64, so that it can be scaled and converted.
    pub fn is_real(self) -> bool {
        self.units() == 1 && self != Self::Float128
    }

    /// Name, lower case, as command lines and NumPy spell it: `int16`, `float32`, `rgb24`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uint8 => "uint8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Float32 => "float32",
            Self::Complex64 => "complex64",
            Self::Float64 => "float64",
            Self::Rgb24 => "rgb24",
            Self::Int8 => "int8",
            Self::Uint16 => "uint16",
            Self::Uint32 => "uint32",
            Self::Int64 => "int64",
            Self::Uint64 => "uint64",
            Self::Float128 => "float128",
            Self::Complex128 => "complex128",
            Self::Complex256 => "complex256",
            Self::Rgba32 => "rgba32",
        }
    }

    /// The type of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|datatype| datatype.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_names_and_sizes() {
        for datatype in Datatype::ALL {
            assert_eq!(Datatype::from_code(datatype.code().into()), Some(datatype));
            assert_eq!(Datatype::from_name(datatype.name()), Some(datatype));
            let digits: String = datatype.name().chars().filter(char::is_ascii_digit).collect();
            assert_eq!(digits.parse::<usize>().unwrap(), datatype.bytes() * 8, "{datatype:?}");
        }
        assert_eq!(Datatype::from_code(1), None);
        assert_eq!(Datatype::ALL.iter().filter(|datatype| datatype.is_real()).count(), 10);
    }
}
