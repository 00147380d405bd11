//! The passes that write voxels: a box out of a volume, a finer or coarser grid; and the search for the foreground.

use std::ops::Range;

use crate::{
    Memory, Volume,
    sample::kernel::{self, Loop, Voxel},
    volume::with_voxels,
};

use super::{
    geometry::{Grid, Tap, Window},
    mapping::{Applied, Mapping},
};

/// The mapped voxels of a box, zeros around it.
pub(super) fn window(volume: &Volume, mapping: &Mapping, window: &Window, mut memory: Memory) -> Volume {
    let shape = window.size;
    let out: &mut [f32] = bytemuck::cast_slice_mut(memory.get(4 * shape.iter().product::<usize>()));
    let mapping = mapping.applied();
    with_voxels!(volume.voxels(), voxels => {
        let row = |source: &[_], out: &mut [f32]| kernel::run(Mapped { source, mapping, out });
        rows(voxels, volume.shape(), window, out, row);
    });
    let labels = volume.labels().map(|labels| {
        let mut out = vec![0; shape.iter().product()];
        rows(labels, volume.shape(), window, &mut out, |source: &[u8], out: &mut [u8]| out.copy_from_slice(source));
        out
    });
    volume.rewritten(memory, shape, window.moved(volume.affine()), labels)
}

/// Calls `row` with every row of the box and its place; all else becomes 0.
fn rows<V, T: Copy + Default>(
    voxels: &[V],
    [nx, ny, _]: [usize; 3],
    window: &Window,
    out: &mut [T],
    row: impl Fn(&[V], &mut [T]),
) {
    let ([x, y, z], [sx, sy, _]) = (&window.inside, window.size);
    let before = window.before;
    for (k, plane) in out.chunks_exact_mut((sx * sy).max(1)).enumerate() {
        let Some(from_z) = k.checked_sub(before[2]).map(|k| k + z.start).filter(|k| *k < z.end) else {
            plane.fill(T::default());
            continue;
        };
        for (j, out) in plane.chunks_exact_mut(sx.max(1)).enumerate() {
            let Some(from_y) = j.checked_sub(before[1]).map(|j| j + y.start).filter(|j| *j < y.end) else {
                out.fill(T::default());
                continue;
            };
            let start = nx * (from_y + ny * from_z);
            let (left, rest) = out.split_at_mut(before[0]);
            let (middle, right) = rest.split_at_mut(x.len());
            left.fill(T::default());
            row(&voxels[start + x.start..start + x.end], middle);
            right.fill(T::default());
        }
    }
}

struct Mapped<'a, V> {
    source: &'a [V],
    mapping: Applied,
    out: &'a mut [f32],
}

impl<V: Voxel> Loop for Mapped<'_, V> {
    #[inline(always)]
    fn run(self) {
        let Self { source, mapping, out } = self;
        // A branch outside of the loop: the usual case has no zeros to look for.
        if mapping.zeros.is_none() {
            out.iter_mut().zip(source).for_each(|(out, &value)| *out = mapping.line.at(value.into()));
        } else {
            out.iter_mut().zip(source).for_each(|(out, &value)| *out = mapping.at(value.into()));
        }
    }
}

/// The voxels of a grid, `before` applied to what is interpolated and `after` to the result.
///
/// Every row of the result lies between four rows of the source. Their weighted sum is taken first, over the whole row
/// and in order; then its elements are interpolated along x.
pub(super) fn resampled(volume: &Volume, before: &Mapping, grid: &Grid, after: &Mapping, mut memory: Memory) -> Volume {
    let shape = grid.shape();
    let out: &mut [f32] = bytemuck::cast_slice_mut(memory.get(4 * shape.iter().product::<usize>()));
    let [nx, ny, _] = volume.shape();
    let (before, after) = (before.applied(), after.applied());
    let mut sum = vec![0.0; nx];
    with_voxels!(volume.voxels(), voxels => {
        for (out, z) in out.chunks_exact_mut(shape[0] * shape[1]).zip(&grid.taps[2]) {
            for (out, y) in out.chunks_exact_mut(shape[0]).zip(&grid.taps[1]) {
                let row = |y: usize, z: usize| &voxels[nx * (y + ny * z)..][..nx];
                let rows = [row(y.lower, z.lower), row(y.upper, z.lower), row(y.lower, z.upper), row(y.upper, z.upper)];
                let weights = [(1.0 - y.weight) * (1.0 - z.weight), y.weight * (1.0 - z.weight),
                    (1.0 - y.weight) * z.weight, y.weight * z.weight];
                kernel::run(Between { rows, weights, before, sum: &mut sum });
                kernel::run(Along { sum: &sum, taps: &grid.taps[0], after, out });
            }
        }
    });
    let labels = volume.labels().map(|labels| {
        let [x, y, z] = &grid.taps;
        let rows = z.iter().flat_map(|z| y.iter().map(move |y| nx * (y.nearest + ny * z.nearest)));
        rows.flat_map(|row| x.iter().map(move |x| labels[row + x.nearest])).collect()
    });
    volume.rewritten(memory, shape, grid.affine, labels)
}

