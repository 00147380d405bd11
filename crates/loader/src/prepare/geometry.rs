//! Where the voxels of a prepared volume come from: a finer or coarser grid, or a box with zeros around it.

use std::ops::Range;

use nifti_decode::Affine;

/// A voxel of the result between two of the source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tap {
    pub(super) lower: usize,
    pub(super) upper: usize,
    /// Of the upper one.
    pub(super) weight: f32,
    /// The one for labels.
    pub(super) nearest: usize,
}

/// A grid with the origin and the directions of a volume, and other distances.
#[derive(Debug, Clone)]
pub(super) struct Grid {
    /// For x, y and z, a tap for each voxel of the result.
    pub(super) taps: [Vec<Tap>; 3],
    pub(super) affine: Affine,
    is_identity: bool,
}

impl Grid {
    /// The extents of a grid of more than `most` voxels are the error.
    pub(super) fn new(shape: [usize; 3], affine: &Affine, mm: [f64; 3], most: usize) -> Result<Self, [f64; 3]> {
        let steps = [0, 1, 2].map(|axis| mm[axis] / affine.spacing()[axis]);
        let counts = [0, 1, 2].map(|axis| count(shape[axis], steps[axis]));
        let is_few = counts.iter().product::<f64>() <= most as f64;
        if !is_few {
            return Err(counts);
        }
        let taps = [0, 1, 2].map(|axis| taps(shape[axis], steps[axis]));
        let mut finer = *affine;
        for row in &mut finer.0[..3] {
            (0..3).for_each(|axis| row[axis] *= steps[axis]);
        }
        Ok(Self { taps, affine: finer, is_identity: steps.iter().all(|step| (step - 1.0).abs() < 1e-9) })
    }

    pub(super) fn shape(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.taps[axis].len())
    }

    pub(super) fn is_identity(&self) -> bool {
        self.is_identity
    }
}

/// How many voxels of distance `step` fit an axis of `n` voxels.
fn count(n: usize, step: f64) -> f64 {
    (n.saturating_sub(1) as f64 / step + 1.0).round_ties_even().max(1.0)
}

/// Those voxels.
fn taps(n: usize, step: f64) -> Vec<Tap> {
    let last = n.saturating_sub(1);
    let tap = |i: usize| {
        let at = (i as f64 * step).min(last as f64);
        let lower = (at as usize).min(last);
        Tap {
            lower,
            upper: (lower + 1).min(last),
            weight: (at - lower as f64) as f32,
            nearest: ((at + 0.5) as usize).min(last),
        }
    };
    (0..count(n, step) as usize).map(tap).collect()
}

/// A box of a volume, and where it lies in the result; the rest of the result is 0.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Window {
    /// Voxels of the volume.
    pub(super) inside: [Range<usize>; 3],
    /// Zeros before them.
    pub(super) before: [usize; 3],
    /// Voxels of the result.
    pub(super) size: [usize; 3],
}

impl Window {
    pub(super) fn whole(shape: [usize; 3]) -> Self {
        Self { inside: shape.map(|n| 0..n), before: [0; 3], size: shape }
    }

    pub(super) fn is_whole(&self, shape: [usize; 3]) -> bool {
        *self == Self::whole(shape)
    }

    pub(super) fn is_padded(&self) -> bool {
        (0..3).any(|axis| self.inside[axis].len() < self.size[axis])
    }

    /// A box with `margin` voxels around it where there are any.
    pub(super) fn cut(bounds: [Range<usize>; 3], margin: usize, shape: [usize; 3]) -> Self {
        let inside = [0, 1, 2].map(|axis| {
            let Range { start, end } = bounds[axis];
            start.saturating_sub(margin)..end.saturating_add(margin).min(shape[axis])
        });
        let size = [0, 1, 2].map(|axis| inside[axis].len());
        Self { inside, before: [0; 3], size }
    }

    pub(super) fn pad(&mut self, size: [usize; 3]) {
        for ((wanted, size), before) in size.into_iter().zip(&mut self.size).zip(&mut self.before) {
            let lacks = wanted.saturating_sub(*size);
            *before += lacks / 2;
            *size += lacks;
        }
    }

    /// The affine of the result.
    pub(super) fn moved(&self, affine: &Affine) -> Affine {
        let first = [0, 1, 2].map(|axis| self.inside[axis].start as f64 - self.before[axis] as f64);
        let origin = affine.apply(first);
        let mut moved = *affine;
        (0..3).for_each(|row| moved.0[row][3] = origin[row]);
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_keeps_the_origin_and_ends_inside() {
        let found = taps(5, 0.5);
        assert_eq!(found.len(), 9);
        assert_eq!(found[3], Tap { lower: 1, upper: 2, weight: 0.5, nearest: 2 });
        assert_eq!(found[8], Tap { lower: 4, upper: 4, weight: 0.0, nearest: 4 });
        // 4 / 1.6 + 1 = 3.5 voxels, halves to even; the last one, at 4.8, is moved to the border.
        let found = taps(5, 1.6);
        assert_eq!((found.len(), found[3]), (4, Tap { lower: 4, upper: 4, weight: 0.0, nearest: 4 }));
        assert_eq!(taps(1, 0.3).len(), 1);
    }

    #[test]
    fn a_window_is_cut_and_padded() {
        let mut window = Window::cut([2..5, 0..4, 3..4], 1, [8, 4, 4]);
        assert_eq!(window.inside, [1..6, 0..4, 2..4]);
        window.pad([4, 7, 6]);
        assert_eq!((window.before, window.size, window.is_padded()), ([0, 1, 2], [5, 7, 6], true));
        let moved = window.moved(&Affine::IDENTITY);
        assert_eq!(moved.apply([0.0; 3]), [1.0, -1.0, 0.0]);
    }
}
