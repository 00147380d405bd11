//! Element types: how numbers are stored. Arithmetic is in f32 whatever the storage.

use std::fmt;

use half::{bf16, f16};

use crate::vector::{F32Vector, Simd};

/// A number in memory: `f32`, [`half::f16`] or [`half::bf16`].
///
/// The trait is sealed: kernels know the bits of each type.
pub trait Element: Copy + Send + Sync + fmt::Debug + sealed::Sealed + 'static {
    /// The type as a value.
    const TYPE: ElementType;

    /// The same number; exact.
    fn to_f32(self) -> f32;

    /// The nearest number of this type, ties to even; infinity beyond the range; a NaN stays one.
    fn from_f32(x: f32) -> Self;

    /// Loads LANES elements and widens them.
    ///
    /// # Safety
    /// LANES elements can be read at `from`.
    unsafe fn load<S: Simd>(simd: S, from: *const Self) -> S::F32;

    /// Loads the first `lanes` elements, all if there are more than LANES. The other lanes are 0, and their memory is
    /// not read.
    ///
    /// # Safety
    /// `lanes` elements, LANES at most, can be read at `from`.
    unsafe fn load_partial<S: Simd>(simd: S, from: *const Self, lanes: usize) -> S::F32;

    /// Stores a vector, rounded to nearest, ties to even.
    ///
    /// # Safety
    /// LANES elements can be written at `to`.
    unsafe fn store<S: Simd>(simd: S, vector: S::F32, to: *mut Self);

    /// Stores the first `lanes` lanes, all if there are no more, rounded. Nothing else is written.
    ///
    /// # Safety
    /// `lanes` elements, LANES at most, can be written at `to`.
    unsafe fn store_partial<S: Simd>(simd: S, vector: S::F32, to: *mut Self, lanes: usize);
}

/// An element type as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// IEEE binary32.
    F32,
    /// IEEE binary16: 5 bits of exponent, 10 of fraction; up to 65504.
    F16,
    /// The upper half of binary32: 8 bits of exponent, 7 of fraction.
    Bf16,
}

impl ElementType {
    /// All of them.
    pub const ALL: [ElementType; 3] = [ElementType::F32, ElementType::F16, ElementType::Bf16];

    /// Bytes of one element.
    pub const fn bytes(self) -> usize {
        match self {
            ElementType::F32 => 4,
            ElementType::F16 | ElementType::Bf16 => 2,
        }
    }

    /// The name, as bench ids spell it: `f32`, `f16`, `bf16`.
    pub const fn name(self) -> &'static str {
        match self {
            ElementType::F32 => "f32",
            ElementType::F16 => "f16",
            ElementType::Bf16 => "bf16",
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Evaluates `$body` with `$T` standing for the Rust type that the [`ElementType`] `$type` names.
///
/// ```
/// use simd::{Element, ElementType, with_element_type};
///
/// fn largest(element: ElementType) -> f32 {
///     with_element_type!(element, T => T::from_f32(f32::MAX).to_f32())
/// }
/// assert_eq!(largest(ElementType::F32), f32::MAX);
/// assert_eq!(largest(ElementType::F16), f32::INFINITY);
/// ```
#[macro_export]
macro_rules! with_element_type {
    ($type:expr, $T:ident => $body:expr) => {
        match $type {
            $crate::ElementType::F32 => {
                type $T = f32;
                $body
            }
            $crate::ElementType::F16 => {
                type $T = $crate::f16;
                $body
            }
            $crate::ElementType::Bf16 => {
                type $T = $crate::bf16;
                $body
            }
        }
    };
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for half::f16 {}
    impl Sealed for half::bf16 {}
}

impl Element for f32 {
    const TYPE: ElementType = ElementType::F32;

    #[inline]
    fn to_f32(self) -> f32 {
        self
    }

    #[inline]
    fn from_f32(x: f32) -> Self {
        x
    }

    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, from: *const Self) -> S::F32 {
        // SAFETY: the caller promises LANES readable floats.
        unsafe { simd.load(from) }
    }

    #[inline(always)]
    unsafe fn load_partial<S: Simd>(simd: S, from: *const Self, lanes: usize) -> S::F32 {
        // SAFETY: the caller promises `lanes` readable floats.
        unsafe { simd.load_partial(from, lanes) }
    }

    #[inline(always)]
    unsafe fn store<S: Simd>(_: S, vector: S::F32, to: *mut Self) {
        // SAFETY: the caller promises LANES writable floats.
        unsafe { vector.store(to) }
    }

    #[inline(always)]
    unsafe fn store_partial<S: Simd>(_: S, vector: S::F32, to: *mut Self, lanes: usize) {
        // SAFETY: the caller promises `lanes` writable floats.
        unsafe { vector.store_partial(to, lanes) }
    }
}

/// Most lanes of any vector of floats.
pub const MAX_LANES: usize = 16;

/// The two 16-bit types differ only in how a vector of them is widened and narrowed. Part of a vector is copied through
/// a buffer of MAX_LANES.
macro_rules! half_element {
    ($half:ty, $type:ident, $widen:ident, $narrow:ident) => {
        impl Element for $half {
            const TYPE: ElementType = ElementType::$type;

            #[inline]
            fn to_f32(self) -> f32 {
                <$half>::to_f32(self)
            }

            #[inline]
            fn from_f32(x: f32) -> Self {
                <$half>::from_f32(x)
            }

            #[inline(always)]
            unsafe fn load<S: Simd>(simd: S, from: *const Self) -> S::F32 {
                // SAFETY: the caller promises LANES readable elements, which are 16 bits each.
                unsafe { simd.$widen(from.cast()) }
            }

            #[inline(always)]
            unsafe fn load_partial<S: Simd>(simd: S, from: *const Self, lanes: usize) -> S::F32 {
                if lanes >= S::LANES {
                    // SAFETY: the caller promises LANES readable elements, which are 16 bits each.
                    return unsafe { simd.$widen(from.cast()) };
                }
                let mut whole = [0_u16; MAX_LANES];
                // SAFETY: `lanes` elements can be read, fewer than the buffer has; a vector has no more than the
                // buffer.
                unsafe {
                    from.cast::<u16>().copy_to_nonoverlapping(whole.as_mut_ptr(), lanes);
                    simd.$widen(whole.as_ptr())
                }
            }

            #[inline(always)]
            unsafe fn store<S: Simd>(_: S, vector: S::F32, to: *mut Self) {
                // SAFETY: the caller promises LANES writable elements, which are 16 bits each.
                unsafe { vector.$narrow(to.cast()) }
            }

            #[inline(always)]
            unsafe fn store_partial<S: Simd>(_: S, vector: S::F32, to: *mut Self, lanes: usize) {
                if lanes >= S::LANES {
                    // SAFETY: the caller promises LANES writable elements, which are 16 bits each.
                    return unsafe { vector.$narrow(to.cast()) };
                }
                let mut whole = [0_u16; MAX_LANES];
                // SAFETY: a vector has no more lanes than the buffer; `lanes` elements can be written, fewer than that.
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
