//! Weights as 8-bit integers with a scale for each column.

use machine::memory::Buffer;
use op::Threads;
use simd::{Portable, Simd};

use crate::{
    choice::Choice,
    error::{GemmError, LayoutError},
    kernel::CpuKernel,
    matrix::Input,
    rounding::{largest, scale_of},
    shape::Shape,
    tile::LoadTile,
    weights::{Rhs, RightOperand, Source},
};

/// A k x n matrix of 8-bit integers with a scale for each column, for use as B in many products.
///
/// ```text
///   B[p][j] = scale[j] code[p][j]                   A[i][p] ~ dx[i] q[p],  dx[i] = max |A[i]| / 127
///   C[i][j] = dx[i] scale[j] sum over p of q[p] code[p][j]
/// ```
///
/// The rows of A are rounded to 8 bits inside the product, one scale for a row. The sum is an exact integer, whatever
/// kernel forms it and on however many threads, so C has the same bits on all of them. A row of A with a NaN or an
/// infinity gives a row of NaN, and so does a column of B with one. [`multiply_codes`](Self::multiply_codes) multiplies
/// codes by codes and gives the integers.
///
/// ```
/// use gemm::{Gemm, Int8Weights, MatMut, MatRef};
///
/// let weights = [1.0_f32, 0.5, -1.0, 0.25]; // k x n, row by row
/// let weights = Int8Weights::round(MatRef::from_row_major(&weights, 2, 2)?)?;
/// let (x, mut y) = ([2.0_f32, 1.0], [0.0_f32; 2]);
/// Gemm::new(MatRef::from_row_major(&x, 1, 2)?, &weights).run(MatMut::from_row_major(&mut y, 1, 2)?)?;
/// assert!((y[0] - 1.0).abs() < 0.02 && (y[1] - 1.25).abs() < 0.02);
///
/// let mut sums = [0_i32; 2];
/// weights.multiply_codes(&[127, 1], 1, &mut sums, gemm::Threads::SERIAL)?;
/// assert_eq!(sums, [127 * 127 - 127, 127 * 127 + 64]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Int8Weights {
    k: usize,
    n: usize,
    /// Of each column; as many as the panels have, the rest 0.
    scales: Vec<f32>,
    /// The sum of the codes of each column, as many.
    sums: Vec<i32>,
    /// Panels of [`PANEL`](Self::PANEL) columns, one after the other, an even number of them. A step is four numbers of
    /// k: 64 bytes, the four codes of each column next to each other. Steps and columns that do not exist are 0.
    codes: Buffer<i8>,
}

/// Columns of weights.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Int8Columns<'a> {
    pub(crate) weights: &'a Int8Weights,
    pub(crate) first: usize,
    pub(crate) cols: usize,
}

impl Int8Weights {
    /// Columns of a panel.
    pub(crate) const PANEL: usize = 16;

    /// Bytes of a step of a panel.
    pub(crate) const STEP: usize = 4 * Self::PANEL;

    /// Numbers of k are filled up with zeros to a multiple of this: the depth of a tile of AMX.
    pub(crate) const DEPTH: usize = 64;

    /// The largest k: 32 bits hold any sum of so many products of two codes, -128 times -128 included.
    pub const MAX_K: usize = (1 << 17) - 1;

