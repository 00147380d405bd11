//! Comparing an output with one of higher precision.
//!
//! Two tests, both from the literature on checking BLAS:
//!
//! - **element-wise** (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., §3.1 and §3.5): a product of
//!   inner length k, scaled by α and added to βC₀, obeys |ΔC| ≤ γ₍ₖ₊₂₎ (|α||A||B| + |β||C₀|) in any order of summation,
//!   with γₙ = nu / (1 − nu) and u half the machine epsilon. It is a guarantee: a correct kernel never fails it.
//! - **norm** (as in BLAS++'s `check_gemm`): ‖C − Cref‖_F / (√(k+2)·|α|·‖A‖_F·‖B‖_F + 2|β|·‖C₀‖_F) < 3ε. It detects a
//!   small error spread over all elements, which is within the bound of each.
//!
//! Everything is written `!(error <= tolerance)`: a NaN fails.

use record::Proof;

/// Rounding allowed to a sum of products, from the length of the sum and the type it is accumulated in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    k: usize,
    epsilon: f64,
    smallest: f64,
}

impl Tolerance {
    /// C = αAB + βC₀ of inner length `k`, accumulated and stored in f32.
    pub fn gemm_f32(k: usize) -> Self {
        // 2⁻¹⁴⁹: below the normal range the rounding error is absolute.
        Self { k, epsilon: f64::from(f32::EPSILON), smallest: f64::from(f32::from_bits(1)) }
    }

    /// γ₍ₖ₊₂₎.
    pub fn gamma(&self) -> f64 {
        let nu = (self.k + 2) as f64 * 0.5 * self.epsilon;
        // The bound says nothing from nu = 1 on (k = 2²⁴); the denominator is kept away from 0.
        nu / (1.0 - nu.min(0.5))
    }

    /// Largest error of an element whose |α|(|A||B|) + |β||C₀| is `magnitude`.
    pub fn element(&self, magnitude: f64) -> f64 {
        self.gamma() * magnitude + (self.k + 2) as f64 * self.smallest
    }

    /// Largest value of the norm test's quotient: 3ε.
    pub fn norm(&self) -> f64 {
        3.0 * self.epsilon
    }

    /// Denominator of the norm test: √(k+2)·|α|·‖A‖_F·‖B‖_F + 2|β|·‖C₀‖_F.
    pub fn norm_scale(&self, alpha: f64, norm_a: f64, norm_b: f64, beta: f64, norm_c0: f64) -> f64 {
        let product = if alpha == 0.0 { 0.0 } else { ((self.k + 2) as f64).sqrt() * alpha.abs() * norm_a * norm_b };
        let old = if beta == 0.0 { 0.0 } else { 2.0 * beta.abs() * norm_c0 };
        product + old
    }
}

/// The figures of a check that passed.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// What was done.
    pub method: String,
    /// Largest error, in the units of the method.
    pub error: f64,
    /// What was allowed there, in the same units.
    pub tolerance: f64,
    /// Where the error came closest to the tolerance, for methods that look at elements.
    pub worst_index: Option<u64>,
    /// Elements compared one by one.
    pub checked: u64,
}

/// Why an output is wrong. Indices are flat: `row · columns + column` for a matrix, whatever its strides.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// A number is off by more than rounding explains.
    #[error(
        "{method}: element {index}: got {actual:e}, expected {expected:e}, error {error:e} is not within {tolerance:e}"
    )]
    Value {
        /// What was done.
        method: String,
        /// The worst element.
        index: u64,
        /// What the kernel wrote.
        actual: f64,
        /// What it should have written.
        expected: f64,
        /// |actual − expected|.
        error: f64,
        /// What was allowed there.
        tolerance: f64,
    },
    /// No single element is beyond its bound, but all together are.
    #[error(
        "{method}: error {error:e} is not within {tolerance:e}; the worst element, {index}, got {actual:e}, expected {expected:e}"
    )]
    Total {
        /// What was done.
        method: String,
        /// The element furthest off.
        index: u64,
        /// What the kernel wrote there.
        actual: f64,
        /// What it should have written there.
        expected: f64,
        /// The quotient or residual of the method.
        error: f64,
        /// What was allowed.
        tolerance: f64,
    },
    /// Output, reference or operands do not have the shape that the others imply.
    #[error("{what}: {got} where {need} are needed")]
    Shape {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many there should be.
        need: usize,
    },
    /// The kernel wrote outside its output.
    #[error("guard word {offset:+} elements from the {edge} of the output was overwritten: it holds {bits:#x}")]
    Guard {
        /// `start` or `end`.
        edge: &'static str,
        /// Distance in elements; negative before the start, from 0 on behind the end.
        offset: isize,
        /// What it holds now.
        bits: u64,
    },
    /// The kernel did not write an element, or computed it from memory that it should not have read.
    #[error("element {index} still holds the poison: never written, or read before it was written")]
    Poison {
        /// The first such element.
        index: u64,
    },
    /// The kernel wrote to an element of the buffer that is not part of the output (a gap between rows).
    #[error("element {index} of the buffer is not part of the output, but was written")]
    Gap {
        /// The first such element.
        index: u64,
    },
}

/// Element-wise test: |actual − expected| must be at most `tolerance(i)` for every i. The figures are those of the
/// element that comes closest to its tolerance.
///
/// # Errors
/// [`Mismatch::Shape`] for slices of different length, [`Mismatch::Value`] with the worst element; a NaN is the worst
/// of all.
pub fn check(actual: &[f32], expected: &[f64], tolerance: impl Fn(usize) -> f64) -> Result<Checked, Mismatch> {
    same_len(actual, expected)?;
    let mut worst = Worst::default();
    for (i, (&got, &want)) in actual.iter().zip(expected).enumerate() {
        worst.see(i, f64::from(got), want, tolerance(i));
    }
    worst.judge("element-wise", actual.len() as u64)
}

