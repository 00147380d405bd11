//! Passes over rows of channels: what surrounds the products.

use simd::{F32Vector, Simd, Vectorized};

/// Interpolates each row with the row before it: out = now + (before - now) lerp, for several lerps at once.
pub(crate) struct Shift<'a, const N: usize> {
    /// Rows x channels.
    pub(crate) now: &'a [f32],
    /// The row before the first one.
    pub(crate) before: &'a [f32],
    /// N x channels.
    pub(crate) lerps: &'a [f32],
    /// Each rows x channels.
    pub(crate) to: [&'a mut [f32]; N],
}

impl<const N: usize> Vectorized for Shift<'_, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { now, before, lerps, to } = self;
        let channels = before.len();
        // The loads and stores below rely on these lengths.
        let lerps = &lerps[..N * channels];
        let mut n = 0;
        while n < N {
            assert!(to[n].len() >= now.len(), "an output has as many rows as the input");
            n += 1;
        }
        let mut previous = before;
        for (row, now) in now.chunks_exact(channels).enumerate() {
            let mut i = 0;
            while i < channels {
                let lanes = (channels - i).min(S::LANES);
                // SAFETY: all rows have `channels` floats, of which `lanes` follow from `i` on; see the lengths above.
                unsafe {
                    let x = simd.load_partial(now.as_ptr().add(i), lanes);
                    let step = simd.load_partial(previous.as_ptr().add(i), lanes) - x;
                    let mut n = 0;
                    while n < N {
                        let lerp = simd.load_partial(lerps.as_ptr().add(n * channels + i), lanes);
                        let to = to[n].as_mut_ptr().add(row * channels + i);
                        step.mul_add(lerp, x).store_partial(to, lanes);
                        n += 1;
                    }
                }
                i += lanes;
            }
            previous = now;
        }
    }
}

/// x <- 1 / (1 + e^-x)
pub(crate) struct Sigmoid<'a>(pub(crate) &'a mut [f32]);

impl Vectorized for Sigmoid<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut i = 0;
        while i < self.0.len() {
            let lanes = (self.0.len() - i).min(S::LANES);
            // SAFETY: `lanes` floats follow from `i` on.
            unsafe {
                let x = self.0.as_mut_ptr().add(i);
                sigmoid(simd, simd.load_partial(x, lanes)).store_partial(x, lanes);
            }
            i += lanes;
        }
    }
}

/// 1 / (1 + e^-x)
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    let one = simd.splat(1.0);
    one / (one + simd::math::exp(simd, simd.splat(0.0) - x))
}

/// Brings the outputs of heads into rows of channels, times the gate.
pub(crate) struct Gated<'a> {
    /// Heads x rows x padded head size.
    pub(crate) heads: &'a [f32],
    pub(crate) padded: usize,
    pub(crate) head_size: usize,
    /// Rows of `heads`; the outputs begin at row `first`.
    pub(crate) rows: usize,
    pub(crate) first: usize,
    /// Rows x channels from row `first` on; nothing for a model without gates.
    pub(crate) gate: Option<&'a [f32]>,
    /// Rows x channels.
    pub(crate) to: &'a mut [f32],
}

impl Vectorized for Gated<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { heads, padded, head_size, rows, first, gate, to } = self;
        let count = heads.len() / (rows * padded);
        for (row, to) in to.chunks_exact_mut(count * head_size).enumerate() {
            for (head, to) in to.chunks_exact_mut(head_size).enumerate() {
                let from = &heads[(head * rows + first + row) * padded..][..head_size];
                let Some(gate) = gate else {
                    to.copy_from_slice(from);
                    continue;
                };
                let gate = &gate[(row * count + head) * head_size..][..head_size];
                let mut i = 0;
                while i < head_size {
                    let lanes = (head_size - i).min(S::LANES);
                    // SAFETY: all three slices have `head_size` floats, of which `lanes` follow from `i` on.
                    unsafe {
                        let x = simd.load_partial(from.as_ptr().add(i), lanes);
                        let gated = x * simd.load_partial(gate.as_ptr().add(i), lanes);
                        gated.store_partial(to.as_mut_ptr().add(i), lanes);
                    }
                    i += lanes;
                }
            }
        }
    }
}
