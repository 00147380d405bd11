//! Prefetching the operand that will be packed next.

use crate::operand::Input;

/// Walks over the cache lines of a block and asks for a few at a time, so that they lie in the level-2 cache when the
/// block is packed.
///
/// Packing reads a block in short rows from far-apart places, too short for the hardware's prefetchers to be of use:
/// without help, each row begins with a wait for the level-3 cache or for memory. The micro-kernel leaves load slots
/// free, so the block's lines are asked for a few per tile, while the block before it is being multiplied.
pub(crate) struct Ahead {
    row: *const u8,
    row_bytes: isize,
    rows: usize,
    lines: usize,
    line: usize,
    per_call: usize,
}

const LINE_BYTES: usize = 64;

impl Ahead {
    /// Spreads the lines of `block` over `calls` calls. No block, or one without adjacent elements, is nothing to ask
    /// for.
    pub(crate) fn over(block: Option<Input<'_>>, calls: usize) -> Self {
        let contiguous = |block: &Input<'_>| block.col_stride() == 1 && block.rows() > 0 && block.cols() > 0;
        let block = block.map(|block| if block.col_stride() == 1 { block } else { block.t() }).filter(contiguous);
        let Some(block) = block else {
            return Self { row: std::ptr::null(), row_bytes: 0, rows: 0, lines: 0, line: 0, per_call: 0 };
        };
        let (row, element_bytes) = (block.as_ptr(), block.element_type().bytes());
        let row_bytes = block.row_stride().wrapping_mul(element_bytes as isize);
        let lines = (row.addr() % LINE_BYTES + block.cols() * element_bytes).div_ceil(LINE_BYTES);
        let per_call = (block.rows() * lines).div_ceil(calls.max(1));
        Self { row, row_bytes, rows: block.rows(), lines, line: 0, per_call }
    }

    /// Asks for the next few lines.
    #[inline]
    pub(crate) fn step(&mut self) {
        for _ in 0..self.per_call {
            if self.rows == 0 {
                return;
            }
            let line = self.row.wrapping_add(self.line * LINE_BYTES);
            fetch(line);
            self.line += 1;
            if self.line == self.lines {
                self.line = 0;
                self.rows -= 1;
                self.row = self.row.wrapping_offset(self.row_bytes);
            }
        }
    }
}

/// Asks for a cache line, at any address, to lie in the level-2 cache.
#[inline]
fn fetch(line: *const u8) {
    // SAFETY: a prefetch may name any address, and every x86-64 has the instruction.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(line.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}
