//! Where the micro-kernel reads B: in panels that are packed block by block, in place, or in weights that were packed
//! before.

use std::ops::Range;

use simd::ElementType;

use crate::{
    chunks::chunks,
    tile::MicroKernel,
    weights::{Rhs, Source},
};

/// How B reaches the micro-kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Blocks are packed into panels.
    Packed,
    /// In place, but for columns that do not fill a panel.
    InPlace,
    /// In panels that exist already.
    PackedBefore,
}

impl Reading {
    /// Whether `width` columns next to each other are packed. Columns that do not fill a panel are, because the
    /// micro-kernel loads whole vectors.
    pub(super) fn packs(self, width: usize, nr: usize) -> bool {
        match self {
            Reading::PackedBefore => false,
            Reading::Packed => true,
            Reading::InPlace => width < nr,
        }
    }
}

/// Weights that were packed before are prefetched so far ahead: the processor's own prefetchers stop at the end of each
/// page.
const PREFETCH_BYTES: usize = 2048;

/// A block of B: a block of k, and some columns.
pub(super) struct BlockOfB {
    pub(super) steps: Range<usize>,
    pub(super) cols: Range<usize>,
    /// Whether B is too large for the level-2 cache.
    pub(super) is_far: bool,
}

/// Where the micro-kernel finds the columns of a block.
#[derive(Clone, Copy)]
pub(super) struct Panels {
    /// The block's first column.
    pub(super) first: *const u8,
    /// From one column to the next.
    pub(super) column_bytes: usize,
    /// Elements from one step to the next.
    pub(super) stride: isize,
    pub(super) element: ElementType,
    /// How far ahead they are prefetched, if they are not in the level-2 cache.
    pub(super) prefetch_bytes: Option<usize>,
}

/// Packs the columns of a block that are not read in place.
pub(super) fn pack<K: MicroKernel>(kernel: K, reading: Reading, block: &BlockOfB, b: &Rhs<'_>, packed: &mut [f32]) {
    let Source::Matrix(b) = b.0 else { return };
    for cols in chunks(block.cols.clone(), K::NR).filter(|cols| reading.packs(cols.len(), K::NR)) {
        let start = (cols.start - block.cols.start) * block.steps.len();
        kernel.pack_b(b.part(block.steps.clone(), cols).t(), &mut packed[start..]);
    }
}

/// Where columns of a block are, read `width` at a time. `packed` is the address of the block's first column where it
/// is packed, in panels of `packed_depth` steps.
pub(super) fn panels<K: MicroKernel>(
    reading: Reading,
    block: &BlockOfB,
    b: &Rhs<'_>,
    (packed, packed_depth): (*const f32, usize),
    width: usize,
) -> Panels {
    let prefetch = |bytes: usize| block.is_far.then_some(bytes);
    let (stride, depth) = (K::NR as isize, block.steps.len());
    match &b.0 {
        Source::Packed(b) => {
            let first = b.packed.panel(block.steps.start, b.first + block.cols.start);
            let element = b.packed.element_type();
            let column_bytes = depth * element.bytes();
            Panels { first, column_bytes, stride, element, prefetch_bytes: prefetch(PREFETCH_BYTES) }
        }
        Source::Blocks(_) | Source::Int8(_) => unreachable!("weights of codes have algorithms of their own"),
        Source::Matrix(b) if !reading.packs(width, K::NR) => {
            let first = b.part(block.steps.clone(), block.cols.clone()).as_ptr();
            let (element, column_bytes) = (b.element_type(), b.element_type().bytes());
            // The same rows of the next tile.
            let prefetch_bytes = prefetch(K::NR * column_bytes);
            Panels { first, column_bytes, stride: b.row_stride(), element, prefetch_bytes }
        }
        Source::Matrix(_) => {
            let (first, element) = (packed.cast(), ElementType::F32);
            Panels { first, column_bytes: packed_depth * element.bytes(), stride, element, prefetch_bytes: None }
        }
    }
}
