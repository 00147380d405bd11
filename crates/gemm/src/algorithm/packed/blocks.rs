//! The five loops.

use std::ops::Range;

use machine::cache::Caches;

use super::{
    panels::{self, BlockOfB, Reading},
    row::{Row, Sums},
};
use crate::{
    choice::Blocking,
    chunks::{chunks, equal_parts},
    epilogue::Epilogue,
    matrix::Input,
    problem::Problem,
    shape::Shape,
    tile::{MicroKernel, Prefetcher, Target},
    weights::Source,
};

/// The blocks of a product on one thread.
pub(super) struct Blocks<'w, K> {
    pub(super) kernel: K,
    pub(super) tile: Blocking,
    pub(super) reading: Reading,
    pub(super) packed_a: &'w mut [f32],
    pub(super) packed_b: &'w mut [f32],
    /// C between two blocks of k, where C itself cannot hold it: MC rows as wide as C.
    pub(super) sums: &'w mut [f32],
    pub(super) keeps_sums: bool,
}

/// A block of C, MC x NC at most, and the block of k that it is updated with.
struct Block {
    rows: Range<usize>,
    b: BlockOfB,
    is_first: bool,
    is_last: bool,
}

/// Parts of A and B that are packed after this block.
#[derive(Clone, Copy, Default)]
struct Next<'a> {
    /// Of A, after the rest of this block's rows.
    a: Option<Input<'a>>,
    b: Option<Input<'a>>,
}

