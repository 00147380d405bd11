//! Matrices of weights, as they lie in the file or converted.

use std::ops::Range;

use gemm::{LayoutError, MatRef, Rhs};
use quant::GgmlType;

/// A matrix of weights, rows x columns: a product takes a row of x with `cols` numbers to `rows` numbers.
#[derive(Debug)]
pub struct Matrix<'a> {
    data: Data<'a>,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
}

#[derive(Debug)]
enum Data<'a> {
    /// Bytes of the file.
    Stored(GgmlType, &'a [u8]),
    Converted(Vec<f32>),
}

impl<'a> Matrix<'a> {
    /// As the file has it.
    pub(crate) fn of_bytes(ty: GgmlType, bytes: &'a [u8], rows: usize, cols: usize) -> Self {
        Self { data: Data::Stored(ty, bytes), rows, cols }
    }

    /// One of floats.
    pub(crate) fn converted(floats: Vec<f32>, rows: usize, cols: usize) -> Self {
        Self { data: Data::Converted(floats), rows, cols }
    }

    /// Numbers of the result of a product.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Numbers that a product sums over.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The type in which it is stored, and its bytes: row by row, without gaps.
    pub fn stored(&self) -> (GgmlType, &[u8]) {
        match &self.data {
            Data::Stored(ty, bytes) => (*ty, bytes),
            Data::Converted(floats) => (GgmlType::F32, bytemuck::cast_slice(floats)),
        }
    }

    /// As the right operand of a product.
    pub(crate) fn rhs(&self) -> Result<Rhs<'_>, LayoutError> {
        Ok(match &self.data {
            Data::Stored(ty, bytes) => Rhs::from_ggml(*ty, bytes, self.rows, self.cols)?,
            Data::Converted(floats) => MatRef::from_col_major(floats, self.cols, self.rows)?.into(),
        })
    }

    /// Some rows of it, as the right operand of a product.
    pub(crate) fn rhs_of(&self, rows: Range<usize>) -> Result<Rhs<'_>, LayoutError> {
        let count = rows.len();
        Ok(match &self.data {
            Data::Stored(ty, bytes) => {
                let row_bytes = bytes.len() / self.rows;
                Rhs::from_ggml(*ty, &bytes[rows.start * row_bytes..rows.end * row_bytes], count, self.cols)?
            }
            Data::Converted(floats) => {
                let floats = &floats[rows.start * self.cols..rows.end * self.cols];
                MatRef::from_col_major(floats, self.cols, count)?.into()
            }
        })
    }

    /// Bytes that a product reads.
    pub(crate) fn bytes(&self) -> usize {
        match &self.data {
            Data::Stored(_, bytes) => bytes.len(),
            Data::Converted(floats) => size_of_val::<[f32]>(floats),
        }
    }

    /// Row `row` as floats; `out` has `cols` of them.
    pub(crate) fn row(&self, row: usize, out: &mut [f32]) {
        match &self.data {
            Data::Stored(ty, bytes) => {
                let row_bytes = bytes.len() / self.rows;
                // The type and the length were checked when the matrix was made.
                let _ = quant::dequantize(*ty, &bytes[row * row_bytes..][..row_bytes], out);
            }
            Data::Converted(floats) => out.copy_from_slice(&floats[row * self.cols..][..self.cols]),
        }
    }
}
