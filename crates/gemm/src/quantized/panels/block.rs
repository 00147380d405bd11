//! One block of a panel and a few rows of A.

use simd::{ByteSimd, F32Vector, Simd};

use super::width;
use crate::quantized::{
    activations::ActBlock,
    format::{Format, QK},
};

/// A block of a panel.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    /// QK / 4 steps of 4 NR codes.
    pub(super) codes: *const u8,
    /// [`GROUPS`] times NR scales.
    pub(super) scales: *const f32,
    /// Four times NR pairs of minima, then NR floats for scales and NR for minima.
    pub(super) others: *const f32,
}

/// tile += the products of R blocks of A and a block of a K type.
///
/// # Safety
/// The panel has all of its parts, and R rows of NR floats can be accessed at `tile`.
#[inline(always)]
pub(super) unsafe fn k_block<B: ByteSimd, F: Format, const R: usize, const V: usize>(
    simd: B,
    x: [&ActBlock; R],
    block: Panel,
    tile: *mut f32,
) {
    let (nr, lanes, float) = (width::<B>(), <B::Float as Simd>::LANES, simd.float());
    let mut products = [[simd.zero(); V]; R];
    for j in 0..QK / F::SUB {
        // SAFETY: the panel has the steps of sub-block j and its scales.
        let (ints, scale) = unsafe {
            let ints = sub_block::<B, F, R, V>(simd, block.codes.add(j * F::SUB * nr), x, j);
            (ints, load_words::<B, V>(simd, block.scales.add(j * nr)))
        };
        for r in 0..R {
            for v in 0..V {
                products[r][v] = simd.add_ints(products[r][v], simd.mul_ints(ints[r][v], scale[v]));
            }
        }
    }
    // SAFETY: the panel has these floats.
    let d = unsafe { load_floats::<B, V>(simd, block.others.add(4 * nr)) };
    for r in 0..R {
        let dx = float.splat(x[r].scales[0]);
        for v in 0..V {
            // SAFETY: the tile has R rows of NR floats.
            unsafe {
                let place = tile.add(r * nr + v * lanes);
                simd.ints_to_floats(products[r][v]).mul_add(d[v] * dx, float.load(place)).store(place);
            }
        }
    }
    if F::OFFSET != 0 {
        return;
    }
    let mut sums = [[simd.zero(); V]; R];
    for pair in 0..4 {
        // SAFETY: the panel has these minima.
        let mins = unsafe { load_words::<B, V>(simd, block.others.add(pair * nr)) };
        for r in 0..R {
            let terms = simd.splat_int(x[r].terms[pair]);
            for v in 0..V {
                sums[r][v] = simd.dot_words(mins[v], terms, sums[r][v]);
            }
        }
    }
    // SAFETY: the panel has these floats.
    let d = unsafe { load_floats::<B, V>(simd, block.others.add(5 * nr)) };
    for r in 0..R {
        let dx = float.splat(x[r].scales[0]);
        for v in 0..V {
            // SAFETY: the tile has R rows of NR floats.
            unsafe {
                let place = tile.add(r * nr + v * lanes);
                simd.ints_to_floats(sums[r][v]).mul_add(d[v] * dx, float.load(place)).store(place);
            }
        }
    }
}

/// tile += the products of R blocks of A and eight blocks whose scales are floats.
///
/// # Safety
/// The panel has all of its parts, and R rows of NR floats can be accessed at `tile`.
#[inline(always)]
pub(super) unsafe fn plain_block<B: ByteSimd, F: Format, const R: usize, const V: usize>(
    simd: B,
    x: [&ActBlock; R],
    block: Panel,
    tile: *mut f32,
) {
    let (nr, lanes, float) = (width::<B>(), <B::Float as Simd>::LANES, simd.float());
    let mut sums = [[float.splat(0.0); V]; R];
    for j in 0..QK / F::SUB {
        // SAFETY: the panel has the steps of sub-block j and its scales.
        let (ints, scale) = unsafe {
            let ints = sub_block::<B, F, R, V>(simd, block.codes.add(j * F::SUB * nr), x, j);
            (ints, load_floats::<B, V>(simd, block.scales.add(j * nr)))
        };
        for r in 0..R {
            let dx = float.splat(x[r].scales[j]);
            for v in 0..V {
                sums[r][v] = simd.ints_to_floats(ints[r][v]).mul_add(scale[v] * dx, sums[r][v]);
            }
        }
    }
    for r in 0..R {
        for v in 0..V {
            // SAFETY: the tile has R rows of NR floats.
            unsafe {
                let place = tile.add(r * nr + v * lanes);
                (float.load(place) + sums[r][v]).store(place);
            }
        }
    }
}

