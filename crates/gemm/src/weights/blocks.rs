//! Weights in blocks of a GGML type, as model files store them.

use op::Threads;
use quant::GgmlType;
use simd::{Element, bf16, f16};

use crate::{
    choice::Choice,
    error::LayoutError,
    kernel::CpuKernel,
    matrix::MatRef,
    shape::Shape,
    weights::{Rhs, RightOperand, Source},
};

/// Weights in the blocks of a GGML type: n rows of k numbers, one after the other, as a tensor of a GGUF file. As B
/// they are the transpose, k x n: y = x W^T.
///
/// It is a view of bytes at any alignment, so a mapped file is multiplied as it lies. Types are Q4_0, Q8_0, Q4_K, Q5_K
/// and Q6_K; for F32, F16 and BF16 see [`Rhs::from_ggml`].
///
/// The numbers of A are rounded to 8 bits inside the product, in the same blocks along k: 256 numbers share a scale for
/// the K types, 32 for Q4_0 and Q8_0. Products of a block are summed as integers, which is exact, and blocks as f32. A
/// row of A with a NaN or an infinity gives a row of NaN.
///
/// ```
/// use gemm::{Gemm, MatMut, MatRef, QMatRef};
/// use quant::{GgmlType, quantize};
///
/// // Two rows of 32 weights.
/// let weights: Vec<f32> = (0..64).map(|i| (i % 5) as f32 - 2.0).collect();
/// let mut bytes = vec![0; 2 * GgmlType::Q8_0.row_bytes(32)?];
/// quantize(GgmlType::Q8_0, &weights, &mut bytes)?;
/// let weights = QMatRef::from_bytes(GgmlType::Q8_0, &bytes, 2, 32)?;
///
/// let (x, mut y) = ([1.0_f32; 32], [0.0_f32; 2]);
/// Gemm::new(MatRef::from_row_major(&x, 1, 32)?, weights).run(MatMut::from_row_major(&mut y, 1, 2)?)?;
/// assert!((y[0] + 3.0).abs() < 0.1 && (y[1] - 1.0).abs() < 0.1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct QMatRef<'a> {
    ty: GgmlType,
    /// `n` rows of `row_bytes` bytes.
    bytes: &'a [u8],
    n: usize,
    k: usize,
    row_bytes: usize,
}

impl<'a> QMatRef<'a> {
    /// The types that a product takes as blocks.
    pub const TYPES: [GgmlType; 5] = [GgmlType::Q4_K, GgmlType::Q5_K, GgmlType::Q6_K, GgmlType::Q8_0, GgmlType::Q4_0];

    /// `rows` (n) rows of `cols` (k) numbers.
    ///
    /// # Errors
    /// [`LayoutError::BlockType`] for a type that is not one of [`TYPES`](Self::TYPES), [`LayoutError::BlockLength`] if
    /// `cols` is not a multiple of its block length, [`LayoutError::OutOfBounds`] if there are fewer bytes than that
    /// many blocks take; bytes behind them are ignored.
    pub fn from_bytes(ty: GgmlType, bytes: &'a [u8], rows: usize, cols: usize) -> Result<Self, LayoutError> {
        if !Self::TYPES.contains(&ty) {
            return Err(LayoutError::BlockType { ty });
        }
        let (n, k) = (rows, cols);
        let (row_bytes, need) = row_and_all_bytes(ty, n, k)?;
        let bytes = bytes.get(..need).ok_or(LayoutError::OutOfBounds { need, len: bytes.len() })?;
        Ok(Self { ty, bytes, n, k, row_bytes })
    }

    /// Rows of W, columns of B: n.
    pub fn rows(&self) -> usize {
        self.n
    }

    /// Columns of W, rows of B: k.
    pub fn cols(&self) -> usize {
        self.k
    }

    /// The type of the blocks.
    pub fn ggml_type(&self) -> GgmlType {
        self.ty
    }

