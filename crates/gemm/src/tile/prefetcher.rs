//! Prefetching what will be packed or stored next.

use simd::prefetch_l2;

use crate::matrix::Input;

/// Prefetches the cache lines of a block into the level-2 cache, a few at each call, before the block is packed.
///
/// Packing and unpacking read a block in short rows from distant addresses, too short for the hardware's prefetchers:
/// without help, each row begins with a wait for the level-3 cache or for memory. The micro-kernel leaves load slots
/// free, so the lines are prefetched, a few per tile, while the block before is multiplied.
pub(crate) struct Prefetcher {
    row: *const u8,
    row_bytes: isize,
    rows: usize,
    lines: usize,
    line: usize,
    per_call: usize,
}

const LINE_BYTES: usize = 64;

impl Prefetcher {
    /// Spreads the lines of `block` over `calls` calls. Does nothing without a block, or if the block has no adjacent
    /// elements.
    pub(crate) fn new(block: Option<Input<'_>>, calls: usize) -> Self {
        let is_contiguous = |block: &Input<'_>| block.col_stride() == 1 && block.rows() > 0 && block.cols() > 0;
        let block = block.map(|block| if block.col_stride() == 1 { block } else { block.t() }).filter(is_contiguous);
        let Some(block) = block else {
            return Self { row: std::ptr::null(), row_bytes: 0, rows: 0, lines: 0, line: 0, per_call: 0 };
        };
        let (row, element_bytes) = (block.as_ptr(), block.element_type().bytes());
        let row_bytes = block.row_stride().wrapping_mul(element_bytes as isize);
        Self::of_bytes(row, (block.rows(), row_bytes), block.cols() * element_bytes, calls)
    }

    /// The same for `bytes` bytes of each of `rows` rows, which are `row_bytes` apart. None of them is read.
    pub(crate) fn of_bytes(row: *const u8, (rows, row_bytes): (usize, isize), bytes: usize, calls: usize) -> Self {
        let lines = (row.addr() % LINE_BYTES + bytes).div_ceil(LINE_BYTES);
        let per_call = (rows * lines).div_ceil(calls.max(1));
        Self { row, row_bytes, rows, lines, line: 0, per_call }
    }

    /// Prefetches the next few lines.
    #[inline]
    pub(crate) fn step(&mut self) {
        for _ in 0..self.per_call {
            if self.rows == 0 {
                return;
            }
            prefetch_l2(self.row.wrapping_add(self.line * LINE_BYTES));
            self.line += 1;
            if self.line == self.lines {
                self.line = 0;
                self.rows -= 1;
                self.row = self.row.wrapping_offset(self.row_bytes);
            }
        }
    }
}
