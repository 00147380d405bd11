//! Layer normalization.

use crate::vector::{F32Vector, Simd, Vectorized};

/// Each row of `from` minus its mean, over its standard deviation, times factors, plus offsets.
#[derive(Debug)]
pub struct LayerNorm<'a> {
    /// Rows x channels. A last row that is not whole is left out.
    pub from: &'a [f32],
    /// The same extents.
    pub to: &'a mut [f32],
    /// One for each channel.
    pub factors: &'a [f32],
    /// One for each channel.
    pub offsets: &'a [f32],
    /// Added to the variance, so that equal channels are no division by 0.
    pub epsilon: f32,
}

impl Vectorized for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { from, to, factors, offsets, epsilon } = self;
        let channels = factors.len();
        if channels == 0 {
            return;
        }
        // The loads below rely on this length.
        let offsets = &offsets[..channels];
        for (x, y) in from.chunks_exact(channels).zip(to.chunks_exact_mut(channels)) {
            let mean = sum(simd, x, 0.0, false) / channels as f32;
            let variance = sum(simd, x, mean, true) / channels as f32;
            let scale = simd.splat(1.0 / (variance + epsilon).sqrt());
            let mean = simd.splat(mean);
            let mut i = 0;
            while i < channels {
                let lanes = (channels - i).min(S::LANES);
                // SAFETY: all four slices have `channels` floats, of which `lanes` follow from `i` on.
                unsafe {
                    let centered = simd.load_partial(x.as_ptr().add(i), lanes) - mean;
                    let factors = simd.load_partial(factors.as_ptr().add(i), lanes);
                    let offsets = simd.load_partial(offsets.as_ptr().add(i), lanes);
                    (centered * scale).mul_add(factors, offsets).store_partial(y.as_mut_ptr().add(i), lanes);
                }
                i += lanes;
            }
        }
    }
}

/// The sum of x, or of (x - mean)^2.
#[inline(always)]
fn sum<S: Simd>(simd: S, x: &[f32], mean: f32, squared: bool) -> f32 {
    let subtrahend = simd.splat(mean);
    let mut sums = [simd.splat(0.0); 4];
    let mut chunks = x.chunks_exact(4 * S::LANES);
    for chunk in &mut chunks {
        let mut v = 0;
        while v < 4 {
            // SAFETY: the chunk has 4 LANES floats.
            let value = unsafe { simd.load(chunk.as_ptr().add(v * S::LANES)) };
            let centered = value - subtrahend;
            sums[v] = if squared { centered.mul_add(centered, sums[v]) } else { sums[v] + value };
            v += 1;
        }
    }
    let mut total = ((sums[0] + sums[1]) + (sums[2] + sums[3])).reduce_sum();
    for &value in chunks.remainder() {
        total += if squared { (value - mean) * (value - mean) } else { value };
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InstructionSet;

    #[test]
    fn rows_are_normalized_on_every_instruction_set() {
        for channels in [1, 4, 17, 64, 130] {
            let number = |i: usize| ((i * 7919 % 1000) as f32 - 500.0) / 250.0;
            let (factors, offsets): (Vec<f32>, Vec<f32>) = (0..channels).map(|i| (number(i), number(i + 77))).unzip();
            // A mean far from 0 shows a variance that is computed from squares of values.
            let x: Vec<f32> = (0..3 * channels).map(|i| number(i + 5) + 300.0).collect();
            for set in InstructionSet::supported() {
                let mut y = vec![f32::NAN; x.len()];
                set.run(LayerNorm { from: &x, to: &mut y, factors: &factors, offsets: &offsets, epsilon: 1e-5 });
                for (x, y) in x.chunks(channels).zip(y.chunks(channels)) {
                    let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
                    let mean = x.iter().sum::<f64>() / channels as f64;
                    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / channels as f64;
                    for (i, &y) in y.iter().enumerate() {
                        let scale = f64::from(factors[i]) / (variance + 1e-5).sqrt();
                        let expected = (x[i] - mean) * scale + f64::from(offsets[i]);
                        assert!((f64::from(y) - expected).abs() <= 2e-4, "{set:?} {channels}: {y} {expected}");
                    }
                }
            }
        }
    }
}