/// A word for each column.
///
/// # Safety
/// NR words can be read there.
#[inline(always)]
unsafe fn load_words<B: ByteSimd, const V: usize>(simd: B, from: *const f32) -> [B::Register; V] {
    let mut words = [simd.zero(); V];
    for v in 0..V {
        // SAFETY: the caller promises NR words.
        words[v] = unsafe { simd.load_bytes(from.add(v * <B::Float as Simd>::LANES).cast()) };
    }
    words
}

/// A float for each column.
///
/// # Safety
/// NR floats can be read there.
#[inline(always)]
unsafe fn load_floats<B: ByteSimd, const V: usize>(simd: B, from: *const f32) -> [<B::Float as Simd>::F32; V] {
    let float = simd.float();
    let mut floats = [float.splat(0.0); V];
    for v in 0..V {
        // SAFETY: the caller promises NR floats.
        floats[v] = unsafe { float.load(from.add(v * <B::Float as Simd>::LANES)) };
    }
    floats
}

/// The products of a sub-block, as integers.
///
/// # Safety
/// The sub-block's steps of NR times 4 codes can be read at `codes`.
#[inline(always)]
unsafe fn sub_block<B: ByteSimd, F: Format, const R: usize, const V: usize>(
    simd: B,
    codes: *const u8,
    x: [&ActBlock; R],
    j: usize,
) -> [[B::Register; V]; R] {
    let mut ints = [[simd.zero(); V]; R];
    let is_signed = F::IS_SIGNED && !B::HAS_DOT;
    if F::OFFSET != 0 && !is_signed {
        for r in 0..R {
            ints[r] = [simd.splat_int(x[r].terms[j]); V];
        }
    }
    let steps = F::SUB / 4;
    let mut step = 0;
    while step < steps {
        let last = if B::HAS_DOT { step + 1 } else { step + F::STEPS };
        let mut words = [[simd.zero(); V]; R];
        while step < last {
            let group = F::SUB_GROUPS[j][step / 4];
            let mut w = [simd.zero(); V];
            for v in 0..V {
                // SAFETY: the caller promises the step's codes.
                w[v] = unsafe { simd.load_bytes(codes.add((V * step + v) * B::BYTES)) };
            }
            for r in 0..R {
                // SAFETY: group and step are inside the 256 codes of a block.
                let q = unsafe { simd.repeat_4(x[r].codes.as_ptr().cast::<u8>().add(16 * group + 4 * (step % 4))) };
                for v in 0..V {
                    if B::HAS_DOT {
                        ints[r][v] = simd.dot_bytes(w[v], q, ints[r][v]);
                    } else if is_signed {
                        let [magnitudes, q] = simd.move_sign(w[v], q);
                        ints[r][v] = simd.dot_bytes(magnitudes, q, ints[r][v]);
                    } else {
                        words[r][v] = simd.add_words(words[r][v], simd.mul_pairs(w[v], q));
                    }
                }
            }
            step += 1;
        }
        if !B::HAS_DOT && !is_signed {
            let ones = simd.splat_int(0x0001_0001);
            for r in 0..R {
                for v in 0..V {
                    ints[r][v] = simd.dot_words(words[r][v], ones, ints[r][v]);
                }
            }
        }
    }
    ints
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use simd::{Avx2, ByteVectorized};

    use super::*;
    use crate::quantized::format::{Q4_0, Q4_K, Q5_K, Q6_K};

    /// The sum of `steps` times four products of the code with 127, as a sub-block forms it without a dot product.
    struct Sum {
        code: u8,
        steps: usize,
    }

    impl ByteVectorized for Sum {
        type Output = f32;

        fn run<B: ByteSimd>(self, simd: B) -> f32 {
            let (code, number) = (simd.splat_byte(self.code), simd.splat_byte(127));
            let mut words = simd.zero();
            for _ in 0..self.steps {
                words = simd.add_words(words, simd.mul_pairs(code, number));
            }
            let sum = simd.dot_words(words, simd.splat_int(0x0001_0001), simd.zero());
            simd.ints_to_floats(sum).reduce_sum() / <B::Float as Simd>::LANES as f32
        }
    }

    /// As many steps as a format adds up in 16 bits are exact for its largest code, and one more is not.
    #[test]
    fn words_hold_as_many_steps_as_are_added_up() {
        let Some(avx2) = Avx2::new() else { return };
        let exact = |code: u8, steps: usize| (4 * 127 * usize::from(code) * steps) as f32;
        for (code, steps) in [(15, Q4_0::STEPS), (15, Q4_K::STEPS), (31, Q5_K::STEPS), (63, Q6_K::STEPS)] {
            assert_eq!(avx2.run_bytes(Sum { code, steps }), exact(code, steps), "{code}");
            assert_ne!(avx2.run_bytes(Sum { code, steps: steps + 1 }), exact(code, steps + 1), "{code}");
        }
    }
}
