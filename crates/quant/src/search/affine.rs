//! Scale and minimum of a sub-block: x = scale · q + min with q in 0..=max_code and min <= 0.

use super::nearest;

/// Parameters of the search.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Affine {
    /// Largest code.
    pub(crate) max_code: u8,
    /// The first trial scales as if the largest code were `max_code + start`.
    pub(crate) start: f32,
    /// Number of trials after the first; each one adds 0.1 to the largest code.
    pub(crate) steps: u8,
    /// How errors are weighted.
    pub(crate) error: Error,
}

/// The error of one number, before its weight is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Error {
    Absolute,
    Squared,
}

/// The best scale found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fit {
    pub(crate) scale: f32,
    /// The negated minimum, which is not negative.
    pub(crate) min: f32,
    /// The rounding that yields the codes of this fit.
    pub(crate) rounding: Rounding,
}

/// Numbers to codes: `iscale (x - from)`, rounded to the nearest integer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rounding {
    pub(crate) iscale: f32,
    pub(crate) from: f32,
}

impl Rounding {
    /// Yields code 0 for every number.
    pub(crate) const ZERO: Self = Self { iscale: 0.0, from: 0.0 };

    /// The codes of a sub-block.
    pub(crate) fn codes<const N: usize>(self, x: &[f32; N], max_code: u8) -> [u8; N] {
        x.map(|x| nearest(self.iscale * (x - self.from)).clamp(0, i32::from(max_code)) as u8)
    }
}

impl Affine {
    /// Begins with the scale that maps the range of the numbers to that of the codes. Each trial takes another scale,
    /// rounds to codes, and solves the normal equations of weighted least squares for scale and minimum; a positive
    /// minimum is replaced by 0. The fit with the smallest weighted error is kept.
    pub(crate) fn fit<const N: usize>(&self, x: &[f32; N], weights: &[f32; N]) -> Fit {
        let (mut min, mut max) = (x[0], x[0]);
        let (mut sum_w, mut sum_x) = (weights[0], weights[0] * x[0]);
        for (&x, &w) in x.iter().zip(weights).skip(1) {
            min = if x < min { x } else { min };
            max = if x > max { x } else { max };
            sum_w += w;
            sum_x += w * x;
        }
        min = if min > 0.0 { 0.0 } else { min };
        if max == min {
            return Fit { scale: 0.0, min: -min, rounding: Rounding::ZERO };
        }
        let max_code = f32::from(self.max_code);
        // As in ggml, a trial starts from the best minimum so far, which changes the range that its codes span.
        let mut rounding = Rounding { iscale: max_code / (max - min), from: min };
        let mut best = Line { scale: 1.0 / rounding.iscale, min };
        let mut least = self.weighted_error(x, weights, best, &rounding.codes(x, self.max_code));
        for step in 0..=self.steps {
            let trial = Rounding { iscale: self.levels(step) / (max - best.min), from: best.min };
            let codes = trial.codes(x, self.max_code);
            let Some(line) = solve(x, weights, &codes, sum_w, sum_x) else { continue };
            let error = self.weighted_error(x, weights, line, &codes);
            if error < least {
                (best, least, rounding) = (line, error, trial);
            }
        }
        Fit { scale: best.scale, min: -best.min, rounding }
    }

    /// The largest code of a trial, as a real number.
    pub(crate) fn levels(&self, step: u8) -> f32 {
        self.start + 0.1 * f32::from(step) + f32::from(self.max_code)
    }

    fn weighted_error<const N: usize>(&self, x: &[f32; N], weights: &[f32; N], line: Line, codes: &[u8; N]) -> f32 {
        let mut sum = 0.0;
        for i in 0..N {
            let difference = line.scale * f32::from(codes[i]) + line.min - x[i];
            sum += weights[i]
                * match self.error {
                    Error::Absolute => difference.abs(),
                    Error::Squared => difference * difference,
                };
        }
        sum
    }
}

/// `scale q + min`.
#[derive(Debug, Clone, Copy)]
struct Line {
    scale: f32,
    min: f32,
}

/// The scale and the minimum that fit the codes best; `None` if the equations are singular.
fn solve<const N: usize>(x: &[f32; N], weights: &[f32; N], codes: &[u8; N], sum_w: f32, sum_x: f32) -> Option<Line> {
    let (mut sum_l, mut sum_l2, mut sum_xl) = (0.0, 0.0, 0.0);
    for i in 0..N {
        let (w, l) = (weights[i], f32::from(codes[i]));
        sum_l += w * l;
        sum_l2 += w * l * l;
        sum_xl += w * l * x[i];
    }
    let determinant = sum_w * sum_l2 - sum_l * sum_l;
    if determinant.is_nan() || determinant <= 0.0 {
        return None;
    }
    let scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
    let min = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
    Some(if min > 0.0 { Line { scale: sum_xl / sum_l2, min: 0.0 } } else { Line { scale, min } })
}
