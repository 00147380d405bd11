//! The types that a tensor in a GGUF file may have, with the size of their blocks.

use std::{fmt, str::FromStr};

use crate::QuantError;

/// Declares the enum and its table from one list: name, id in files, block length in numbers, block size in bytes.
macro_rules! ggml_types {
    ($($name:ident = $id:literal, $elements:literal, $bytes:literal;)+) => {
        /// The type of a tensor's elements, spelled as in ggml. The discriminant is the id in files.
        #[expect(non_camel_case_types, reason = "the spelling of ggml, which users know from file names")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u32)]
        pub enum GgmlType {
            $(#[doc = concat!("Id ", $id, ": ", $elements, " numbers in ", $bytes, " bytes.")] $name = $id,)+
        }

        impl GgmlType {
            /// All types, in the order of their ids.
            pub const ALL: &'static [GgmlType] = &[$(GgmlType::$name),+];

            /// The name, spelled as in ggml: `Q4_K`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(GgmlType::$name => stringify!($name),)+
                }
            }

            const fn block(self) -> (usize, usize) {
                match self {
                    $(GgmlType::$name => ($elements, $bytes),)+
                }
            }
        }
    };
}

ggml_types! {
    F32 = 0, 1, 4;
    F16 = 1, 1, 2;
    Q4_0 = 2, 32, 18;
    Q4_1 = 3, 32, 20;
    Q5_0 = 6, 32, 22;
    Q5_1 = 7, 32, 24;
    Q8_0 = 8, 32, 34;
    Q8_1 = 9, 32, 36;
    Q2_K = 10, 256, 84;
    Q3_K = 11, 256, 110;
    Q4_K = 12, 256, 144;
    Q5_K = 13, 256, 176;
    Q6_K = 14, 256, 210;
    Q8_K = 15, 256, 292;
    IQ2_XXS = 16, 256, 66;
    IQ2_XS = 17, 256, 74;
    IQ3_XXS = 18, 256, 98;
    IQ1_S = 19, 256, 50;
    IQ4_NL = 20, 32, 18;
    IQ3_S = 21, 256, 110;
    IQ2_S = 22, 256, 82;
    IQ4_XS = 23, 256, 136;
    I8 = 24, 1, 1;
    I16 = 25, 1, 2;
    I32 = 26, 1, 4;
    I64 = 27, 1, 8;
    F64 = 28, 1, 8;
    IQ1_M = 29, 256, 56;
    BF16 = 30, 1, 2;
    TQ1_0 = 34, 256, 54;
    TQ2_0 = 35, 256, 66;
    MXFP4 = 39, 32, 17;
    NVFP4 = 40, 64, 36;
    Q1_0 = 41, 128, 18;
    Q2_0 = 42, 64, 18;
}

/// Ids of types that ggml has removed: Q4_2, Q4_3, and six interleaved formats that are now made at load time.
const REMOVED: [u32; 8] = [4, 5, 31, 32, 33, 36, 37, 38];

/// An id or a name without a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownType {
    /// The id of a type that ggml has removed.
    #[error("type id {id} has been removed from ggml")]
    Removed {
        /// The id.
        id: u32,
    },
    /// An id that ggml does not define.
    #[error("unknown type id {id}; known are 0 to 42")]
    Id {
        /// The id.
        id: u32,
    },
    /// A name that ggml does not define.
    #[error("unknown type {got:?}; examples of names are F16, Q8_0 and Q4_K")]
    Name {
        /// The name.
        got: String,
    },
}

impl GgmlType {
    /// The type with this id in files.
    ///
    /// # Errors
    /// [`UnknownType::Removed`] or [`UnknownType::Id`].
    pub fn from_id(id: u32) -> Result<Self, UnknownType> {
        match Self::ALL.binary_search_by_key(&id, |ty| ty.id()) {
            Ok(at) => Ok(Self::ALL[at]),
            Err(_) if REMOVED.contains(&id) => Err(UnknownType::Removed { id }),
            Err(_) => Err(UnknownType::Id { id }),
        }
    }

    /// The id in files.
    pub const fn id(self) -> u32 {
        self as u32
    }

    /// Length of a block, in numbers.
    pub const fn block_len(self) -> usize {
        self.block().0
    }

    /// Size of a block, in bytes.
    pub const fn block_bytes(self) -> usize {
        self.block().1
    }

    /// Size of a row of `len` numbers, in bytes.
    ///
    /// # Errors
    /// [`QuantError::RowLength`] if `len` is not a multiple of the block length, [`QuantError::Overflow`] if the size
    /// exceeds the address space.
    pub fn row_bytes(self, len: usize) -> Result<usize, QuantError> {
        let (ty, need) = (self, self.block_len());
        if !len.is_multiple_of(need) {
            return Err(QuantError::RowLength { ty, got: len, need });
        }
        (len / need).checked_mul(self.block_bytes()).ok_or(QuantError::Overflow { ty, got: len })
    }
}

impl fmt::Display for GgmlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for GgmlType {
    type Err = UnknownType;

    fn from_str(name: &str) -> Result<Self, UnknownType> {
        let found = Self::ALL.iter().find(|ty| ty.name() == name);
        found.copied().ok_or_else(|| UnknownType::Name { got: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_below_the_first_invalid_one_is_known_or_removed() {
        for id in 0..43 {
            match GgmlType::from_id(id) {
                Ok(ty) => assert_eq!(ty.id(), id),
                Err(error) => assert_eq!(error, UnknownType::Removed { id }),
            }
        }
        for id in [43, 44, u32::MAX] {
            assert_eq!(GgmlType::from_id(id), Err(UnknownType::Id { id }));
        }
        assert_eq!(GgmlType::ALL.len() + REMOVED.len(), 43);
        assert!(GgmlType::ALL.is_sorted_by_key(|ty| ty.id()));
    }

    #[test]
    fn names_round_trip() {
        for &ty in GgmlType::ALL {
            assert_eq!(ty.to_string().parse(), Ok(ty));
        }
        assert_eq!("q4_k".parse::<GgmlType>(), Err(UnknownType::Name { got: "q4_k".to_owned() }));
    }

    #[test]
    fn row_lengths_and_sizes_are_checked() {
        assert_eq!(GgmlType::Q4_K.row_bytes(2560), Ok(1440));
        assert_eq!(GgmlType::Q4_K.row_bytes(0), Ok(0));
        let (ty, need) = (GgmlType::Q4_K, 256);
        assert_eq!(ty.row_bytes(384), Err(QuantError::RowLength { ty, got: 384, need }));
        let (ty, got) = (GgmlType::F64, usize::MAX);
        assert_eq!(ty.row_bytes(got), Err(QuantError::Overflow { ty, got }));
    }
}
