//! View B: a rotated grid of points, interpolated trilinearly; voxels outside the volume count as 0.
//!
//! PyTorch's `grid_sample(align_corners=True, padding_mode="zeros")`: each of the eight voxels around a point counts as
//! 0 if it is outside.
//!
//! A row of the patch is a line in the volume. Its positions, their whole parts and weights are computed for all pixels
//! first; then, if all voxels that they need are inside, the voxels are fetched without a check each; then all pixels
//! are interpolated. The first and the last of these loops become vectors. Positions count from a voxel near the patch,
//! so that f32 has room for the fraction.
#![expect(clippy::needless_range_loop, reason = "pixel c is an element of many arrays at once")]

use super::{
    asymmetric::SIDE,
    kernel::{Loop, Map, PIXELS, Voxel},
    plane::lerp,
};

/// A grid of points in voxel coordinates.
pub(super) struct Rotated<'a, T> {
    /// As many as `shape` says.
    pub(super) voxels: &'a [T],
    pub(super) shape: [usize; 3],
    /// The voxel that positions count from.
    pub(super) base: [i64; 3],
    /// Position of the first pixel.
    pub(super) first: [f32; 3],
    /// From a pixel to the next of its row.
    pub(super) column: [f32; 3],
    /// From a row to the next.
    pub(super) row: [f32; 3],
    pub(super) map: Map,
    pub(super) out: &'a mut [f32; PIXELS],
}

/// The pixels of a row along one axis: whole parts, counted from the base, and the rest.
struct Line {
    whole: [i32; SIDE],
    weight: [f32; SIDE],
    low: i64,
    high: i64,
}

impl Line {
    #[inline(always)]
    fn new(first: f32, step: f32, base: i64) -> Self {
        let (mut whole, mut weight) = ([0; SIDE], [0.0; SIDE]);
        let (mut low, mut high) = (i32::MAX, i32::MIN);
        for c in 0..SIDE {
            let at = first + c as f32 * step;
            let floor = at.floor();
            whole[c] = floor as i32;
            weight[c] = at - floor;
        }
        for &at in &whole {
            low = low.min(at);
            high = high.max(at);
        }
        Self { whole, weight, low: base + i64::from(low), high: base + i64::from(high) }
    }

    /// Whether all voxels around all pixels are inside an extent.
    #[inline(always)]
    fn is_inside(&self, extent: usize) -> bool {
        self.low >= 0 && self.high + 1 < extent as i64
    }
}

impl<T: Voxel> Loop for Rotated<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { voxels, shape, base, map, out, .. } = self;
        let [nx, ny, nz] = shape;
        assert_eq!(voxels.len(), nx * ny * nz, "a volume has the voxels of its shape");
        for (r, pixels) in out.as_chunks_mut::<SIDE>().0.iter_mut().enumerate() {
            let line =
                |axis: usize| Line::new(self.first[axis] + r as f32 * self.row[axis], self.column[axis], base[axis]);
            let lines = [line(0), line(1), line(2)];
            let mut corners = [[0.0_f32; SIDE]; 8];
            if lines[0].is_inside(nx) && lines[1].is_inside(ny) && lines[2].is_inside(nz) {
                inside(voxels, shape, base, &lines, &mut corners);
            } else {
                across(voxels, shape, (base, map.outside), &lines, &mut corners);
            }
            let [x, y, z] = [&lines[0].weight, &lines[1].weight, &lines[2].weight];
            for c in 0..SIDE {
                let edge = |k: usize| lerp(corners[k][c], corners[k + 1][c], x[c]);
                let (front, back) = (lerp(edge(0), edge(2), y[c]), lerp(edge(4), edge(6), y[c]));
                pixels[c] = map.apply(lerp(front, back, z[c]));
            }
        }
    }
}

/// The eight voxels around each pixel, all of which are inside: x fastest, z slowest.
#[inline(always)]
fn inside<T: Voxel>(
    voxels: &[T],
    [nx, ny, nz]: [usize; 3],
    base: [i64; 3],
    lines: &[Line; 3],
    corners: &mut [[f32; SIDE]; 8],
) {
    debug_assert!(lines[0].is_inside(nx) && lines[1].is_inside(ny) && lines[2].is_inside(nz));
    let (row, slice) = (nx as i64, (nx * ny) as i64);
    let origin = base[0] + row * base[1] + slice * base[2];
    for c in 0..SIDE {
        let [x, y, z] = [0, 1, 2].map(|axis| i64::from(lines[axis].whole[c]));
        let at = (origin + x + row * y + slice * z) as usize;
        for (k, ahead) in [0, nx, nx * ny, nx * ny + nx].into_iter().enumerate() {
            // SAFETY: `lines` lie inside, so base + whole is from 0 to the extent - 2 on each axis, and the voxel one
            // further along every axis exists; the caller checked that `voxels` has as many elements as the shape.
            let (a, b) = unsafe { (*voxels.get_unchecked(at + ahead), *voxels.get_unchecked(at + ahead + 1)) };
            corners[2 * k][c] = a.into();
            corners[2 * k + 1][c] = b.into();
        }
    }
}

/// As [`inside`] where some voxels are outside.
#[inline(always)]
fn across<T: Voxel>(
    voxels: &[T],
    shape: [usize; 3],
    (base, outside): ([i64; 3], f32),
    lines: &[Line; 3],
    corners: &mut [[f32; SIDE]; 8],
) {
    let [nx, ny, _] = shape;
    for c in 0..SIDE {
        for (k, corner) in corners.iter_mut().enumerate() {
            let at = [0, 1, 2].map(|axis| base[axis] + i64::from(lines[axis].whole[c]) + (k >> axis & 1) as i64);
            let is_there = (0..3).all(|axis| (0..shape[axis] as i64).contains(&at[axis]));
            let [x, y, z] = at.map(|index| index as usize);
            corner[c] = if is_there { voxels[x + nx * (y + ny * z)].into() } else { outside };
        }
    }
}