/// Norm test: ‖actual − expected‖_F / `scale` must be at most `tolerance.norm()`; `scale` comes from
/// [`Tolerance::norm_scale`].
///
/// # Errors
/// [`Mismatch::Shape`] for slices of different length, [`Mismatch::Total`] with the element that is furthest off.
pub fn check_norm(actual: &[f32], expected: &[f64], scale: f64, tolerance: &Tolerance) -> Result<Checked, Mismatch> {
    same_len(actual, expected)?;
    let mut worst = Worst::default();
    let mut square = 0.0;
    for (i, (&got, &want)) in actual.iter().zip(expected).enumerate() {
        let difference = f64::from(got) - want;
        square += difference * difference;
        worst.see(i, f64::from(got), want, 1.0);
    }
    let error = if square == 0.0 { 0.0 } else { square.sqrt() / scale };
    let (method, tolerance) = ("norm".to_string(), tolerance.norm());
    let Worst { index, actual, expected, .. } = worst;
    if within(error, tolerance) {
        Ok(Checked { method, error, tolerance, worst_index: index, checked: 0 })
    } else {
        Err(Mismatch::Total { method, index: index.unwrap_or(0), actual, expected, error, tolerance })
    }
}

/// Exact test for outputs whose bits are contractual (decoders): the hashes must agree. The hash is stored in the row.
pub fn same_hash(actual: &str, expected: &str, input_hash: String) -> Proof {
    let failure = (actual != expected).then(|| format!("output hash {actual}, expected {expected}"));
    let error = Some(if failure.is_some() { 1.0 } else { 0.0 });
    let output_hash = Some(actual.to_string());
    let method = "hash".to_string();
    Proof {
        method,
        error,
        tolerance: 0.0,
        worst_index: None,
        checked: 0,
        input_hash,
        output_hash,
        same_as: None,
        failure,
    }
}

/// The outcome of a check as a row stores it; `Subject::prove` returns this.
pub fn proof(outcome: Result<Checked, Mismatch>, input_hash: String) -> Proof {
    let finite = |x: f64| x.is_finite().then_some(x);
    match outcome {
        Ok(Checked { method, error, tolerance, worst_index, checked }) => Proof {
            method,
            error: finite(error),
            tolerance,
            worst_index,
            checked,
            input_hash,
            output_hash: None,
            same_as: None,
            failure: None,
        },
        Err(mismatch) => {
            let failure = Some(mismatch.to_string());
            let (method, error, tolerance, worst_index) = match mismatch {
                Mismatch::Value { method, index, error, tolerance, .. }
                | Mismatch::Total { method, index, error, tolerance, .. } => {
                    (method, finite(error), tolerance, Some(index))
                }
                Mismatch::Poison { index } | Mismatch::Gap { index } => ("guard".into(), None, 0.0, Some(index)),
                Mismatch::Guard { .. } => ("guard".into(), None, 0.0, None),
                Mismatch::Shape { .. } => ("shape".into(), None, 0.0, None),
            };
            Proof {
                method,
                error,
                tolerance,
                worst_index,
                checked: 0,
                input_hash,
                output_hash: None,
                same_as: None,
                failure,
            }
        }
    }
}

fn same_len(actual: &[f32], expected: &[f64]) -> Result<(), Mismatch> {
    if actual.len() == expected.len() {
        return Ok(());
    }
    Err(Mismatch::Shape { what: "elements of the output", got: actual.len(), need: expected.len() })
}

/// The only comparison of an error with a tolerance in this crate: false for NaN on either side.
pub(crate) fn within(error: f64, tolerance: f64) -> bool {
    error <= tolerance
}

/// The element that comes closest to its tolerance, or is furthest beyond it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worst {
    pub(crate) index: Option<u64>,
    pub(crate) actual: f64,
    pub(crate) expected: f64,
    pub(crate) error: f64,
    pub(crate) tolerance: f64,
    /// error / tolerance, with 0/0 = 0; once NaN, it stays NaN.
    pub(crate) share: f64,
}

impl Default for Worst {
    fn default() -> Self {
        Self { index: None, actual: 0.0, expected: 0.0, error: 0.0, tolerance: 0.0, share: -1.0 }
    }
}

impl Worst {
    pub(crate) fn see(&mut self, index: usize, actual: f64, expected: f64, tolerance: f64) {
        let error = (actual - expected).abs();
        let share = if error == 0.0 && tolerance >= 0.0 { 0.0 } else { error / tolerance };
        // Greater, or not comparable; the first NaN stays.
        if !self.share.is_nan() && !within(share, self.share) {
            *self = Self { index: Some(index as u64), actual, expected, error, tolerance, share };
        }
    }

    pub(crate) fn is_within(&self) -> bool {
        within(self.error, self.tolerance)
    }

    pub(crate) fn judge(self, method: &str, checked: u64) -> Result<Checked, Mismatch> {
        let within = self.is_within();
        let Self { index, actual, expected, error, tolerance, .. } = self;
        let method = method.to_string();
        if within {
            Ok(Checked { method, error, tolerance, worst_index: index, checked })
        } else {
            Err(Mismatch::Value { method, index: index.unwrap_or(0), actual, expected, error, tolerance })
        }
    }
}
