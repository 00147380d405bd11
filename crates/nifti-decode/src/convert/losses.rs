//! Values that a conversion changes by more than the rounding of fractions.
//!
//! A float type rounds fractions: that is what asking for it means. It should not silently change a label id, turn a
//! large value into infinity, or turn a small one into zero. [`scan`](super::scan) finds such voxels;
//! [`whole`](super::whole) refuses them.

use std::fmt;

use super::format::Kind;
use crate::error::Short;

/// Voxels whose output is not the value that they stand for, beside the rounding of fractions to the nearest number of
/// a float type.
///
/// They are counted for plans that do not normalize. Whole numbers are counted up to 2^53 where they are scaled or
/// stored as floats: above, an f64 cannot tell a whole number from its neighbors.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Losses {
    /// Whole numbers that the output type does not have, such as label ids above 2^24 in `float32`.
    pub whole: u64,
    /// Finite values that became infinite.
    pub overflowed: u64,
    /// Values so small that they became zero, or lost digits as subnormal numbers.
    pub underflowed: u64,
    /// The first of them in the output.
    pub first: Option<Loss>,
}

/// A value that was lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// Index of the voxel in the output, first axis fastest.
    pub index: usize,
    /// What it stands for.
    pub value: Value,
}

/// A scaled value, exactly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Of integers that are not scaled.
    Int(i128),
    /// Of all others.
    Float(f64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{}", Short(*value)),
        }
    }
}

impl Losses {
    /// All voxels that were lost.
    pub fn total(&self) -> u64 {
        self.whole + self.overflowed + self.underflowed
    }

    /// Whether every voxel kept its value, apart from the rounding of fractions.
    pub fn is_empty(&self) -> bool {
        self.total() == 0
    }

    /// Counts one of `kind`.
    pub(super) fn add(&mut self, kind: Kind, index: usize, value: Value) {
        match kind {
            Kind::Whole => self.whole += 1,
            Kind::Overflowed => self.overflowed += 1,
            Kind::Underflowed => self.underflowed += 1,
        }
        self.see(Loss { index, value });
    }

    pub(super) fn see(&mut self, loss: Loss) {
        if self.first.is_none_or(|first| loss.index < first.index) {
            self.first = Some(loss);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.whole += other.whole;
        self.overflowed += other.overflowed;
        self.underflowed += other.underflowed;
        if let Some(loss) = other.first {
            self.see(loss);
        }
    }
}

impl fmt::Display for Losses {
    /// `3 values changed: 2 whole numbers, 1 to infinity; the first is 16777217 at index 5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        write!(f, "{total} {} changed", if total == 1 { "value" } else { "values" })?;
        let kinds = [(self.whole, "whole"), (self.overflowed, "to infinity"), (self.underflowed, "near zero")];
        let mut separator = ": ";
        for (count, kind) in kinds.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{separator}{count} {kind}")?;
            separator = ", ";
        }
        match self.first {
            Some(Loss { index, value }) => write!(f, "; the first is {value} at index {index}"),
            None => Ok(()),
        }
    }
}
