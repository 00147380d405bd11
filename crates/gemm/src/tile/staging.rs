//! Tiles that a micro-kernel cannot write to C directly, because C has another type or no contiguous rows, or because
//! of an [`Epilogue`].
//!
//! Such a tile is formed in a small row-major buffer of floats, which stays in the level-1 cache: [`LoadTile`] fills it
//! from C, the micro-kernel adds to it, and [`StoreTile`] applies the epilogue and stores it to C.

use simd::{Element, F32Vector, Simd, Vectorized, math, with_element_type};

use crate::{
    epilogue::{Activation, Bias, Epilogue},
    matrix::{Input, Output},
};

/// Copies a matrix into rows of floats that are `stride` apart.
pub(crate) struct LoadTile<'a, 'b> {
    pub(crate) from: Input<'a>,
    pub(crate) to: &'b mut [f32],
    pub(crate) stride: usize,
}

impl Vectorized for LoadTile<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (rows, cols) = (self.from.rows(), self.from.cols());
        assert!(rows == 0 || self.to.len() >= (rows - 1) * self.stride + cols, "a buffer for the whole matrix");
        for i in 0..rows {
            let to = &mut self.to[i * self.stride..][..cols];
            load_row(simd, self.from.part(i..i + 1, 0..cols), to);
        }
    }
}

/// Copies a matrix of one row, which is as long as `to`.
#[inline(always)]
fn load_row<S: Simd>(simd: S, from: Input<'_>, to: &mut [f32]) {
    let cols = to.len();
    assert!(from.rows() == 1 && from.cols() == cols, "one row of {cols} elements");
    with_element_type!(from.element_type(), T => {
        let origin = from.as_ptr().cast::<T>();
        if from.col_stride() == 1 {
            let mut j = 0;
            while j + S::LANES <= cols {
                // SAFETY: the row has `cols` adjacent elements, and `to` as many floats; LANES are left from j on.
                unsafe { T::load(simd, origin.add(j)).store(to.as_mut_ptr().add(j)) }
                j += S::LANES;
            }
            if j < cols {
                let lanes = cols - j;
                // SAFETY: as above; `lanes` are left from j on.
                unsafe { T::load_partial(simd, origin.add(j), lanes).store_partial(to.as_mut_ptr().add(j), lanes) }
            }
        } else {
            for j in 0..cols {
                // SAFETY: column j exists.
                to[j] = unsafe { *origin.offset(j as isize * from.col_stride()) }.to_f32();
            }
        }
    });
}

/// Stores a tile to C: out <- act(tile + bias) + residual. The tile's rows are `stride` apart; its values are
/// overwritten.
pub(crate) struct StoreTile<'a, 'b> {
    pub(crate) tile: &'b mut [f32],
    pub(crate) stride: usize,
    /// Of the part of C that the tile is.
    pub(crate) epilogue: Epilogue<'a>,
    pub(crate) out: Output<'b>,
}

/// Floats of a row that are handled together. The residual's row is widened into a buffer of as many.
const STRIP: usize = 64;

impl Vectorized for StoreTile<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let (rows, cols) = (self.out.rows(), self.out.cols());
        assert!(rows == 0 || self.tile.len() >= (rows - 1) * self.stride + cols, "a tile as large as the output");
        // Cutting an epilogue costs more than a function of a strip.
        let is_whole = !self.epilogue.has_operands();
        let (origin, row_stride, col_stride) = (self.out.as_mut_ptr(), self.out.row_stride(), self.out.col_stride());
        for i in 0..rows {
            let mut start = 0;
            while start < cols {
                let end = cols.min(start + STRIP);
                let strip = &mut self.tile[i * self.stride + start..i * self.stride + end];
                if is_whole {
                    apply(simd, strip, &self.epilogue);
                } else {
                    apply(simd, strip, &self.epilogue.part(i..i + 1, start..end));
                }
                with_element_type!(self.out.element_type(), T => {
                    let at = i as isize * row_stride + start as isize * col_stride;
                    // SAFETY: the output is borrowed exclusively, and has row i and columns `start` to `end`.
                    unsafe { store_row(simd, strip, origin.cast::<T>().offset(at), col_stride) }
                });
                start = end;
            }
        }
    }
}

/// x <- act(x + bias) + residual for a part of a row, at most [`STRIP`] floats.
#[inline(always)]
fn apply<S: Simd>(simd: S, strip: &mut [f32], epilogue: &Epilogue<'_>) {
    if epilogue.is_none() {
        return;
    }
    let mut residual = [0.0; STRIP];
    let has_residual = match epilogue.residual_matrix() {
        Some(from) => {
            load_row(simd, from, &mut residual[..strip.len()]);
            true
        }
        None => false,
    };
    let mut j = 0;
    while j < strip.len() {
        let lanes = S::LANES.min(strip.len() - j);
        // SAFETY: `lanes` floats are left in the strip from j on.
        let mut x = unsafe { simd.load_partial(strip.as_ptr().add(j), lanes) };
        match epilogue.bias {
            None => {}
            Some(Bias::PerRow(bias)) => x = x + simd.splat(bias[0]),
            // SAFETY: the bias is sliced to `lanes` floats.
            Some(Bias::PerColumn(bias)) => x = x + unsafe { simd.load_partial(bias[j..][..lanes].as_ptr(), lanes) },
        }
        x = match epilogue.activation {
            Activation::Identity => x,
            Activation::Gelu => math::gelu(simd, x),
            Activation::SquaredRelu => math::squared_relu(simd, x),
            Activation::Tanh => math::tanh(simd, x),
        };
        if has_residual {
            // SAFETY: the buffer is as long as the longest strip.
            x = x + unsafe { simd.load_partial(residual.as_ptr().add(j), lanes) };
        }
        // SAFETY: `lanes` floats are left in the strip from j on.
        unsafe { x.store_partial(strip.as_mut_ptr().add(j), lanes) };
        j += S::LANES;
    }
}

/// Rounds a row to its type and stores it to elements that are `col_stride` apart.
///
/// # Safety
/// As many elements as the strip has floats can be written at `to`.
#[inline(always)]
unsafe fn store_row<S: Simd, T: Element>(simd: S, strip: &[f32], to: *mut T, col_stride: isize) {
    if col_stride != 1 {
        for (j, &x) in strip.iter().enumerate() {
            // SAFETY: the caller promises element j.
            unsafe { *to.offset(j as isize * col_stride) = T::from_f32(x) }
        }
        return;
    }
    let (from, mut j) = (strip.as_ptr(), 0);
    while j + S::LANES <= strip.len() {
        // SAFETY: LANES floats are left in the strip from j on, and as many elements at `to`.
        unsafe { T::store(simd, simd.load(from.add(j)), to.add(j)) }
        j += S::LANES;
    }
    if j < strip.len() {
        let lanes = strip.len() - j;
        // SAFETY: `lanes` floats are left in the strip from j on, and as many elements at `to`.
        unsafe { T::store_partial(simd, simd.load_partial(from.add(j), lanes), to.add(j), lanes) }
    }
}
