//! Unpacking: from rows of blocks to a panel.

use simd::{ByteSimd, ByteVectorized, Simd};

use super::{Layout, OTHERS, SLAB, layout, panel_floats, width};
use crate::{
    quantized::{
        dots::LONGEST,
        format::{Factors, Format, GROUPS, QK},
    },
    weights::QMatRef,
};

/// Unpacks blocks of a few rows of weights into a panel.
pub(super) struct Unpack<'a, 'p, F> {
    pub(super) weights: QMatRef<'a>,
    /// First and count, at most the panel's width.
    pub(super) cols: (usize, usize),
    /// The first block, and how many.
    pub(super) first: usize,
    pub(super) count: usize,
    pub(super) panel: &'p mut [f32],
    pub(super) format: std::marker::PhantomData<F>,
}

impl<F: Format> ByteVectorized for Unpack<'_, '_, F> {
    type Output = ();

    #[inline(always)]
    fn run<B: ByteSimd>(self, simd: B) {
        let Self { weights, cols: (first_col, cols), first, count, panel, .. } = self;
        let nr = width::<B>();
        let Layout { scales, others } = layout::<B>();
        assert!(panel.len() >= panel_floats::<B>() && cols <= nr && count <= SLAB);
        assert!(weights.ggml_type() == F::TYPE && first_col + cols <= weights.rows());
        let mut columns = Columns::ZERO;
        for block in 0..count {
            for four in (0..nr).step_by(4) {
                // Columns beyond the last are 0, and so are their scales: what they sum up to is not stored.
                if four + 4 > cols {
                    columns = Columns::ZERO;
                }
                for i in 0..4.min(cols.saturating_sub(four)) {
                    let row = weights.row(first_col + four + i);
                    let bytes = &row[(first + block) * F::BYTES..];
                    let mut rest = [0; LONGEST];
                    let at = match bytes.len() >= F::BYTES {
                        true => bytes.as_ptr(),
                        false => {
                            rest[..bytes.len()].copy_from_slice(bytes);
                            rest.as_ptr()
                        }
                    };
                    // SAFETY: as many bytes as a block has can be read, of the row or of the copy.
                    unsafe { columns.unpack::<B, F>(simd, i, at) };
                }
                let codes = &mut panel[block * nr * (QK / 4)..][..nr * (QK / 4)];
                transpose(simd, columns.words(), 64, &mut codes[four..], nr);
                let scales = &mut panel[scales + block * nr * GROUPS..][..nr * GROUPS];
                let words: &[f32] = bytemuck::cast_slice(columns.scales.as_flattened());
                transpose(simd, words, GROUPS, &mut scales[four..], nr);
                if F::HAS_ONE_SCALE {
                    let others = &mut panel[others + block * nr * OTHERS..][..nr * OTHERS];
                    let words: &[f32] = bytemuck::cast_slice(columns.others.as_flattened());
                    transpose(simd, words, OTHERS, &mut others[four..], nr);
                }
            }
        }
    }
}

/// A block of each of four columns.
#[repr(C, align(64))]
struct Columns {
    /// In the order of sub-blocks.
    codes: [[u8; QK]; 4],
    scales: [[u32; GROUPS]; 4],
    others: [[u32; OTHERS]; 4],
}

impl Columns {
    const ZERO: Self = Self { codes: [[0; QK]; 4], scales: [[0; GROUPS]; 4], others: [[0; OTHERS]; 4] };

    /// # Safety
    /// A block of the format can be read at `at`.
    #[inline(always)]
    unsafe fn unpack<B: ByteSimd, F: Format>(&mut self, simd: B, i: usize, at: *const u8) {
        // SAFETY: the caller promises the block.
        let (registers, factors) = unsafe { (F::codes(simd, at), F::factors(simd, at)) };
        let Factors { scales, mins: [a, b, c, d], d: [of_scales, of_mins] } = factors;
        self.scales[i] = scales;
        self.others[i] = [a, b, c, d, of_scales.to_bits(), of_mins.to_bits(), 0, 0];
        let mut stored = Line([0; QK]);
        // Sub-blocks of two groups that are not adjacent are put together.
        let is_in_order = F::SUB == 16 || F::SUB_GROUPS[0][1] == 1;
        let to = if is_in_order { &mut self.codes[i] } else { &mut stored.0 };
        for j in 0..QK / B::BYTES {
            // Where the instruction takes any unsigned code, signed ones get an offset.
            let codes = match F::IS_SIGNED && B::HAS_DOT {
                true => simd.xor(registers[j], simd.splat_byte(F::OFFSET as u8)),
                false => registers[j],
            };
            // SAFETY: there is room for 256 codes.
            unsafe { simd.store_bytes(codes, to.as_mut_ptr().add(B::BYTES * j)) };
        }
        if !is_in_order {
            let (from, _) = stored.0.as_chunks::<16>();
            let (to, _) = self.codes[i].as_chunks_mut::<16>();
            for j in 0..8 {
                let [first, last] = F::SUB_GROUPS[j];
                (to[2 * j], to[2 * j + 1]) = (from[first], from[last]);
            }
        }
    }

    /// Each four codes of a column, as the bits of a float.
    fn words(&self) -> &[f32] {
        bytemuck::cast_slice(self.codes.as_flattened())
    }
}

/// Codes on a boundary that whole registers are stored to.
#[repr(C, align(64))]
struct Line([u8; QK]);

/// Transposes four rows of `len` floats, a multiple of 8, to rows of 4 that are `stride` apart. Bits stay as they are.
#[inline(always)]
fn transpose<B: ByteSimd>(simd: B, from: &[f32], len: usize, to: &mut [f32], stride: usize) {
    assert!(from.len() >= 4 * len && len.is_multiple_of(8) && to.len() >= (len - 1) * stride + 4);
    for p in (0..len).step_by(8) {
        // SAFETY: floats p..p + 8 of the four rows exist, and so do 4 floats of rows p..p + 8 of the other matrix.
        unsafe {
            let (from, to) = (from.as_ptr().add(p), to.as_mut_ptr().add(p * stride));
            simd.float().transpose_4x8::<f32>(from, len as isize, to, stride);
        }
    }
}
