//! The recurrence of a head, and what surrounds it: everything between the projections and the output projection.
//!
//! For each token, with the state S (key channels j, value channels i) of the head:
//!
//! ```text
//!   kk = k k_k / max(|k k_k|, 1e-12)          a = in-context learning rate, w = decay, both per channel
//!   k  = k (1 + (a - 1) k_a)                  v = v + (v of the first layer - v) sigmoid(mix)
//!
//!   removed_i = sum over j of  S_ji (-kk_j)
//!   S_ji      = S_ji w_j + v_i k_j + removed_i (kk_j a_j)
//!   y_i       = sum over j of  S_ji r_j
//!
//!   y = normalized y + v sum(k r r_k)
//! ```
//!
//! The state is kept with value channels next to each other. Then both sums run over rows of vectors, and none within
//! a vector. Value channels do not meet, so a few vectors of them pass through all tokens while their columns of the
//! state stay in the level-1 cache. `removed` of the next token is formed while this token's state is in registers: a
//! token reads and writes the state once.
//!
//! Sums are formed in the same order whatever the number of tokens, so a chunk of tokens gives the bits of single ones.

use simd::{F32Vector, Simd, Vectorized};

use crate::{mix::sigmoid, model::TimeMix, state::padded};

/// e^-0.5 as llama.cpp writes it: the decay is exp(-0.606531 sigmoid(..)).
const DECAY: f32 = 0.606_531;
/// Least length of kk before it is normalized.
const LEAST_LENGTH: f32 = 1e-12;
/// Added to the variance of a head's outputs.
const HEAD_EPSILON: f32 = 64e-5;
/// Magnitudes of the state that are set to 0 behind a chunk, before they become subnormal and slow.
const NEGLIGIBLE: f32 = 1e-30;

/// Inputs of all heads, each rows x channels; parts of a row belong to the heads.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) receptance: &'a [f32],
    pub(crate) key: &'a [f32],
    pub(crate) value: &'a [f32],
    /// Before the sigmoid.
    pub(crate) decay: &'a [f32],
    /// Before the sigmoid.
    pub(crate) rate: &'a [f32],
    /// How much of the first layer's values is mixed in, before the sigmoid; and those values.
    pub(crate) first_values: Option<[&'a [f32]; 2]>,
}

/// Consecutive heads.
pub(crate) struct Heads<'a> {
    pub(crate) weights: &'a TimeMix<'a>,
    pub(crate) head_size: usize,
    /// The first of them.
    pub(crate) first: usize,
    pub(crate) rows: usize,
    pub(crate) inputs: Inputs<'a>,
    /// For each of them the state: head size x padded head size.
    pub(crate) states: &'a mut [f32],
    /// For each of them rows x padded head size.
    pub(crate) outputs: &'a mut [f32],
    /// [`scratch`] floats, or more.
    pub(crate) scratch: &'a mut [f32],
}

/// Vectors of a row that the recurrence reads: r, w, k, v, -kk and kk a.
const PREPARED: usize = 6;

/// Floats that [`Heads`] works in.
pub(crate) fn scratch(rows: usize, head_size: usize) -> usize {
    // One row of -kk more: nothing is removed behind the last token.
    PREPARED * (rows + 1) * padded(head_size)
}

impl Vectorized for Heads<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { weights, head_size, first, rows, inputs, states, outputs, scratch } = self;
        let padded = padded(head_size);
        let size = (rows + 1) * padded;
        let prepared = &mut scratch[..PREPARED * size];
        prepared.fill(0.0);
        let heads = states.chunks_exact_mut(head_size * padded).zip(outputs.chunks_exact_mut(rows * padded));
        for (nth, (state, output)) in heads.enumerate() {
            let head = Head { weights, head_size, padded, at: (first + nth) * head_size, rows, size };
            head.prepare(simd, inputs, prepared);
            // Four vectors of AVX-512 are a head of 64. Narrower vectors have half as many registers.
            let wide = if S::LANES >= 16 { 4 * S::LANES } else { 2 * S::LANES };
            let mut i = 0;
            while i < padded {
                if padded - i >= wide {
                    if S::LANES >= 16 {
                        head.recur::<S, 4>(simd, prepared, state, output, i);
                    } else {
                        head.recur::<S, 2>(simd, prepared, state, output, i);
                    }
                    i += wide;
                } else {
                    head.recur::<S, 1>(simd, prepared, state, output, i);
                    i += S::LANES;
                }
            }
            head.finish(simd, prepared, output);
        }
    }
}

