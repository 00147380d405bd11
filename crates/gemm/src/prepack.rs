//! Weights packed once and used often: [`PackedB`], and [`Rhs`], a B of either kind.

use crate::{
    choice::Token,
    element::{Element, Type, with_type},
    error::GemmError,
    operand::Input,
    view::MatRef,
    workspace::Workspace,
};

/// A k x n matrix in the order in which this machine's fastest kernel reads it, for use as B in many products.
///
/// A product with it packs nothing but A, and reads the weights from front to back. It takes as much memory as the
/// matrix, rounded up to whole panels, in the matrix's own element type. The result has the bits that a product with the
/// matrix itself has, except where that one is formed by dot products ([`Path::Dot`](crate::Path::Dot),
/// [`Path::Axpy`](crate::Path::Axpy)).
///
/// ```
/// use gemm::{MatMut, MatRef, PackedB, Parallelism, gemm};
///
/// let weights = [1.0_f32, 0.0, 0.0, 1.0, 1.0, 1.0]; // 3 x 2
/// let packed = PackedB::new(MatRef::from_row_major(&weights, 3, 2)?)?;
/// let (x, mut y) = ([1.0_f32, 2.0, 3.0], [0.0_f32; 2]);
/// gemm(Parallelism::Serial, 1.0, MatRef::from_row_major(&x, 1, 3)?, &packed, 0.0, MatMut::from_row_major(&mut y, 1, 2)?)?;
/// assert_eq!(y, [4.0, 5.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PackedB {
    token: Token,
    k: usize,
    n: usize,
    element: Type,
    /// Steps of a stretch of k, and columns of a panel.
    kc: usize,
    nr: usize,
    /// For each stretch of k, panel after panel, `nr` elements per step.
    memory: Workspace,
}

impl PackedB {
    /// Packs a matrix for the fastest kernel of this machine.
    ///
    /// # Errors
    /// [`GemmError::OutOfMemory`] if there is none for the panels.
    pub fn new<'a>(b: impl Into<Input<'a>>) -> Result<Self, GemmError> {
        Self::with_token(Token::best(), b.into())
    }

    pub(crate) fn with_token(token: Token, b: Input<'_>) -> Result<Self, GemmError> {
        let (k, n, element) = (b.rows(), b.cols(), b.element_type());
        let (kc, nr) = token.panels_of_b(k);
        let full = GemmError::OutOfMemory { bytes: usize::MAX };
        let elements = n.checked_next_multiple_of(nr).and_then(|width| width.checked_mul(k)).ok_or(full)?;
        let bytes = elements.checked_mul(element.bytes()).ok_or(full)?;
        let mut memory = Workspace::new();
        let floats = memory.floats(bytes.div_ceil(size_of::<f32>()))?;
        with_type!(element, E => if let Some(b) = b.typed::<E>() {
            // SAFETY: the floats hold at least so many elements, are aligned for them, and any bits are a number.
            let panels = unsafe { std::slice::from_raw_parts_mut(floats.as_mut_ptr().cast::<E>(), elements) };
            // Without elements, it may have any number of rows.
            if !panels.is_empty() {
                fill(b, kc, nr, panels);
            }
        });
        Ok(Self { token, k, n, element, kc, nr, memory })
    }

    /// Rows of the matrix: the length of the sums.
    pub fn rows(&self) -> usize {
        self.k
    }

    /// Columns of the matrix.
    pub fn cols(&self) -> usize {
        self.n
    }

    /// What its elements are stored as.
    pub fn element_type(&self) -> Type {
        self.element
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.memory.bytes()
    }

    pub(crate) fn token(&self) -> Token {
        self.token
    }

    /// Address of the panel of the column `col`, a multiple of the panel's width, in the stretch of k that begins with
    /// `step`.
    pub(crate) fn panel(&self, step: usize, col: usize) -> *const u8 {
        debug_assert!(step.is_multiple_of(self.kc) && col.is_multiple_of(self.nr) && step < self.k && col < self.n);
        let elements = step * self.n.next_multiple_of(self.nr) + col * self.depth(step);
        self.memory.as_ptr().wrapping_add(elements * self.element.bytes())
    }

    /// Steps of the stretch that begins with `step`.
    fn depth(&self, step: usize) -> usize {
        self.kc.min(self.k - step)
    }

    /// Element (p, j), if there is one.
    pub fn get(&self, p: usize, j: usize) -> Option<f32> {
        if p >= self.k || j >= self.n {
            return None;
        }
        let step = p - p % self.kc;
        let place = (p - step) * self.nr + j % self.nr;
        let panel = self.panel(step, j - j % self.nr);
        // SAFETY: the panel has `nr` elements of this type per step of its stretch.
        Some(with_type!(self.element, E => unsafe { (*panel.cast::<E>().add(place)).to_f32() }))
    }
}

