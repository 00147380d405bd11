//! Tensors of any element type in guarded memory: operands and outputs of tests and benches.

use half::{bf16, f16};
use simd::ElementType;

use crate::{compare::Mismatch, guarded::Guarded};

/// Elements of a tensor, the first on a cache line. As an output, it shows stray and missing writes.
///
/// ```
/// use proof::{elements::Elements, with_elements};
/// use simd::{Element, ElementType};
///
/// let mut out = Elements::poisoned(3, ElementType::Bf16);
/// assert!(out.verify().is_err());
/// with_elements!(&mut out, x => x.copy_from_slice(&[1.0, 2.0, 3.001].map(Element::from_f32)));
/// assert!(out.verify().is_ok());
/// assert_eq!(out.floats(), [1.0, 2.0, 3.0]);
/// ```
#[derive(Clone, Debug)]
pub enum Elements {
    /// IEEE binary32.
    F32(Guarded<f32>),
    /// IEEE binary16.
    F16(Guarded<f16>),
    /// The upper half of binary32.
    Bf16(Guarded<bf16>),
}

/// Evaluates `$body` with `$x` standing for the guarded memory of `$elements`, whatever the type of its elements.
#[macro_export]
macro_rules! with_elements {
    ($elements:expr, $x:ident => $body:expr) => {
        match $elements {
            $crate::elements::Elements::F32($x) => $body,
            $crate::elements::Elements::F16($x) => $body,
            $crate::elements::Elements::Bf16($x) => $body,
        }
    };
}

impl Elements {
    /// `len` poisoned elements.
    ///
    /// # Panics
    /// Where memory is refused.
    pub fn poisoned(len: usize, element: ElementType) -> Self {
        match element {
            ElementType::F32 => Self::F32(Guarded::new(len)),
            ElementType::F16 => Self::F16(Guarded::new(len)),
            ElementType::Bf16 => Self::Bf16(Guarded::new(len)),
        }
    }

    /// These values, rounded to nearest.
    ///
    /// # Panics
    /// Where memory is refused.
    pub fn new(values: &[f32], element: ElementType) -> Self {
        let mut elements = Self::poisoned(values.len(), element);
        with_elements!(&mut elements, x => {
            x.iter_mut().zip(values).for_each(|(x, &value)| *x = simd::Element::from_f32(value));
        });
        elements
    }

    /// The values, which is exact.
    pub fn floats(&self) -> Vec<f32> {
        with_elements!(self, x => x.iter().map(|&x| simd::Element::to_f32(x)).collect())
    }

    /// See [`Guarded::poison`].
    pub fn poison(&mut self) {
        with_elements!(self, x => x.poison());
    }

    /// See [`Guarded::verify`].
    ///
    /// # Errors
    /// As there.
    pub fn verify(&self) -> Result<(), Mismatch> {
        self.verify_where(|_| true)
    }

    /// See [`Guarded::verify_where`].
    ///
    /// # Errors
    /// As there.
    pub fn verify_where(&self, is_output: impl Fn(usize) -> bool) -> Result<(), Mismatch> {
        with_elements!(self, x => x.verify_where(is_output))
    }
}