struct Between<'a, V> {
    rows: [&'a [V]; 4],
    weights: [f32; 4],
    before: Applied,
    sum: &'a mut [f32],
}

impl<V: Voxel> Loop for Between<'_, V> {
    #[inline(always)]
    fn run(self) {
        let Self { rows, weights, before, sum } = self;
        let [a, b, c, d] = rows.map(|row| &row[..sum.len()]);
        let [p, q, r, s] = weights;
        if before.zeros.is_none() {
            let at = |value: V| before.line.at(value.into());
            for (i, sum) in sum.iter_mut().enumerate() {
                *sum = p * at(a[i]) + q * at(b[i]) + (r * at(c[i]) + s * at(d[i]));
            }
        } else {
            let at = |value: V| before.at(value.into());
            for (i, sum) in sum.iter_mut().enumerate() {
                *sum = p * at(a[i]) + q * at(b[i]) + (r * at(c[i]) + s * at(d[i]));
            }
        }
    }
}

struct Along<'a> {
    sum: &'a [f32],
    taps: &'a [Tap],
    after: Applied,
    out: &'a mut [f32],
}

impl Loop for Along<'_> {
    #[inline(always)]
    fn run(self) {
        for (out, tap) in self.out.iter_mut().zip(self.taps) {
            let value = (1.0 - tap.weight) * self.sum[tap.lower] + tap.weight * self.sum[tap.upper];
            *out = self.after.line.at(value);
        }
    }
}

/// The smallest box with all voxels whose mapped value is above a threshold; `None` if there is none.
pub(super) fn bounds_above(volume: &Volume, mapping: &Mapping, above: f64) -> Option<[Range<usize>; 3]> {
    let ([nx, ny, _], mapping, above) = (volume.shape(), mapping.applied(), above as f32);
    let mut bounds = [(usize::MAX, 0); 3];
    with_voxels!(volume.voxels(), voxels => {
        for (row, voxels) in voxels.chunks_exact(nx).enumerate() {
            let mut ends = (usize::MAX, 0);
            kernel::run(Ends { voxels, mapping, above, ends: &mut ends });
            if ends.0 <= ends.1 {
                for (bound, (first, last)) in bounds.iter_mut().zip([ends, (row % ny, row % ny), (row / ny, row / ny)]) {
                    *bound = (bound.0.min(first), bound.1.max(last));
                }
            }
        }
    });
    (bounds[0].0 <= bounds[0].1).then(|| bounds.map(|(first, last)| first..last + 1))
}

/// The first and the last voxel of a row above a threshold.
struct Ends<'a, V> {
    voxels: &'a [V],
    mapping: Applied,
    above: f32,
    ends: &'a mut (usize, usize),
}

impl<V: Voxel> Loop for Ends<'_, V> {
    #[inline(always)]
    fn run(self) {
        // Whether there is any, first: such a loop has vectors, and most rows of a head's surroundings have none.
        let is_above = |&value: &V| self.mapping.at(value.into()) > self.above;
        let count = self.voxels.iter().fold(0_u32, |count, value| count + u32::from(is_above(value)));
        if count > 0 {
            let first = self.voxels.iter().position(is_above).unwrap_or(usize::MAX);
            *self.ends = (first, self.voxels.iter().rposition(is_above).unwrap_or(0));
        }
    }
}
