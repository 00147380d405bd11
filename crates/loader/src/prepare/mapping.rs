//! Steps on intensities, joined into one: (v - origin) · factor, then a clip.
//!
//! A line behind a clip is a line with other bounds, a clip behind a clip has the inner bounds, so any row of lines and
//! clips is of this form. It is kept in f64 and applied in f32. The subtraction comes first: what is 0 by definition,
//! as the mean of a z-score or the lower end of a range, is then exactly 0.

use nifti_decode::{Clip, Scale, Voxels};

use crate::Volume;

use super::Step;

/// From a stored value to an intensity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mapping {
    line: Line,
    /// Zeros that a z-score left alone: the line whose result is 0 for them, and what they become.
    zeros: Option<(Line, f64)>,
}

/// A line, then a clip.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Line {
    origin: f64,
    /// Not 0.
    factor: f64,
    low: f64,
    high: f64,
}

impl Line {
    const IDENTITY: Self = Self { origin: 0.0, factor: 1.0, low: f64::NEG_INFINITY, high: f64::INFINITY };

    fn at(&self, value: f64) -> f64 {
        clip((value - self.origin) * self.factor, self.low, self.high)
    }

    /// Then (v - shift) · gain.
    fn then(self, shift: f64, gain: f64) -> Self {
        let [low, high] = [self.low, self.high].map(|bound| (bound - shift) * gain);
        let (low, high) = if gain < 0.0 { (high, low) } else { (low, high) };
        Self { origin: self.origin + shift / self.factor, factor: self.factor * gain, low, high }
    }

    fn clipped(self, low: f64, high: f64) -> Self {
        Self { low: clip(self.low, low, high), high: clip(self.high, low, high), ..self }
    }

    fn rounded(&self) -> Rounded {
        let [origin, factor, low, high] = [self.origin, self.factor, self.low, self.high].map(|x| x as f32);
        Rounded { origin, factor, low, high }
    }
}

/// A NaN stays; so does a value if a bound is NaN.
fn clip(value: f64, low: f64, high: f64) -> f64 {
    let value = if value < low { low } else { value };
    if value > high { high } else { value }
}

/// A [`Line`] in f32.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounded {
    origin: f32,
    factor: f32,
    low: f32,
    high: f32,
}

impl Rounded {
    #[inline(always)]
    pub(super) fn at(&self, value: f32) -> f32 {
        let value = (value - self.origin) * self.factor;
        let value = if value < self.low { self.low } else { value };
        if value > self.high { self.high } else { value }
    }
}

/// A [`Mapping`] in f32.
#[derive(Debug, Clone, Copy)]
pub(super) struct Applied {
    pub(super) line: Rounded,
    pub(super) zeros: Option<(Rounded, f32)>,
}

impl Applied {
    #[inline(always)]
    pub(super) fn at(&self, value: f32) -> f32 {
        match self.zeros {
            Some((test, zero)) if test.at(value) == 0.0 => zero,
            _ => self.line.at(value),
        }
    }
}

/// Whether a step is the same for every volume.
pub(super) fn is_fixed(step: &Step) -> bool {
    matches!(step, Step::Clip(Clip::None | Clip::Values { .. }) | Step::Scale { .. })
}

impl Mapping {
    pub(super) const IDENTITY: Self = Self { line: Line::IDENTITY, zeros: None };

    /// From stored to scaled values.
    pub(super) fn of(scale: Scale) -> Self {
        let line = Line { origin: -scale.inter / scale.slope, factor: scale.slope, ..Line::IDENTITY };
        // 0, not -0, which would be another mapping.
        let origin = if line.origin == 0.0 { 0.0 } else { line.origin };
        Self { line: Line { origin, ..line }, zeros: None }
    }

    pub(super) fn applied(&self) -> Applied {
        let zeros = self.zeros.map(|(test, zero)| (test.rounded(), zero as f32));
        Applied { line: self.line.rounded(), zeros }
    }

    /// Whether nothing is clipped or left alone.
    pub(super) fn is_straight(&self) -> bool {
        self.zeros.is_none() && self.line.low == f64::NEG_INFINITY && self.line.high == f64::INFINITY
    }

    pub(super) fn keeps_zeros(&self) -> bool {
        self.zeros.is_some()
    }

    fn at(&self, value: f64) -> f64 {
        match self.zeros {
            Some((test, zero)) if test.at(value) == 0.0 => zero,
            _ => self.line.at(value),
        }
    }

    pub(super) fn clipped(self, low: f64, high: f64) -> Self {
        Self { line: self.line.clipped(low, high), zeros: self.zeros.map(|(test, zero)| (test, clip(zero, low, high))) }
    }

    fn then(self, shift: f64, gain: f64) -> Self {
        let zeros = self.zeros.map(|(test, zero)| (test, (zero - shift) * gain));
        Self { line: self.line.then(shift, gain), zeros }
    }