/// Copies B into panels; what is beyond its last column becomes 0.
fn fill<E: Element>(b: MatRef<'_, E>, kc: usize, nr: usize, panels: &mut [E]) {
    let (k, n) = (b.rows(), b.cols());
    let mut rest = panels;
    for step in (0..k).step_by(kc) {
        let steps = step..k.min(step + kc);
        for col in (0..n).step_by(nr) {
            let (panel, after) = rest.split_at_mut(steps.len() * nr);
            for (p, to) in steps.clone().zip(panel.chunks_exact_mut(nr)) {
                for (j, to) in to.iter_mut().enumerate() {
                    *to = b.get(p, col + j).copied().unwrap_or_else(|| E::from_f32(0.0));
                }
            }
            rest = after;
        }
    }
}

/// The right factor of a product: a matrix as it lies, or a [`PackedB`].
#[derive(Debug, Clone, Copy)]
pub struct Rhs<'a>(pub(crate) Source<'a>);

#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'a> {
    Matrix(Input<'a>),
    /// The columns `first..first + cols`.
    Packed {
        packed: &'a PackedB,
        first: usize,
        cols: usize,
    },
}

impl<'a> From<Input<'a>> for Rhs<'a> {
    fn from(b: Input<'a>) -> Self {
        Self(Source::Matrix(b))
    }
}

impl<'a, T: Element> From<MatRef<'a, T>> for Rhs<'a> {
    fn from(b: MatRef<'a, T>) -> Self {
        Input::from(b).into()
    }
}

impl<'a> From<&'a PackedB> for Rhs<'a> {
    fn from(packed: &'a PackedB) -> Self {
        Self(Source::Packed { packed, first: 0, cols: packed.n })
    }
}

impl<'a> Rhs<'a> {
    /// Rows: the length of the sums.
    pub fn rows(&self) -> usize {
        match self.0 {
            Source::Matrix(b) => b.rows(),
            Source::Packed { packed, .. } => packed.k,
        }
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        match self.0 {
            Source::Matrix(b) => b.cols(),
            Source::Packed { cols, .. } => cols,
        }
    }

    /// What its elements are stored as.
    pub fn element_type(&self) -> Type {
        match self.0 {
            Source::Matrix(b) => b.element_type(),
            Source::Packed { packed, .. } => packed.element,
        }
    }

    /// Element (p, j), if there is one.
    pub fn get(&self, p: usize, j: usize) -> Option<f32> {
        match self.0 {
            Source::Matrix(b) => b.get(p, j),
            Source::Packed { packed, first, cols } => packed.get(p, (j < cols).then_some(first + j)?),
        }
    }

    /// The columns before `col`, at most all, and the rest.
    pub(crate) fn split_cols(self, col: usize) -> (Self, Self) {
        match self.0 {
            Source::Matrix(b) => (b.part(0..b.rows(), 0..col).into(), b.part(0..b.rows(), col..b.cols()).into()),
            Source::Packed { packed, first, cols } => {
                let part = |first, cols| Self(Source::Packed { packed, first, cols });
                (part(first, col), part(first + col, cols - col))
            }
        }
    }
}
