//! Scale and minimum of a sub-block: x = scale · q + min with q in 0..=most and min <= 0.

use super::nearest;

/// What the search is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Affine {
    /// Largest code.
    pub(crate) most: u8,
    /// The first trial scales as if the largest code were `most + start`.
    pub(crate) start: f32,
    /// Trials after the first, each 0.1 of a code further.
    pub(crate) steps: u8,
    /// How an error counts.
    pub(crate) error: Error,
}

/// How the error of one number counts, before its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Error {
    Absolute,
    Squared,
}

/// The best scale found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fit {
    pub(crate) scale: f32,
    /// Minus the minimum: never negative.
    pub(crate) min: f32,
    /// How the codes that go with them come about.
    pub(crate) rounding: Rounding,
}

/// How numbers become codes: `iscale (x - from)`, rounded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rounding {
    pub(crate) iscale: f32,
    pub(crate) from: f32,
}

impl Rounding {
    /// All codes are 0.
    pub(crate) const ZERO: Self = Self { iscale: 0.0, from: 0.0 };

    /// The codes of a sub-block.
    pub(crate) fn codes<const N: usize>(self, x: &[f32; N], most: u8) -> [u8; N] {
        x.map(|x| nearest(self.iscale * (x - self.from)).clamp(0, i32::from(most)) as u8)
    }
}

impl Affine {
    /// Begins with the scale that maps the range to the codes. Each trial then takes another scale, rounds to codes, and solves
    /// the two normal equations of the weighted least squares for scale and minimum; a positive minimum is put to 0. What has
    /// the smallest weighted error is kept.
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
        let most = f32::from(self.most);
        // As in ggml, a trial starts from the best minimum so far, which narrows or widens the range that its codes span.
        let mut rounding = Rounding { iscale: most / (max - min), from: min };
        let mut best = Line { scale: 1.0 / rounding.iscale, min };
        let mut least = self.weighted_error(x, weights, best, &rounding.codes(x, self.most));
        for step in 0..=self.steps {
            let trial = Rounding { iscale: self.levels(step) / (max - best.min), from: best.min };
            let codes = trial.codes(x, self.most);
            let Some(line) = solve(x, weights, &codes, sum_w, sum_x) else { continue };
            let error = self.weighted_error(x, weights, line, &codes);
            if error < least {
                (best, least, rounding) = (line, error, trial);
            }
        }
        Fit { scale: best.scale, min: -best.min, rounding }
    }

    /// The largest code of a trial, were codes not whole numbers.
    pub(crate) fn levels(&self, step: u8) -> f32 {
        self.start + 0.1 * f32::from(step) + f32::from(self.most)
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

/// Scale and minimum that fit the codes best; `None` where the codes do not tell them apart.
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
