//! Layer normalization of the queries and keys of each head with the rotary embedding.

use simd::{F32Vector, MAX_LANES, Simd, Vectorized};

use crate::{
    config::EPSILON,
    rope::{Rope, Rotation},
    weights::Norm,
};

/// 1 / sqrt(variance + epsilon)
#[inline(always)]
fn inverse_deviation(variance: f32) -> f32 {
    1.0 / (variance + EPSILON as f32).sqrt()
}

/// Queries or keys of tokens of one frame: normalized over the channels of each head, then rotated.
///
/// A row of the input has the channels of all heads in the order (channel, head), so that a vector holds the same
/// channel of several heads, and sums over channels need no sums within a vector. The output has the order (head,
/// channel).
pub(crate) struct HeadNorm<'a> {
    /// Rows of at least heads x channels; the next row begins `stride` floats later.
    pub(crate) from: &'a [f32],
    pub(crate) stride: usize,
    /// Rows of heads x channels.
    pub(crate) to: &'a mut [f32],
    pub(crate) heads: usize,
    pub(crate) norm: &'a Norm,
    pub(crate) rope: &'a Rope,
    /// The first row's token in its frame.
    pub(crate) token: usize,
}

impl Vectorized for HeadNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { from, stride, to, heads, norm, rope, token } = self;
        let width = heads * norm.factors.len();
        for (row, y) in to.chunks_exact_mut(width).enumerate() {
            let x = &from[row * stride..][..width];
            let rotation = rope.rotation(token + row);
            let mut head = 0;
            while head < heads {
                let lanes = (heads - head).min(S::LANES);
                let some = Heads { x, heads, first: head, lanes };
                let (mean, scale) = some.moments(simd, norm.factors.len());
                some.rotate(simd, norm, rotation, (mean, scale), y);
                head += lanes;
            }
        }
    }
}

/// Some heads of a token: those of one vector.
#[derive(Clone, Copy)]
struct Heads<'a> {
    /// The channels of all heads, in the order (channel, head).
    x: &'a [f32],
    heads: usize,
    first: usize,
    lanes: usize,
}

impl Heads<'_> {
    /// A channel of these heads.
    #[inline(always)]
    fn channel<S: Simd>(&self, simd: S, channel: usize) -> S::F32 {
        let values = &self.x[channel * self.heads + self.first..][..self.lanes];
        // SAFETY: so many floats can be read.
        unsafe { simd.load_partial(values.as_ptr(), values.len()) }
    }

    /// The mean of each head, and the inverse of its standard deviation.
    #[inline(always)]
    fn moments<S: Simd>(&self, simd: S, channels: usize) -> (S::F32, S::F32) {
        let share = simd.splat(1.0 / channels as f32);
        let (mut sum, mut squares) = (simd.splat(0.0), simd.splat(0.0));
        for channel in 0..channels {
            sum = sum + self.channel(simd, channel);
        }
        let mean = sum * share;
        for channel in 0..channels {
            let centered = self.channel(simd, channel) - mean;
            squares = centered.mul_add(centered, squares);
        }
        let mut scales = [0.0; MAX_LANES];
        // SAFETY: a vector has at most MAX_LANES floats.
        unsafe { (squares * share).store(scales.as_mut_ptr()) };
        for scale in &mut scales[..S::LANES] {
            *scale = inverse_deviation(*scale);
        }
        // SAFETY: as above.
        (mean, unsafe { simd.load(scales.as_ptr()) })
    }

    /// Stores these heads, normalized and rotated, in the order (head, channel).
    #[inline(always)]
    fn rotate<S: Simd>(
        &self,
        simd: S,
        norm: &Norm,
        rotation: Rotation<'_>,
        (mean, scale): (S::F32, S::F32),
        y: &mut [f32],
    ) {
        let channels = norm.factors.len();
        let pairs = channels / 4;
        for (half, angles) in rotation.halves.into_iter().enumerate() {
            for (pair, &[cos, sin]) in angles.iter().enumerate() {
                let first = half * (channels / 2) + pair;
                let second = first + pairs;
                let (cos, sin) = (simd.splat(cos), simd.splat(sin));
                let (a, b) = (self.channel(simd, first) - mean, self.channel(simd, second) - mean);
                let a = (a * scale).mul_add(simd.splat(norm.factors[first]), simd.splat(norm.offsets[first]));
                let b = (b * scale).mul_add(simd.splat(norm.factors[second]), simd.splat(norm.offsets[second]));
                let mut values = [[0.0; MAX_LANES]; 2];
                // SAFETY: a vector has at most MAX_LANES floats.
                unsafe {
                    (a * cos - b * sin).store(values[0].as_mut_ptr());
                    (b * cos + a * sin).store(values[1].as_mut_ptr());
                }
                for lane in 0..self.lanes {
                    let y = &mut y[(self.first + lane) * channels..][..channels];
                    (y[first], y[second]) = (values[0][lane], values[1][lane]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use simd::InstructionSet;

    use super::*;
    use crate::config::Shape;

    fn numbers(seed: u64, len: usize) -> Vec<f32> {
        op::random::normal(seed, len)
    }

    fn norm_of(channels: usize) -> Norm {
        Norm { factors: numbers(1, channels), offsets: numbers(2, channels) }
    }

    /// One row in f64.
    fn normalized(x: &[f32], norm: &Norm) -> Vec<f64> {
        let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
        let scale = 1.0 / (variance + EPSILON).sqrt();
        let affine = norm.factors.iter().zip(&norm.offsets);
        x.iter().zip(affine).map(|(x, (&f, &o))| (x - mean) * scale * f64::from(f) + f64::from(o)).collect()
    }

    #[test]
    fn heads_are_normalized_and_rotated_on_every_instruction_set() {
        let shape = Shape { batch: 1, frames: 1, height: 28, width: 42 };
        for (heads, channels) in [(1, 4), (3, 8), (16, 8), (17, 16)] {
            let (norm, rope) = (norm_of(channels), Rope::new(&shape, channels));
            let (rows, stride, token) = (4, heads * channels + 5, 3);
            let x = numbers(5, rows * stride);
            for set in InstructionSet::supported() {
                let mut y = vec![f32::NAN; rows * heads * channels];
                set.run(HeadNorm { from: &x, stride, to: &mut y, heads, norm: &norm, rope: &rope, token });
                for (row, head) in (0..rows).flat_map(|row| (0..heads).map(move |head| (row, head))) {
                    let values: Vec<f32> = (0..channels).map(|i| x[row * stride + i * heads + head]).collect();
                    let values = normalized(&values, &norm);
                    // Tokens 3 and 4 are special; 5 and 6 are the patches (0, 0) and (0, 1).
                    let position = [[0, 0], [0, 0], [1, 1], [1, 2]][row];
                    for i in 0..channels {
                        let (half, within) = (2 * i / channels, i % (channels / 2));
                        let pair = within % (channels / 4);
                        let angle =
                            f64::from(position[half]) * 100_f64.powf(-2.0 * pair as f64 / (channels as f64 / 2.0));
                        let (first, second) = (values[i - within + pair], values[i - within + pair + channels / 4]);
                        let expected = match within < channels / 4 {
                            true => first * angle.cos() - second * angle.sin(),
                            false => second * angle.cos() + first * angle.sin(),
                        };
                        let got = f64::from(y[(row * heads + head) * channels + i]);
                        assert!((got - expected).abs() <= 2e-5, "{set:?} {heads} {channels}: {got} {expected}");
                    }
                }
            }
        }
    }
}
