//! Weights that are packed once and used often.

use op::Workspace;
use simd::{Element, ElementType, InstructionSet, with_element_type};

use crate::{
    error::GemmError,
    matrix::{Input, MatRef},
};

/// A k x n matrix in the order in which the fastest kernel of this machine reads it, for use as B in many products.
///
/// A product with it packs only A, and reads the weights from front to back. It takes as much memory as the matrix,
/// rounded up to whole panels, in the matrix's own element type. The result has the same bits as a product with the
/// matrix itself, except where that one is formed by [`Path::Dot`](crate::Path::Dot) or
/// [`Path::Axpy`](crate::Path::Axpy).
///
/// ```
/// use gemm::{MatMut, MatRef, PackedB, Threads, gemm};
///
/// let weights = [1.0_f32, 0.0, 0.0, 1.0, 1.0, 1.0]; // 3 x 2
/// let packed = PackedB::new(MatRef::from_row_major(&weights, 3, 2)?)?;
/// let (x, mut y) = ([1.0_f32, 2.0, 3.0], [0.0_f32; 2]);
/// let (a, c) = (MatRef::from_row_major(&x, 1, 3)?, MatMut::from_row_major(&mut y, 1, 2)?);
/// gemm(Threads::SERIAL, 1.0, a, &packed, 0.0, c)?;
/// assert_eq!(y, [4.0, 5.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PackedB {
    set: InstructionSet,
    k: usize,
    n: usize,
    element: ElementType,
    shape: PanelShape,
    /// For each block of k, panel after panel, `nr` elements per step.
    memory: Workspace,
}

/// Extents of the panels that a kernel reads B in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PanelShape {
    /// Steps of a block of k; not 0.
    pub(crate) kc: usize,
    /// Columns of a panel.
    pub(crate) nr: usize,
}

impl PackedB {
    /// Packs a matrix for the kernel of `set`, which reads panels of `shape`.
    pub(crate) fn pack(set: InstructionSet, shape: PanelShape, b: Input<'_>) -> Result<Self, GemmError> {
        let (k, n, element) = (b.rows(), b.cols(), b.element_type());
        let PanelShape { kc, nr } = shape;
        let full = GemmError::OutOfMemory { bytes: usize::MAX };
        let elements = n.checked_next_multiple_of(nr).and_then(|width| width.checked_mul(k)).ok_or(full)?;
        let bytes = elements.checked_mul(element.bytes()).ok_or(full)?;
        let mut memory = Workspace::new();
        let floats = memory.floats(bytes.div_ceil(size_of::<f32>()))?;
        with_element_type!(element, E => if let Some(b) = b.typed::<E>() {
            // SAFETY: the floats have at least as many bytes and are aligned for E; any bits are a valid E.
            let panels = unsafe { std::slice::from_raw_parts_mut(floats.as_mut_ptr().cast::<E>(), elements) };
            // Without elements, there may be any number of rows.
            if !panels.is_empty() {
                fill(b, kc, nr, panels);
            }
        });
        Ok(Self { set, k, n, element, shape, memory })
    }

    /// Rows of the matrix: the length of the sums.
    pub fn rows(&self) -> usize {
        self.k
    }

    /// Columns of the matrix.
    pub fn cols(&self) -> usize {
        self.n
    }

    /// The type that its elements are stored as.
    pub fn element_type(&self) -> ElementType {
        self.element
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// The instruction set of the kernel that it was packed for.
    pub(crate) fn instruction_set(&self) -> InstructionSet {
        self.set
    }

    /// Address of the panel that begins with column `col`, a multiple of the panel's width, in the block of k that
    /// begins with `step`.
    pub(crate) fn panel(&self, step: usize, col: usize) -> *const u8 {
        let PanelShape { kc, nr } = self.shape;
        debug_assert!(step.is_multiple_of(kc) && col.is_multiple_of(nr) && step < self.k && col < self.n);
        let depth = kc.min(self.k - step);
        let elements = step * self.n.next_multiple_of(nr) + col * depth;
        self.memory.as_ptr().wrapping_add(elements * self.element.bytes())
    }

    /// Element (p, j), if there is one.
    pub fn get(&self, p: usize, j: usize) -> Option<f32> {
        if p >= self.k || j >= self.n {
            return None;
        }
        let PanelShape { kc, nr } = self.shape;
        let step = p - p % kc;
        let index = (p - step) * nr + j % nr;
        let panel = self.panel(step, j - j % nr);
        // SAFETY: the panel has `nr` elements of this type per step of its block.
        Some(with_element_type!(self.element, E => unsafe { (*panel.cast::<E>().add(index)).to_f32() }))
    }
}

/// Copies B into panels. Columns beyond its last become 0.
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
