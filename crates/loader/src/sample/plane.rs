//! View A: a block of voxels in a plane of the volume, resized to a patch.
//!
//! PyTorch's `interpolate(mode="bilinear", align_corners=False)`: output pixel i of 16 lies at (i + 1/2) m / 16 - 1/2
//! of the m voxels of an axis, at 0 if that is negative, and its upper neighbor is at most voxel m - 1.

use super::{
    asymmetric::SIDE,
    kernel::{Loop, Map, PIXELS, Voxel},
};

/// Where the pixels of one axis lie in a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taps {
    /// Voxels of the block.
    pub(super) extent: usize,
    lower: [u32; SIDE],
    upper: [u32; SIDE],
    weight: [f32; SIDE],
}

impl Taps {
    /// For a block of `extent` voxels, at least 1.
    pub(super) fn new(extent: usize) -> Self {
        let mut taps = Self { extent, lower: [0; SIDE], upper: [0; SIDE], weight: [0.0; SIDE] };
        let step = extent as f64 / SIDE as f64;
        for i in 0..SIDE {
            let at = ((i as f64 + 0.5) * step - 0.5).max(0.0);
            let lower = (at as usize).min(extent - 1);
            taps.lower[i] = lower as u32;
            taps.upper[i] = (lower + 1).min(extent - 1) as u32;
            taps.weight[i] = (at - lower as f64) as f32;
        }
        taps
    }
}

/// The patch of a block that begins at voxel `start`, in the plane `z`, which is inside the volume. Pixel (i, j) of the
/// patch, i along x and j along y, is at 16 i + j. Voxels outside the volume count as [`Map::outside`].
pub(super) struct Plane<'a, T> {
    pub(super) voxels: &'a [T],
    pub(super) shape: [usize; 3],
    pub(super) start: [i64; 2],
    pub(super) z: usize,
    pub(super) taps: &'a [Taps; 2],
    pub(super) map: Map,
    pub(super) out: &'a mut [f32; PIXELS],
}

impl<T: Voxel> Loop for Plane<'_, T> {
    #[inline(always)]
    fn run(self) {
        let [nx, ny, _] = self.shape;
        let plane = &self.voxels[nx * ny * self.z..][..nx * ny];
        let [x, y] = self.taps;
        let [x_start, y_start] = self.start;
        let is_inside = x_start >= 0
            && y_start >= 0
            && x_start + x.extent as i64 <= nx as i64
            && y_start + y.extent as i64 <= ny as i64;
        for j in 0..SIDE {
            let mut row = [0.0; SIDE];
            if is_inside {
                let of = |tap: u32| &plane[nx * (y_start as usize + tap as usize) + x_start as usize..][..x.extent];
                let (low, high) = (of(y.lower[j]), of(y.upper[j]));
                for (i, value) in row.iter_mut().enumerate() {
                    let (a, b) = (x.lower[i] as usize, x.upper[i] as usize);
                    let below = lerp(low[a].into(), low[b].into(), x.weight[i]);
                    let above = lerp(high[a].into(), high[b].into(), x.weight[i]);
                    *value = lerp(below, above, y.weight[j]);
                }
            } else {
                let at = |x: i64, y: i64| {
                    let is_there = (0..nx as i64).contains(&x) && (0..ny as i64).contains(&y);
                    if is_there { plane[x as usize + nx * y as usize].into() } else { self.map.outside }
                };
                let (y0, y1) = (y_start + i64::from(y.lower[j]), y_start + i64::from(y.upper[j]));
                for (i, value) in row.iter_mut().enumerate() {
                    let (x0, x1) = (x_start + i64::from(x.lower[i]), x_start + i64::from(x.upper[i]));
                    let below = lerp(at(x0, y0), at(x1, y0), x.weight[i]);
                    let above = lerp(at(x0, y1), at(x1, y1), x.weight[i]);
                    *value = lerp(below, above, y.weight[j]);
                }
            }
            for (i, &value) in row.iter().enumerate() {
                self.out[SIDE * i + j] = self.map.apply(value);
            }
        }
    }
}

/// From `a` at 0 to `b` at 1.
#[inline(always)]
pub(super) fn lerp(a: f32, b: f32, at: f32) -> f32 {
    a + (b - a) * at
}