/// One head.
#[derive(Clone, Copy)]
struct Head<'a> {
    weights: &'a TimeMix<'a>,
    head_size: usize,
    padded: usize,
    /// Its first channel.
    at: usize,
    rows: usize,
    /// Floats of each of the prepared arrays.
    size: usize,
}

/// Positions of the prepared arrays.
const R: usize = 0;
const W: usize = 1;
const K: usize = 2;
const V: usize = 3;
const REMOVE: usize = 4;
const RESTORE: usize = 5;

impl Head<'_> {
    /// Fills the prepared arrays; what is behind the head size stays 0.
    #[inline(always)]
    fn prepare<S: Simd>(self, simd: S, inputs: Inputs<'_>, prepared: &mut [f32]) {
        let Self { weights, head_size, padded, at, rows, size } = self;
        let channels = weights.key_norm.len();
        assert!(prepared.len() >= PREPARED * size && at + head_size <= channels && rows * padded <= size);
        let of = |x: &[f32]| -> *const f32 {
            assert!(x.len() >= channels);
            x[at..].as_ptr()
        };
        let [key_norm, key_rate] = [of(&weights.key_norm), of(&weights.key_rate)];
        let [decay_offset, rate_offset] = [of(&weights.decay.offset), of(&weights.rate.offset)];
        let mix_offset = weights.value_mix.as_ref().map(|mix| of(&mix.offset));
        let one = simd.splat(1.0);
        for row in 0..rows {
            let start = row * channels + at;
            let of_row = |x: &[f32]| -> *const f32 { x[start..][..head_size].as_ptr() };
            let [r, k, v] = [inputs.receptance, inputs.key, inputs.value].map(of_row);
            let [w, a] = [inputs.decay, inputs.rate].map(of_row);
            let first_values = inputs.first_values.map(|pair| pair.map(of_row));
            let to = prepared.as_mut_ptr();
            let mut length = simd.splat(0.0);
            let mut i = 0;
            while i < head_size {
                let lanes = (head_size - i).min(S::LANES);
                // SAFETY: `lanes` floats follow from `i` on in every input, whose lengths were checked above, and in
                // row `row` of each prepared array.
                unsafe {
                    let to = to.add(row * padded + i);
                    let a = sigmoid(simd, load(simd, a, i, lanes) + load(simd, rate_offset, i, lanes));
                    let w = simd.splat(-DECAY)
                        * sigmoid(simd, load(simd, w, i, lanes) + load(simd, decay_offset, i, lanes));
                    let key = load(simd, k, i, lanes);
                    let kk = key * load(simd, key_norm, i, lanes);
                    length = kk.mul_add(kk, length);
                    let mut v = load(simd, v, i, lanes);
                    if let (Some([mix, first]), Some(offset)) = (first_values, mix_offset) {
                        let mix = sigmoid(simd, load(simd, mix, i, lanes) + load(simd, offset, i, lanes));
                        v = (load(simd, first, i, lanes) - v).mul_add(mix, v);
                    }
                    load(simd, r, i, lanes).store_partial(to.add(R * size), lanes);
                    simd::math::exp(simd, w).store_partial(to.add(W * size), lanes);
                    (key * (a - one).mul_add(load(simd, key_rate, i, lanes), one))
                        .store_partial(to.add(K * size), lanes);
                    v.store_partial(to.add(V * size), lanes);
                    // Not yet of length 1.
                    kk.store_partial(to.add(REMOVE * size), lanes);
                    a.store_partial(to.add(RESTORE * size), lanes);
                }
                i += lanes;
            }
            let scale = simd.splat(1.0 / length.reduce_sum().sqrt().max(LEAST_LENGTH));
            let mut i = 0;
            while i < head_size {
                let lanes = (head_size - i).min(S::LANES);
                // SAFETY: as above.
                unsafe {
                    let remove = to.add(REMOVE * size + row * padded + i);
                    let restore = to.add(RESTORE * size + row * padded + i);
                    let kk = simd.load_partial(remove, lanes) * scale;
                    (kk * simd.load_partial(restore, lanes)).store_partial(restore, lanes);
                    (simd.splat(0.0) - kk).store_partial(remove, lanes);
                }
                i += lanes;
            }
        }
    }

    /// All tokens through B vectors of value channels, from channel `i` on.
    #[inline(always)]
    fn recur<S: Simd, const B: usize>(
        self,
        simd: S,
        prepared: &[f32],
        state: &mut [f32],
        output: &mut [f32],
        i: usize,
    ) {
        let Self { head_size, padded, rows, size, .. } = self;
        assert!(prepared.len() >= PREPARED * size && (rows + 1) * padded <= size && i + B * S::LANES <= padded);
        assert!(state.len() >= head_size * padded && output.len() >= rows * padded);
        let (from, state, output) = (prepared.as_ptr(), state.as_mut_ptr(), output.as_mut_ptr());
        let zero = simd.splat(0.0);
        // SAFETY: rows of the state and of the prepared arrays have `padded` floats, of which B vectors follow from `i`
        // on; there are `head_size` rows of the state, `rows` of the output and one more of the prepared arrays; all
        // lengths were checked above.
        unsafe {
            let mut removed = self.removed_first::<S, B>(simd, from, state, i);
            let mut row = 0;
            while row < rows {
                let at = row * padded;
                let mut v = [zero; B];
                let (mut y, mut next) = ([zero; B], [zero; B]);
                let mut b = 0;
                while b < B {
                    v[b] = simd.load(from.add(V * size + at + i + b * S::LANES));
                    b += 1;
                }
                let mut j = 0;
                while j < head_size {
                    let w = simd.splat(*from.add(W * size + at + j));
                    let k = simd.splat(*from.add(K * size + at + j));
                    let restore = simd.splat(*from.add(RESTORE * size + at + j));
                    let r = simd.splat(*from.add(R * size + at + j));
                    let remove = simd.splat(*from.add(REMOVE * size + at + padded + j));
                    let mut b = 0;
                    while b < B {
                        let cell = state.add(j * padded + i + b * S::LANES);
                        let mut s = simd.load(cell) * w;
                        s = v[b].mul_add(k, s);
                        s = removed[b].mul_add(restore, s);
                        s.store(cell);
                        y[b] = s.mul_add(r, y[b]);
                        next[b] = s.mul_add(remove, next[b]);
                        b += 1;
                    }
                    j += 1;
                }
                let mut b = 0;
                while b < B {
                    y[b].store(output.add(at + i + b * S::LANES));
                    b += 1;
                }
                removed = next;
                row += 1;
            }
            self.forget_negligible::<S, B>(simd, state, i);
        }
    }

    /// What the first token removes from B vectors of value channels.
    ///
    /// # Safety
    /// As in [`recur`](Self::recur): a row of the prepared arrays and all rows of the state can be read.
    #[inline(always)]
    unsafe fn removed_first<S: Simd, const B: usize>(
        self,
        simd: S,
        from: *const f32,
        state: *const f32,
        i: usize,
    ) -> [S::F32; B] {
        let mut removed = [simd.splat(0.0); B];
        let mut j = 0;
        while j < self.head_size {
            let mut b = 0;
            while b < B {
                // SAFETY: the caller promises that both can be read.
                unsafe {
                    let s = simd.load(state.add(j * self.padded + i + b * S::LANES));
                    removed[b] = s.mul_add(simd.splat(*from.add(REMOVE * self.size + j)), removed[b]);
                }
                b += 1;
            }
            j += 1;
        }
        removed
    }

    /// Sets what is too small to matter to 0 in B vectors of value channels.
    ///
    /// # Safety
    /// As in [`recur`](Self::recur): all rows of the state can be read and written.
    #[inline(always)]
    unsafe fn forget_negligible<S: Simd, const B: usize>(self, simd: S, state: *mut f32, i: usize) {
        let mut j = 0;
        while j < self.head_size {
            let mut b = 0;
            while b < B {
                // SAFETY: the caller promises that the rows can be read and written.
                unsafe {
                    let cell = state.add(j * self.padded + i + b * S::LANES);
                    let s = simd.load(cell);
                    (s.abs() - simd.splat(NEGLIGIBLE)).select_negative(simd.splat(0.0), s).store(cell);
                }
                b += 1;
            }
            j += 1;
        }
    }

    /// Normalizes the outputs and adds the bonus.
    #[inline(always)]
    fn finish<S: Simd>(self, simd: S, prepared: &[f32], output: &mut [f32]) {
        let Self { weights, head_size, padded, at, rows, size } = self;
        assert!(prepared.len() >= PREPARED * size && (rows + 1) * padded <= size && output.len() >= rows * padded);
        let of = |x: &[f32]| x[at..][..head_size].as_ptr();
        let (factors, offsets) = (of(&weights.head_norm.factors), of(&weights.head_norm.offsets));
        let bonus = of(&weights.bonus);
        let from = prepared.as_ptr();
        let len = head_size as f32;
        for row in 0..rows {
            let [r, k, v] = [R, K, V].map(|array| array * size + row * padded);
            let y = output[row * padded..].as_mut_ptr();
            let (mut sum, mut kept) = (simd.splat(0.0), simd.splat(0.0));
            // SAFETY: rows have `padded` floats and the weights of a head `head_size`, as checked above; `lanes` of
            // them follow from `i` on.
            unsafe {
                let mut i = 0;
                while i < head_size {
                    let lanes = (head_size - i).min(S::LANES);
                    sum = sum + simd.load_partial(y.add(i), lanes);
                    let product = simd.load_partial(from.add(r + i), lanes) * simd.load_partial(from.add(k + i), lanes);
                    kept = product.mul_add(simd.load_partial(bonus.add(i), lanes), kept);
                    i += lanes;
                }
                let mean = sum.reduce_sum() / len;
                let kept = simd.splat(kept.reduce_sum());
                let mut squares = 0.0;
                let mut i = 0;
                while i < head_size {
                    let lanes = (head_size - i).min(S::LANES);
                    // Lanes behind the end would count as (0 - mean)^2.
                    let mean = if lanes == S::LANES { simd.splat(mean) } else { partial(simd, mean, lanes) };
                    let centered = simd.load_partial(y.add(i), lanes) - mean;
                    squares += (centered * centered).reduce_sum();
                    i += lanes;
                }
                let scale = simd.splat(1.0 / (squares / len + HEAD_EPSILON).sqrt());
                let mean = simd.splat(mean);
                let mut i = 0;
                while i < head_size {
                    let lanes = (head_size - i).min(S::LANES);
                    let normalized = ((load(simd, y, i, lanes) - mean) * scale)
                        .mul_add(load(simd, factors, i, lanes), load(simd, offsets, i, lanes));
                    load(simd, from.add(v), i, lanes).mul_add(kept, normalized).store_partial(y.add(i), lanes);
                    i += lanes;
                }
            }
        }
    }
}

/// `lanes` floats from number `i` on. A closure would be compiled without the instruction set.
///
/// # Safety
/// They can be read there.
#[inline(always)]
unsafe fn load<S: Simd>(simd: S, from: *const f32, i: usize, lanes: usize) -> S::F32 {
    // SAFETY: the caller promises that they can be read.
    unsafe { simd.load_partial(from.add(i), lanes) }
}

/// `x` in the first `lanes` lanes, 0 in the others.
#[inline(always)]
fn partial<S: Simd>(simd: S, x: f32, lanes: usize) -> S::F32 {
    let values = [x; simd::MAX_LANES];
    // SAFETY: a vector has at most MAX_LANES floats.
    unsafe { simd.load_partial(values.as_ptr(), lanes) }
}
