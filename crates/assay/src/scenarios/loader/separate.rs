//! What most loaders do: volumes in f32, memory of its own for every patch, a pass for every step; and, as the loader
//! that this scenario goes back to, the statistics of the whole volume for every sample.

use std::hint::black_box;

use ::loader::{AsymmetricPatches, LoaderError, Pixel, SIDE, Sampler, Views, Volume, Voxels};
use op::random::Random;

/// Samples of [`AsymmetricPatches`], made step by step.
pub(super) struct SeparatePasses {
    pub(super) patches: usize,
    /// Whether every sample computes the statistics that it needs.
    pub(super) has_statistics: bool,
}

impl Sampler for SeparatePasses {
    type Label = Views;

    fn shape(&self) -> Vec<usize> {
        AsymmetricPatches::new(self.patches).shape()
    }

    /// # Panics
    /// For volumes that are not kept as f32, and where the statistics are not those of the decoder.
    fn sample<T: Pixel>(
        &self,
        volume: &Volume,
        random: &mut Random,
        out: &mut [T],
        views: &mut Views,
    ) -> Result<(), LoaderError> {
        let Voxels::F32(voxels) = volume.voxels() else { panic!("the volume is not kept as f32") };
        if self.has_statistics {
            let (median, std) = black_box(robust_statistics(voxels));
            let exact = volume.stats();
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-3 * exact.robust_std.max(1e-6);
            assert!(close(median, exact.median) && close(std, exact.robust_std), "other statistics: {median}, {std}");
        }
        AsymmetricPatches::new(self.patches).draw(volume, random, views);
        let scan = Scan { voxels, volume };
        let (of_a, of_b) = out.split_at_mut(out.len() / 2);
        for (view, out) in [of_a, of_b].into_iter().enumerate() {
            for (point, out) in views.points[view].iter().zip(out.chunks_exact_mut(SIDE * SIDE)) {
                let center = scan.center(views.anchors[view], *point);
                let patch = if view == 0 { scan.plane(center) } else { scan.rotated(center, &views.rotation) };
                let window = views.windows[view];
                let [low, high] = [-0.5, 0.5].map(|half| (window.center + half * window.width) as f32);
                let clipped: Vec<f32> = patch.iter().map(|value| value.clamp(low, high)).collect();
                let mapped: Vec<f32> = clipped.iter().map(|value| (value - low) / (high - low) * 2.0 - 1.0).collect();
                T::store(&mapped, out);
            }
        }
        Ok(())
    }
}

/// Median and standard deviation of the values clipped to their 0.5th and 99.5th percentile, from a sorted copy.
fn robust_statistics(voxels: &[f32]) -> (f64, f64) {
    let mut sorted = voxels.to_vec();
    let mut percentile = |share: f64| {
        let at = share * (sorted.len() - 1) as f64;
        let (_, &mut low, above) = sorted.select_nth_unstable_by(at as usize, f32::total_cmp);
        let high = above.iter().copied().min_by(f32::total_cmp).unwrap_or(low);
        f64::from(low) + at.fract() * (f64::from(high) - f64::from(low))
    };
    let (low, high, median) = (percentile(0.005), percentile(0.995), percentile(0.5));
    let clipped: Vec<f32> = voxels.iter().map(|&value| value.clamp(low as f32, high as f32)).collect();
    let mean = clipped.iter().map(|&value| f64::from(value)).sum::<f64>() / clipped.len() as f64;
    let squares: f64 = clipped.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum();
    (median, (squares / clipped.len() as f64).sqrt())
}

/// A volume whose voxels are read one by one.
struct Scan<'a> {
    voxels: &'a [f32],
    volume: &'a Volume,
}

impl Scan<'_> {
    fn at(&self, voxel: [i64; 3]) -> f32 {
        let shape = self.volume.shape();
        if (0..3).any(|axis| voxel[axis] < 0 || voxel[axis] >= shape[axis] as i64) {
            return 0.0;
        }
        let [x, y, z] = voxel.map(|index| index as usize);
        self.voxels[x + shape[0] * (y + shape[1] * z)]
    }

    fn center(&self, anchor: [f64; 3], point: [f32; 3]) -> [f64; 3] {
        let at = self.volume.voxel_of([0, 1, 2].map(|axis| anchor[axis] + f64::from(point[axis])));
        [0, 1, 2].map(|axis| at[axis].clamp(0.0, (self.volume.shape()[axis] - 1) as f64))
    }

    /// A block around the nearest voxel, copied, then resized.
    fn plane(&self, center: [f64; 3]) -> Vec<f32> {
        let center = center.map(|at| at.round_ties_even() as i64);
        let spacing = self.volume.spacing();
        let extent = [0, 1].map(|axis| (32.0 / spacing[axis]).round_ties_even().max(1.0) as i64);
        let start = [0, 1].map(|axis| center[axis] - extent[axis] / 2);
        let block: Vec<f32> = (0..extent[0] * extent[1])
            .map(|i| self.at([start[0] + i / extent[1], start[1] + i % extent[1], center[2]]))
            .collect();
        let taps = |axis: usize, pixel: usize| {
            let at = ((pixel as f32 + 0.5) * extent[axis] as f32 / SIDE as f32 - 0.5).max(0.0);
            let lower = at as usize;
            (lower, (lower + 1).min(extent[axis] as usize - 1), at.fract())
        };
        let columns = extent[1] as usize;
        let pixel = |k: usize| {
            let ((x0, x1, wx), (y0, y1, wy)) = (taps(0, k / SIDE), taps(1, k % SIDE));
            let row = |y: usize| (1.0 - wx) * block[x0 * columns + y] + wx * block[x1 * columns + y];
            (1.0 - wy) * row(y0) + wy * row(y1)
        };
        (0..SIDE * SIDE).map(pixel).collect()
    }

    /// A grid of points, then its interpolation.
    fn rotated(&self, center: [f64; 3], rotation: &[[f64; 3]; 3]) -> Vec<f32> {
        let grid: Vec<[f64; 3]> = (0..SIDE * SIDE)
            .map(|k| {
                let plane = [2.0 * (k % SIDE) as f64 - 15.0, 2.0 * (k / SIDE) as f64 - 15.0];
                let offset = self.volume.to_voxels(rotation.map(|row| row[0] * plane[0] + row[1] * plane[1]));
                [0, 1, 2].map(|axis| center[axis] + offset[axis])
            })
            .collect();
        grid.iter().map(|&at| self.trilinear(at)).collect()
    }

    fn trilinear(&self, at: [f64; 3]) -> f32 {
        let floor = at.map(f64::floor);
        let weight = [0, 1, 2].map(|axis| (at[axis] - floor[axis]) as f32);
        let corner = |k: usize| {
            let voxel = [0, 1, 2].map(|axis| floor[axis] as i64 + (k >> axis & 1) as i64);
            let share = |axis: usize| if k >> axis & 1 == 1 { weight[axis] } else { 1.0 - weight[axis] };
            share(0) * share(1) * share(2) * self.at(voxel)
        };
        (0..8).map(corner).sum()
    }
}