    /// Rounds a k x n matrix: the number of largest magnitude of a column gets the code 127 or -127, and the others the
    /// nearest, ties to even.
    ///
    /// # Errors
    /// [`LayoutError::TooLong`] if k exceeds [`MAX_K`](Self::MAX_K), [`LayoutError::OutOfMemory`].
    pub fn round<'a>(b: impl Into<Input<'a>>) -> Result<Self, LayoutError> {
        let b = b.into();
        let mut weights = Self::zeros(b.rows(), b.cols())?;
        let mut column = vec![0.0; b.rows()];
        let columns = b.t();
        for j in 0..b.cols() {
            Portable.run(LoadTile { from: columns.part(j..j + 1, 0..b.rows()), to: &mut column, stride: b.rows() });
            let (inverse, scale) = scale_of(largest(&column));
            let codes = column.iter().map(|x| (inverse * x).round_ties_even().clamp(-127.0, 127.0) as i8);
            weights.set_column(j, scale, codes);
        }
        Ok(weights)
    }

    /// Takes codes as models store them: n rows of k, and a scale for each of the n, W in y = x W^T.
    ///
    /// # Errors
    /// As [`round`](Self::round); [`LayoutError::OutOfBounds`] if there are fewer than n k codes or n scales.
    pub fn from_codes(codes: &[i8], scales: &[f32], n: usize, k: usize) -> Result<Self, LayoutError> {
        let overflow = LayoutError::Overflow { rows: n, cols: k, row_stride: isize::MAX, col_stride: 1 };
        let need = n.checked_mul(k).ok_or(overflow)?;
        let codes = codes.get(..need).ok_or(LayoutError::OutOfBounds { need, len: codes.len() })?;
        let scales = scales.get(..n).ok_or(LayoutError::OutOfBounds { need: n, len: scales.len() })?;
        let mut weights = Self::zeros(k, n)?;
        for (j, &scale) in scales.iter().enumerate() {
            weights.set_column(j, scale, codes[j * k..][..k].iter().copied());
        }
        Ok(weights)
    }

    /// All codes and scales 0.
    fn zeros(k: usize, n: usize) -> Result<Self, LayoutError> {
        if k > Self::MAX_K {
            return Err(LayoutError::TooLong { got: k, most: Self::MAX_K });
        }
        let full = LayoutError::OutOfMemory { bytes: usize::MAX };
        let width = n.checked_next_multiple_of(2 * Self::PANEL).ok_or(full)?;
        let bytes = width.checked_mul(k.next_multiple_of(Self::DEPTH)).ok_or(full)?;
        let codes = Buffer::zeroed(bytes).map_err(|_| LayoutError::OutOfMemory { bytes })?;
        let (mut scales, mut sums) = (Vec::new(), Vec::new());
        let full = |_| LayoutError::OutOfMemory { bytes: width.saturating_mul(4) };
        scales.try_reserve_exact(width).map_err(full)?;
        sums.try_reserve_exact(width).map_err(full)?;
        scales.resize(width, 0.0);
        sums.resize(width, 0);
        Ok(Self { k, n, scales, sums, codes })
    }

    fn set_column(&mut self, j: usize, scale: f32, codes: impl Iterator<Item = i8>) {
        let first = j / Self::PANEL * self.panel_bytes() + j % Self::PANEL * 4;
        let mut sum = 0;
        for (p, code) in codes.enumerate() {
            self.codes[first + p / 4 * Self::STEP + p % 4] = code;
            sum += i32::from(code);
        }
        (self.scales[j], self.sums[j]) = (scale, sum);
    }

    /// Rows: the length of the sums, k.
    pub fn rows(&self) -> usize {
        self.k
    }

    /// Columns, n.
    pub fn cols(&self) -> usize {
        self.n
    }

    /// The scale of each column.
    pub fn scales(&self) -> &[f32] {
        &self.scales[..self.n]
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.codes.len() + 2 * size_of::<f32>() * self.scales.len()
    }

    /// The code of element (p, j), if there is one.
    pub fn code(&self, p: usize, j: usize) -> Option<i8> {
        if p >= self.k || j >= self.n {
            return None;
        }
        self.codes.get(j / Self::PANEL * self.panel_bytes() + p / 4 * Self::STEP + j % Self::PANEL * 4 + p % 4).copied()
    }

    /// What a product with an A of `m` rows runs.
    pub fn explain(&self, m: usize, threads: Threads) -> Choice {
        CpuKernel::best_for_int8(m).choose_for_int8(Shape { m, n: self.n, k: self.k }, threads)
    }

    /// Multiplies codes by codes, exactly: row i of `sums` gets the sums over p of code p of row i of `a` times
    /// [`code`](Self::code) (p, j). `a` is m rows of k codes and `sums` m rows of n, both without gaps.
    ///
    /// # Errors
    /// [`GemmError::ShapeMismatch`] if the slices are not as long, [`GemmError::OutOfMemory`].
    pub fn multiply_codes(&self, a: &[i8], m: usize, sums: &mut [i32], threads: Threads) -> Result<Choice, GemmError> {
        let (n, k) = (self.n, self.k);
        if m.checked_mul(k) != Some(a.len()) || m.checked_mul(n) != Some(sums.len()) {
            let rows = |len: usize, width: usize| len.checked_div(width).unwrap_or(0);
            let (a, c) = ((rows(a.len(), k), k), (rows(sums.len(), n), n));
            return Err(GemmError::ShapeMismatch { a, b: (k, n), c });
        }
        CpuKernel::best_for_int8(m).multiply_codes(self, (a, m), sums, threads)
    }

    /// Numbers of k that panels have, zeros included.
    pub(crate) fn depth(&self) -> usize {
        self.k.next_multiple_of(Self::DEPTH)
    }

    /// Bytes of a panel.
    pub(crate) fn panel_bytes(&self) -> usize {
        self.depth() * Self::PANEL
    }

    /// Address of the panel that begins with column `col`, a multiple of the panel's width.
    pub(crate) fn panel(&self, col: usize) -> *const u8 {
        debug_assert!(col.is_multiple_of(Self::PANEL) && col < self.scales.len());
        self.codes.as_ptr().cast::<u8>().wrapping_add(col / Self::PANEL * self.panel_bytes())
    }

    /// Scales and sums of codes of two panels from column `col` on.
    pub(crate) fn pair(&self, col: usize) -> (&[f32; 32], &[i32; 32]) {
        match (self.scales[col..].first_chunk(), self.sums[col..].first_chunk()) {
            (Some(scales), Some(sums)) => (scales, sums),
            _ => unreachable!("panels come in pairs"),
        }
    }
}

impl RightOperand for Int8Columns<'_> {
    fn rows(&self) -> usize {
        self.weights.k
    }

    fn cols(&self) -> usize {
        self.cols
    }

    fn split_cols(self, col: usize) -> (Self, Self) {
        let Self { first, cols, .. } = self;
        (Self { cols: col, ..self }, Self { first: first + col, cols: cols - col, ..self })
    }
}

impl Int8Columns<'_> {
    /// Element (p, j), if there is one.
    pub(crate) fn get(&self, p: usize, j: usize) -> Option<f32> {
        let code = self.weights.code(p, (j < self.cols).then_some(self.first + j)?)?;
        Some(f32::from(code) * self.weights.scales[self.first + j])
    }
}

impl<'a> From<&'a Int8Weights> for Rhs<'a> {
    fn from(weights: &'a Int8Weights) -> Self {
        Self(Source::Int8(Int8Columns { weights, first: 0, cols: weights.n }))
    }
}