    /// Then a step for which [`is_fixed`] holds.
    pub(super) fn then_fixed(self, step: &Step) -> Self {
        match *step {
            Step::Clip(Clip::Values { low, high }) => self.clipped(low, high),
            Step::Scale { from, to, is_clipped } => {
                let gain = if from[0] == from[1] { 1.0 } else { (to[1] - to[0]) / (from[1] - from[0]) };
                let scaled = match gain {
                    // All values become one.
                    0.0 => self.clipped(to[0], to[0]),
                    _ => self.then(from[0] - to[0] / gain, gain),
                };
                if is_clipped { scaled.clipped(to[0].min(to[1]), to[0].max(to[1])) } else { scaled }
            }
            _ => self,
        }
    }

    /// Percentiles of the mapped values of a volume; the mapping is straight.
    pub(super) fn percentiles(&self, volume: &Volume, q: [f64; 2]) -> [f64; 2] {
        let is_falling = self.line.factor * volume.scale().slope < 0.0;
        // Of scaled values, which the volume has statistics of.
        let wanted = if is_falling { q.map(|q| 100.0 - q) } else { q };
        let unscaled = |scaled: f64| (scaled - volume.scale().inter) / volume.scale().slope;
        let found = match (wanted, volume.known_stats()) {
            ([0.5, 99.5], Some(stats)) => [stats.p0_5, stats.p99_5],
            ([99.5, 0.5], Some(stats)) => [stats.p99_5, stats.p0_5],
            _ => {
                let found = volume.occurrences().percentiles(&wanted);
                [0, 1].map(|at| found.get(at).copied().unwrap_or(f64::NAN))
            }
        };
        found.map(|scaled| self.line.at(unscaled(scaled)))
    }

    /// Then to mean 0 and standard deviation 1 of the mapped values of a volume.
    pub(super) fn zscored(self, volume: &Volume, over: Voxels) -> Self {
        let (scale, occurrences) = (volume.scale(), volume.occurrences());
        // From scaled values to mapped ones.
        let mapped = |scaled: f64| self.at((scaled - scale.inter) / scale.slope);
        let is_counted = |value: f64| over == Voxels::All || value != 0.0;
        // Distances from a value in the middle: their sum of squares loses no digits to a mean that is far from 0.
        let middle = volume.known_stats().map_or(0.0, |stats| mapped(stats.median));
        let middle = if middle.is_finite() { middle } else { 0.0 };
        let (mut n, mut sum, mut squares) = (0, 0.0, 0.0);
        occurrences.each(|value, count| {
            let value = mapped(value);
            if is_counted(value) {
                let (distance, weight) = (value - middle, count as f64);
                n += count;
                sum += weight * distance;
                squares += weight * distance * distance;
            }
        });
        if n == 0 {
            return self;
        }
        let shift = sum / n as f64;
        let std = (squares / n as f64 - shift * shift).max(0.0).sqrt();
        let gain = if std > 0.0 { std.recip() } else { 1.0 };
        let normalized = self.then(middle + shift, gain);
        if over == Voxels::All { normalized } else { Self { zeros: Some((self.line, 0.0)), ..normalized } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_steps_are_the_steps_one_after_the_other() {
        let scale = Scale { slope: -2.0, inter: 30.0 };
        let joined = Mapping::of(scale)
            .clipped(-40.0, 25.0)
            .then(-5.0, 0.1)
            .clipped(-1.0, 9.0)
            .then_fixed(&Step::Scale { from: [0.0, 3.0], to: [1.0, -1.0], is_clipped: true });
        for stored in -60..60 {
            let value = f64::from(stored);
            let mut expected = (-2.0 * value + 30.0).clamp(-40.0, 25.0);
            expected = ((expected + 5.0) * 0.1).clamp(-1.0, 9.0);
            expected = (expected / 3.0 * -2.0 + 1.0).clamp(-1.0, 1.0);
            assert!((joined.at(value) - expected).abs() < 1e-12);
            assert!((joined.applied().at(value as f32) - expected as f32).abs() < 1e-6);
        }
    }

    #[test]
    fn what_is_zero_by_definition_is_zero() {
        let range = Step::Scale { from: [-57.0, 164.0], to: [0.0, 1.0], is_clipped: true };
        let mapping = Mapping::IDENTITY.then_fixed(&range).applied();
        assert_eq!((mapping.at(-57.0), mapping.at(-900.0)), (0.0, 0.0));
        let constant = Step::Scale { from: [0.0, 1.0], to: [3.0, 3.0], is_clipped: false };
        assert_eq!(Mapping::IDENTITY.then_fixed(&constant).applied().at(17.0), 3.0);
        assert!(Mapping::IDENTITY.clipped(0.0, 1.0).applied().at(f32::NAN).is_nan());
    }
}