    /// The blocks of all rows.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes of a row.
    pub fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// The blocks of row `j`; empty if there is none.
    #[inline(always)]
    pub fn row(&self, j: usize) -> &'a [u8] {
        let start = j.min(self.n) * self.row_bytes;
        &self.bytes[start..][..if j < self.n { self.row_bytes } else { 0 }]
    }

    /// What a product with an A of `m` rows runs.
    pub fn explain(&self, m: usize, threads: Threads) -> Choice {
        let shape = Shape { m, n: self.n, k: self.k };
        CpuKernel::best_for_blocks().choose_for_blocks(shape, self.ty, threads)
    }

    /// Number `p` of row `j`, if there is one.
    pub(crate) fn get(&self, j: usize, p: usize) -> Option<f32> {
        if p >= self.k {
            return None;
        }
        let (len, size) = (self.ty.block_len(), self.ty.block_bytes());
        let block = self.row(j).get(p / len * size..)?.get(..size)?;
        let mut numbers = [0.0; quant::QK_K];
        let numbers = &mut numbers[..len];
        quant::dequantize(self.ty, block, numbers).ok()?;
        Some(numbers[p % len])
    }
}

/// Bytes of a row of `k` numbers, and of `n` rows.
fn row_and_all_bytes(ty: GgmlType, n: usize, k: usize) -> Result<(usize, usize), LayoutError> {
    let need = ty.block_len();
    if !k.is_multiple_of(need) {
        return Err(LayoutError::BlockLength { ty, got: k, need });
    }
    let overflow = LayoutError::Overflow { rows: n, cols: k, row_stride: isize::MAX, col_stride: 1 };
    let row = ty.row_bytes(k).map_err(|_| overflow)?;
    Ok((row, row.checked_mul(n).filter(|&bytes| bytes <= isize::MAX as usize).ok_or(overflow)?))
}

impl RightOperand for QMatRef<'_> {
    fn rows(&self) -> usize {
        self.k
    }

    fn cols(&self) -> usize {
        self.n
    }

    fn split_cols(self, col: usize) -> (Self, Self) {
        let (left, right) = self.bytes.split_at(col * self.row_bytes);
        (Self { bytes: left, n: col, ..self }, Self { bytes: right, n: self.n - col, ..self })
    }
}

impl<'a> From<QMatRef<'a>> for Rhs<'a> {
    fn from(blocks: QMatRef<'a>) -> Self {
        Self(Source::Blocks(blocks))
    }
}

impl<'a> Rhs<'a> {
    /// The weights of a tensor of a GGUF file, `rows` (n) rows of `cols` (k) numbers, as B = W^T: blocks for the types
    /// of [`QMatRef`], and a matrix for F32, F16 and BF16.
    ///
    /// # Errors
    /// As [`QMatRef::from_bytes`]; [`LayoutError::Misaligned`] for numbers that do not lie at a multiple of their size,
    /// which those of a GGUF file do.
    pub fn from_ggml(ty: GgmlType, bytes: &'a [u8], rows: usize, cols: usize) -> Result<Self, LayoutError> {
        match ty {
            GgmlType::F32 => plain::<f32>(ty, bytes, rows, cols),
            GgmlType::F16 => plain::<f16>(ty, bytes, rows, cols),
            GgmlType::BF16 => plain::<bf16>(ty, bytes, rows, cols),
            _ => QMatRef::from_bytes(ty, bytes, rows, cols).map(Self::from),
        }
    }
}

/// Numbers that are not in blocks. They are little-endian, as the hosts are that this crate has kernels for.
fn plain<'a, T: Element>(ty: GgmlType, bytes: &'a [u8], n: usize, k: usize) -> Result<Rhs<'a>, LayoutError> {
    const { assert!(cfg!(target_endian = "little"), "numbers of files are read as they lie") };
    let (_, need) = row_and_all_bytes(ty, n, k)?;
    let bytes = bytes.get(..need).ok_or(LayoutError::OutOfBounds { need, len: bytes.len() })?;
    if !bytes.as_ptr().cast::<T>().is_aligned() && !bytes.is_empty() {
        return Err(LayoutError::Misaligned { ty, need: align_of::<T>() });
    }
    let mut numbers: &[T] = &[];
    if !bytes.is_empty() {
        // SAFETY: any bits are a number, the bytes are aligned for them, and `need` is their number times their size.
        numbers = unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast::<T>(), n * k) };
    }
    Ok(MatRef::from_col_major(numbers, k, n)?.into())
}