impl<K: MicroKernel> Blocks<'_, K> {
    /// Loops 5 to 3.
    pub(super) fn multiply(&mut self, mut problem: Problem<'_>) {
        let Shape { m, n, k } = problem.shape();
        let (tile, a) = (self.tile, problem.a);
        // What fits half of level 2 is there already, if anywhere.
        let far_bytes = (Caches::detect().l2_bytes / 2) as u64;
        let a_bytes = m.saturating_mul(k).saturating_mul(a.element_type().bytes());
        let a_is_far = a_bytes as u64 > far_bytes;
        let is_far = problem.b.bytes() > far_bytes;
        let b_to_prefetch = match problem.b.0 {
            Source::Matrix(b) if is_far && self.reading == Reading::Packed => Some(b),
            _ => None,
        };
        for rows in chunks(0..m, tile.mc) {
            for steps in chunks(0..k, tile.kc) {
                let later = steps.end..k.min(steps.end + tile.kc);
                for cols in chunks(0..n, tile.nc) {
                    let pack_a = cols.start == 0;
                    let next_cols = if cols.end < n { cols.end..n.min(cols.end + tile.nc) } else { 0..n.min(tile.nc) };
                    let next_steps = if cols.end < n { steps.clone() } else { later.clone() };
                    let next = Next {
                        a: (pack_a && a_is_far).then(|| a.part(rows.clone(), later.clone())),
                        b: b_to_prefetch.map(|b| b.part(next_steps, next_cols)),
                    };
                    let block = Block {
                        rows: rows.clone(),
                        is_first: steps.start == 0,
                        is_last: steps.end == k,
                        b: BlockOfB { steps: steps.clone(), cols, is_far },
                    };
                    panels::pack(self.kernel, self.reading, &block.b, &problem.b, self.packed_b);
                    self.block(&block, problem.reborrow(), pack_a, next);
                }
            }
        }
    }

    /// Loops 2 and 1.
    fn block(&mut self, block: &Block, problem: Problem<'_>, pack_a: bool, next: Next<'_>) {
        // Destructured once: copying it for each tile would take a tenth of the tile's time.
        let Problem { alpha, a, b, beta, c, epilogue } = problem;
        let a = a.part(block.rows.clone(), block.b.steps.clone());
        let (m, depth, kernel) = (block.rows.len(), block.b.steps.len(), self.kernel);
        let block_cols = &block.b.cols;
        let tiles_across = block_cols.len().div_ceil(K::NR);
        let mut b_prefetcher = Prefetcher::new(next.b, m.div_ceil(K::MR) * tiles_across);
        let packed = (self.packed_b.as_ptr(), depth);
        let panels = |width: usize| panels::panels::<K>(self.reading, &block.b, &b, packed, width);
        let (full, rest) = (panels(K::NR), panels(block_cols.len() % K::NR));
        let width = c.cols();
        let mut target = Target::new(kernel, c, if block.is_last { epilogue } else { Epilogue::NONE });
        let beta = if block.is_first { beta } else { 1.0 };
        let mut sums = self.keeps_sums.then_some(Sums {
            floats: self.sums,
            stride: width,
            row: block.rows.start,
            col: 0,
            is_first: block.is_first,
            is_last: block.is_last,
        });
        // Equal numbers of rows: a tile of one row has so few sums that it waits for them, and takes longer than one of
        // several.
        let height = equal_parts(m, K::MR, 1);
        for (number, rows) in chunks(0..m, height).enumerate() {
            let panel = &mut self.packed_a[number * K::MR * depth..][..K::MR * depth];
            if pack_a {
                kernel.pack_a(a.part(rows.clone(), 0..depth), panel);
            }
            let next_a = next.a.map(|later| match rows.end < m {
                true => a.part(rows.end..m.min(rows.end + height), 0..depth),
                false => later.part(0..m.min(K::MR), 0..later.cols()),
            });
            let mut a_prefetcher = Prefetcher::new(next_a, tiles_across);
            let row = Row {
                rows: block.rows.start + rows.start..block.rows.start + rows.end,
                cols: block_cols.clone(),
                depth,
                panel: panel.as_ptr(),
                full: &full,
                rest: &rest,
                // The tiles of the first panel of A bring B into level 2, where the others find it.
                prefetches: rows.start == 0,
                alpha,
                beta,
            };
            // SAFETY: `chunks` gives 1 to MR rows, whose panel has MR floats per step. B is in panels, or has these
            // columns in place, which then fill a panel and are adjacent (the route's condition for reading in place).
            // C is borrowed.
            unsafe {
                row.multiply(&mut target, sums.as_mut(), || {
                    a_prefetcher.step();
                    b_prefetcher.step();
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use simd::Avx2;

    use super::*;
    use crate::{MatMut, MatRef};

    /// C <- 0.5 A B + 2 C in blocks of these sizes.
    fn product_in(tile: Blocking, (m, n, k): (usize, usize, usize)) -> Option<Vec<f32>> {
        let kernel = Avx2::new()?;
        let elements = |len: usize, step: usize| (0..len).map(|i| ((i * step) % 31) as f32 / 16.0 - 0.9).collect();
        let (a, b, mut c): (Vec<f32>, Vec<f32>, Vec<f32>) =
            (elements(m * k, 7), elements(k * n, 11), elements(m * n, 5));
        let (a, b) = (MatRef::from_row_major(&a, m, k).unwrap(), MatRef::from_row_major(&b, k, n).unwrap());
        let out = MatMut::from_row_major(&mut c, m, n).unwrap();
        let problem = Problem::new(0.5, a.into(), b.into(), 2.0, out.into(), Epilogue::NONE).unwrap();
        let (mut packed_a, mut packed_b) = (vec![f32::NAN; tile.mc * tile.kc], vec![f32::NAN; tile.nc * tile.kc]);
        let (packed_a, packed_b) = (&mut packed_a[..], &mut packed_b[..]);
        let (reading, sums) = (Reading::Packed, &mut []);
        Blocks { kernel, tile, reading, packed_a, packed_b, sums, keeps_sums: false }.multiply(problem);
        Some(c)
    }

    /// Blocks so small that all five loops iterate several times. The block of k decides about the sums, the other
    /// sizes about nothing.
    #[test]
    fn block_sizes_do_not_change_a_bit() {
        let shape @ (m, n, k) = (50, 70, 23);
        let whole = Blocking { mr: 6, nr: 16, mc: 54, nc: 80, kc: 8 };
        for (mc, nc) in [(6, 16), (12, 48), (54, 32), (18, 80)] {
            assert_eq!(product_in(Blocking { mc, nc, ..whole }, shape), product_in(whole, shape), "mc {mc} nc {nc}");
        }
        let Some(c) = product_in(whole, shape) else { return };
        let other = product_in(Blocking { kc: 23, ..whole }, shape).unwrap();
        let close = |(x, y): (&f32, &f32)| (x - y).abs() <= 1e-5;
        assert!(c.iter().zip(&other).all(close) && c != other && c.len() == m * n && k > 8);
    }
}
