//! Element types: what a matrix may be stored as. Sums are formed in f32 whatever the storage.

use std::fmt;

use half::{bf16, f16};

use crate::vector::Vector;

/// A number that matrices are stored as: `f32`, [`half::f16`] or [`half::bf16`].
///
/// The trait is sealed: a kernel knows the bits of each type.
pub trait Element: Copy + Send + Sync + fmt::Debug + sealed::Storage + 'static {
    /// The type as a value.
    const TYPE: Type;

    /// The same number; exact.
    fn to_f32(self) -> f32;

    /// The nearest number of this type, ties to even; beyond the range infinity; a NaN stays one.
    fn from_f32(x: f32) -> Self;
}

/// An element type as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Type {
    /// IEEE binary32.
    F32,
    /// IEEE binary16: 5 bits of exponent, 10 of fraction; up to 65504.
    F16,
    /// The upper half of binary32: 8 bits of exponent, 7 of fraction.
    Bf16,
}

impl Type {
    /// All of them.
    pub const ALL: [Type; 3] = [Type::F32, Type::F16, Type::Bf16];

    /// Bytes of one element.
    pub const fn bytes(self) -> usize {
        match self {
            Type::F32 => 4,
            Type::F16 | Type::Bf16 => 2,
        }
    }

    /// The name, as bench ids spell it: `f32`, `f16`, `bf16`.
    pub const fn name(self) -> &'static str {
        match self {
            Type::F32 => "f32",
            Type::F16 => "f16",
            Type::Bf16 => "bf16",
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Calls `$body` with `$T` standing for the type that `$type` names.
macro_rules! with_type {
    ($type:expr, $T:ident => $body:expr) => {
        match $type {
            $crate::Type::F32 => {
                type $T = f32;
                $body
            }
            $crate::Type::F16 => {
                type $T = half::f16;
                $body
            }
            $crate::Type::Bf16 => {
                type $T = half::bf16;
                $body
            }
        }
    };
}
pub(crate) use with_type;

pub(crate) mod sealed {
    use super::Vector;

    /// Between memory and registers.
    pub trait Storage: Sized {
        /// A vector of elements, widened.
        ///
        /// # Safety
        /// The machine has V's instruction set, and LANES elements can be read.
        unsafe fn load<V: Vector>(from: *const Self) -> V;

        /// The first `lanes` elements of a vector, at most all; the other lanes are 0, and their memory is not read.
        ///
        /// # Safety
        /// The machine has V's instruction set, and `lanes` elements can be read.
        unsafe fn load_first<V: Vector>(from: *const Self, lanes: usize) -> V;

        /// Stores a vector, rounded to nearest, ties to even.
        ///
        /// # Safety
        /// The machine has V's instruction set, and LANES elements can be written.
        unsafe fn store<V: Vector>(vector: V, to: *mut Self);

        /// Stores the first `lanes` lanes, at most all, and writes nothing else.
        ///
        /// # Safety
        /// The machine has V's instruction set, and `lanes` elements can be written.
        unsafe fn store_first<V: Vector>(vector: V, to: *mut Self, lanes: usize);
    }
}

impl Element for f32 {
    const TYPE: Type = Type::F32;

    #[inline]
    fn to_f32(self) -> f32 {
        self
    }

    #[inline]
    fn from_f32(x: f32) -> Self {
        x
    }
}

impl sealed::Storage for f32 {
    #[inline(always)]
    unsafe fn load<V: Vector>(from: *const Self) -> V {
        // SAFETY: as the caller promises; so below.
        unsafe { V::load(from) }
    }

    #[inline(always)]
    unsafe fn load_first<V: Vector>(from: *const Self, lanes: usize) -> V {
        // SAFETY: as above.
        unsafe { V::load_first(from, lanes) }
    }

    #[inline(always)]
    unsafe fn store<V: Vector>(vector: V, to: *mut Self) {
        // SAFETY: as above.
        unsafe { vector.store(to) }
    }

    #[inline(always)]
    unsafe fn store_first<V: Vector>(vector: V, to: *mut Self, lanes: usize) {
        // SAFETY: as above.
        unsafe { vector.store_first(to, lanes) }
    }
}

/// Most lanes of any vector.
const MAX_LANES: usize = 16;

/// The two 16-bit types differ only in how a vector of them is widened and narrowed. A part of a vector goes through a
/// buffer of a whole one.
macro_rules! half_element {
    ($half:ty, $type:ident, $widen:ident, $narrow:ident) => {
        impl Element for $half {
            const TYPE: Type = Type::$type;

            #[inline]
            fn to_f32(self) -> f32 {
                <$half>::to_f32(self)
            }

            #[inline]
            fn from_f32(x: f32) -> Self {
                <$half>::from_f32(x)
            }
        }

        impl sealed::Storage for $half {
            #[inline(always)]
            unsafe fn load<V: Vector>(from: *const Self) -> V {
                // SAFETY: as the caller promises; a half is 16 bits.
                unsafe { V::$widen(from.cast()) }
            }

            #[inline(always)]
            unsafe fn load_first<V: Vector>(from: *const Self, lanes: usize) -> V {
                if lanes >= V::LANES {
                    // SAFETY: as the caller promises.
                    return unsafe { V::$widen(from.cast()) };
                }
                let mut whole = [0_u16; MAX_LANES];
                // SAFETY: `lanes` elements can be read, and no vector has more than the buffer.
                unsafe {
                    from.cast::<u16>().copy_to_nonoverlapping(whole.as_mut_ptr(), lanes);
                    V::$widen(whole.as_ptr())
                }
            }

            #[inline(always)]
            unsafe fn store<V: Vector>(vector: V, to: *mut Self) {
                // SAFETY: as the caller promises.
                unsafe { vector.$narrow(to.cast()) }
            }

            #[inline(always)]
            unsafe fn store_first<V: Vector>(vector: V, to: *mut Self, lanes: usize) {
                if lanes >= V::LANES {
                    // SAFETY: as the caller promises.
                    return unsafe { vector.$narrow(to.cast()) };
                }
                let mut whole = [0_u16; MAX_LANES];
                // SAFETY: `lanes` elements can be written, and no vector has more than the buffer.
                unsafe {
                    vector.$narrow(whole.as_mut_ptr());
                    whole.as_ptr().copy_to_nonoverlapping(to.cast(), lanes);
                }
            }
        }
    };
}
half_element!(f16, F16, load_f16, store_f16);
half_element!(bf16, Bf16, load_bf16, store_bf16);
