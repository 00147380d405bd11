//! Tiles on their way between registers and C, where a micro-kernel cannot form them in place: C is stored as another
//! type, has no contiguous rows, or something is to be done to its elements first ([`Epilogue`]).
//!
//! A tile then lies in a small row-major buffer of floats, which stays in the level-1 cache: [`Gather`] fills it from C,
//! the micro-kernel adds to it, and [`Finish`] takes it to C.

use crate::{
    element::{Element, sealed::Storage, with_type},
    epilogue::{Activation, Bias, Epilogue},
    math,
    operand::{Input, Output},
    vector::{Vector, Vectorized},
};

/// Copies a matrix into rows of floats that are `stride` apart.
pub(crate) struct Gather<'a, 'b> {
    pub(crate) from: Input<'a>,
    pub(crate) to: &'b mut [f32],
    pub(crate) stride: usize,
}

impl Vectorized for Gather<'_, '_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let (rows, cols) = (self.from.rows(), self.from.cols());
        assert!(rows == 0 || self.to.len() >= (rows - 1) * self.stride + cols, "a buffer for the whole matrix");
        for i in 0..rows {
            let to = self.to[i * self.stride..].as_mut_ptr();
            // SAFETY: the machine has V; `cols` floats can be written.
            unsafe { row::<V>(self.from.part(i..i + 1, 0..cols), to) }
        }
    }
}

/// Copies a matrix of one row.
///
/// # Safety
/// The machine has V's instruction set, and as many floats can be written as the matrix has columns.
#[inline(always)]
unsafe fn row<V: Vector>(from: Input<'_>, to: *mut f32) {
    let cols = from.cols();
    with_type!(from.element_type(), T => {
        let origin = from.as_ptr().cast::<T>();
        if from.col_stride() == 1 {
            let mut j = 0;
            while j < cols {
                let lanes = V::LANES.min(cols - j);
                // SAFETY: `cols` adjacent elements, and as many floats.
                unsafe { <T as Storage>::load_first::<V>(origin.add(j), lanes).store_first(to.add(j), lanes) }
                j += V::LANES;
            }
        } else {
            for j in 0..cols {
                // SAFETY: column j exists.
                unsafe { *to.add(j) = (*origin.offset(j as isize * from.col_stride())).to_f32() }
            }
        }
    });
}

/// Takes a tile to C: out <- act(tile + bias) + residual. The tile's rows are `stride` apart; it is used up.
pub(crate) struct Finish<'a, 'b> {
    pub(crate) tile: &'b mut [f32],
    pub(crate) stride: usize,
    /// Of the part of C that the tile is.
    pub(crate) epilogue: Epilogue<'a>,
    pub(crate) out: Output<'b>,
}

/// Floats of a row that are handled together; the residual's row is widened into a buffer of so many.
const STRIP: usize = 64;

impl Vectorized for Finish<'_, '_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(mut self) {
        let (rows, cols) = (self.out.rows(), self.out.cols());
        assert!(rows == 0 || self.tile.len() >= (rows - 1) * self.stride + cols, "a tile as large as the output");
        for i in 0..rows {
            let mut start = 0;
            while start < cols {
                let end = cols.min(start + STRIP);
                let strip = &mut self.tile[i * self.stride + start..i * self.stride + end];
                let epilogue = self.epilogue.part(i..i + 1, start..end);
                // SAFETY: the machine has V, and the strip is as wide as its epilogue and its part of the output.
                unsafe {
                    apply::<V>(strip, &epilogue);
                    write::<V>(strip, self.out.reborrow().part(i..i + 1, start..end));
                }
                start = end;
            }
        }
    }
}

/// x <- act(x + bias) + residual for a part of a row, at most [`STRIP`] floats.
///
/// # Safety
/// The machine has V's instruction set.
#[inline(always)]
unsafe fn apply<V: Vector>(strip: &mut [f32], epilogue: &Epilogue<'_>) {
    if epilogue.is_none() {
        return;
    }
    let mut residual = [0.0; STRIP];
    if let Some(from) = epilogue.residual {
        debug_assert!(from.cols() == strip.len() && strip.len() <= STRIP);
        // SAFETY: the strip is at most as wide as the buffer.
        unsafe { row::<V>(from, residual.as_mut_ptr()) }
    }
    let mut j = 0;
    while j < strip.len() {
        let lanes = V::LANES.min(strip.len() - j);
        // SAFETY: `lanes` floats from j on are in the strip, in the bias of its columns, and in the buffer.
        unsafe {
            let at = strip.as_mut_ptr().add(j);
            let mut x = V::load_first(at, lanes);
            match epilogue.bias {
                None => {}
                Some(Bias::PerRow(bias)) => x = x.add(V::splat(bias[0])),
                Some(Bias::PerColumn(bias)) => x = x.add(V::load_first(bias[j..].as_ptr(), lanes)),
            }
            x = match epilogue.activation {
                Activation::Identity => x,
                Activation::Gelu => math::gelu(x),
                Activation::SquaredRelu => math::squared_relu(x),
                Activation::Tanh => math::tanh(x),
            };
            if epilogue.residual.is_some() {
                x = x.add(V::load_first(residual.as_ptr().add(j), lanes));
            }
            x.store_first(at, lanes);
        }
        j += V::LANES;
    }
}

/// Rounds a row to its type.
///
/// # Safety
/// The machine has V's instruction set, and the output is one row as wide as the strip.
#[inline(always)]
unsafe fn write<V: Vector>(strip: &[f32], mut out: Output<'_>) {
    let (cols, col_stride) = (strip.len(), out.col_stride());
    with_type!(out.element_type(), T => {
        let to = out.as_mut_ptr().cast::<T>();
        if col_stride == 1 {
            let mut j = 0;
            while j < cols {
                let lanes = V::LANES.min(cols - j);
                // SAFETY: `cols` adjacent elements, and as many floats.
                unsafe { <T as Storage>::store_first(V::load_first(strip.as_ptr().add(j), lanes), to.add(j), lanes) }
                j += V::LANES;
            }
        } else {
            for (j, &x) in strip.iter().enumerate() {
                // SAFETY: column j exists.
                unsafe { *to.offset(j as isize * col_stride) = T::from_f32(x) }
            }
        }
    });
}
