//! Matrices that a proof reads: any type, any layout.

/// A matrix to read from.
pub trait Matrix {
    /// Rows and columns.
    fn shape(&self) -> (usize, usize);

    /// The element at `row` and `column`, both within the shape.
    fn at(&self, row: usize, column: usize) -> f64;

    /// Whether a column is read faster than a row. A proof reads whichever is faster.
    fn is_column_major(&self) -> bool {
        false
    }

    /// Copies a row to `out`, which has as many elements as the matrix has columns. Worth overriding where elements are
    /// decoded in blocks.
    fn row(&self, row: usize, out: &mut [f64]) {
        for (column, value) in out.iter_mut().enumerate() {
            *value = self.at(row, column);
        }
    }

    /// Copies a column to `out`, which has as many elements as the matrix has rows.
    fn column(&self, column: usize, out: &mut [f64]) {
        for (row, value) in out.iter_mut().enumerate() {
            *value = self.at(row, column);
        }
    }
}

/// A matrix given by its shape and a function of row and column.
///
/// ```
/// use proof::product::{Matrix, View};
/// let memory = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0];
/// let column_major = View::new(3, 2, |i, j| f64::from(memory[j * 3 + i])).column_major();
/// assert_eq!(column_major.at(2, 1), 6.0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct View<F> {
    rows: usize,
    columns: usize,
    at: F,
    column_major: bool,
}

impl<F: Fn(usize, usize) -> f64> View<F> {
    /// `rows` × `columns` elements, read by `at(row, column)`; neighbors in a row are taken to be neighbors in memory.
    pub fn new(rows: usize, columns: usize, at: F) -> Self {
        Self { rows, columns, at, column_major: false }
    }

    /// The same matrix, with neighbors in a column being neighbors in memory.
    pub fn column_major(self) -> Self {
        Self { column_major: true, ..self }
    }
}

impl<F: Fn(usize, usize) -> f64> Matrix for View<F> {
    fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        (self.at)(row, column)
    }

    fn is_column_major(&self) -> bool {
        self.column_major
    }
}

/// A row-major f32 matrix, `ld` elements from row to row. Reading beyond `memory` panics.
pub fn row_major(memory: &[f32], rows: usize, columns: usize, ld: usize) -> View<impl Fn(usize, usize) -> f64> {
    View::new(rows, columns, move |i, j| f64::from(memory[i * ld + j]))
}

/// The transpose of a matrix, without a copy: W of y = xWᵀ.
#[derive(Clone, Copy)]
pub struct Transposed<'a>(pub &'a dyn Matrix);

impl Matrix for Transposed<'_> {
    fn shape(&self) -> (usize, usize) {
        let (rows, columns) = self.0.shape();
        (columns, rows)
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        self.0.at(column, row)
    }

    fn is_column_major(&self) -> bool {
        !self.0.is_column_major()
    }

    fn row(&self, row: usize, out: &mut [f64]) {
        self.0.column(row, out);
    }

    fn column(&self, column: usize, out: &mut [f64]) {
        self.0.row(column, out);
    }
}
