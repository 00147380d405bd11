//! Percentiles between ranks, as `numpy.percentile(method="linear")` interpolates.

/// A position between two ranks of n values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Position {
    rank: u64,
    last: u64,
    fraction: f64,
}

impl Position {
    /// Quantile `q` (0 to 1) of `n` values.
    pub(super) fn linear(q: f64, n: u64) -> Self {
        let last = n.saturating_sub(1);
        let at = (last as f64 * q).clamp(0.0, last as f64);
        let rank = (at.floor() as u64).min(last);
        Self { rank, last, fraction: at - rank as f64 }
    }

    /// The ranks on both sides.
    pub(super) fn ranks(self) -> [u64; 2] {
        [self.rank, (self.rank + 1).min(self.last)]
    }

    /// Interpolates between the values at [`ranks`](Self::ranks). Like NumPy, this starts from the nearer end.
    pub(super) fn between(self, a: f64, b: f64) -> f64 {
        // Equal infinities have no difference.
        if a == b {
            return a;
        }
        let step = b - a;
        if self.fraction >= 0.5 { b - step * (1.0 - self.fraction) } else { a + step * self.fraction }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percentile(values: &[f64], q: f64) -> f64 {
        let position = Position::linear(q, values.len() as u64);
        let [a, b] = position.ranks();
        position.between(values[a as usize], values[b as usize])
    }

    /// Results of numpy.percentile([1, 2, 4, 8], [0, 10, 50, 90, 100]).
    #[test]
    fn percentiles_match_numpy() {
        let values = [1.0, 2.0, 4.0, 8.0];
        assert_eq!([0.0, 0.1, 0.5, 1.0].map(|q| percentile(&values, q)), [1.0, 1.3, 3.0, 8.0]);
        assert!((percentile(&values, 0.9) - 6.8).abs() < 1e-15);
        assert_eq!(percentile(&[5.0], 0.3), 5.0);
        assert_eq!(percentile(&[f64::INFINITY; 3], 0.7), f64::INFINITY);
    }
}
