//! Two views of a volume, for contrastive training: view A in the planes of the volume, view B rotated.

use op::random::Random;

use crate::{LoaderError, Pixel, Sampler, Volume, volume::with_voxels};

use super::{
    direction,
    kernel::{self, Map, PIXELS, Voxel},
    plane::{Plane, Taps},
    rotated::Rotated,
    uniform,
};

/// Rows and columns of a patch.
pub const SIDE: usize = 16;
/// Edge of a patch, in millimeters.
const EDGE_MM: f64 = 32.0;
/// From the anchor of view A to every face of the volume, if it is large enough.
const MARGIN_MM: f64 = 46.0;
/// Range of the radii around anchors, and of the distance between them.
const RADIUS_MM: [f64; 2] = [20.0, 30.0];
/// Rotation about each axis, at most.
const MOST_DEGREES: f64 = 20.0;

/// Patches of 16 x 16 pixels in two views: [2, n, 16, 16].
///
/// In the order of the random numbers:
///
/// 1. A window for each view: center uniform in median ± std, width uniform in 2 std to 6 std, of the values clipped to
///    their 0.5th and 99.5th percentile. (A std up to 1e-6 counts as 1.) Pixels are
///    clamp(2 (v - center) / width, -1, 1).
/// 2. Anchor A: a voxel, uniform among those at least 46 mm from every face; the middle where the volume is too small.
/// 3. Anchor B: 20 to 30 mm from A in a uniform direction, moved into the volume.
/// 4. Rotation of view B: Rz Ry Rx by angles uniform in ±20°.
/// 5. For each view a radius of 20 to 30 mm, then n points around its anchor: uniform direction, distance uniform up to
///    the radius. The center of a patch is the point, moved into the volume.
///
/// View A: the voxel nearest to the center, the block of round(32 mm / spacing) voxels along x and y around it, resized
/// to 16 x 16 bilinearly (`align_corners=False`). Rows of a patch run along x, columns along y. View B: points 2 mm
/// apart from -15 to 15 mm, rotated, interpolated trilinearly (`align_corners=True`); columns run along the rotated x,
/// rows along the rotated y. Voxels outside the volume count as 0 in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsymmetricPatches {
    patches: usize,
}

impl AsymmetricPatches {
    /// With `patches` patches in each view.
    pub fn new(patches: usize) -> Self {
        Self { patches }
    }

    /// Everything random about a sample, without its pixels: what [`sample`](Sampler::sample) does first.
    pub fn draw(&self, volume: &Volume, random: &mut Random, views: &mut Views) {
        draw(volume, self.patches, random, views);
    }
}

/// The range of values that a view shows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Window {
    /// Its middle.
    pub center: f64,
    /// Its width.
    pub width: f64,
}

/// What a sample of [`AsymmetricPatches`] shows. View A first in every pair.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Views {
    /// The windows.
    pub windows: [Window; 2],
    /// The anchors, in millimeters.
    pub anchors: [[f64; 3]; 2],
    /// Angles about x, y and z, in degrees.
    pub degrees: [f64; 3],
    /// Rotation of view B, row by row.
    pub rotation: [[f64; 3]; 3],
    /// Radii around the anchors, in millimeters.
    pub radii: [f64; 2],
    /// Points relative to the anchor, in millimeters, before they are moved into the volume.
    pub points: [Vec<[f32; 3]>; 2],
}

impl Views {
    /// From anchor A to anchor B, in millimeters.
    pub fn delta(&self) -> [f64; 3] {
        [0, 1, 2].map(|axis| self.anchors[1][axis] - self.anchors[0][axis])
    }
}

impl Sampler for AsymmetricPatches {
    type Label = Views;

    fn shape(&self) -> Vec<usize> {
        vec![2, self.patches, SIDE, SIDE]
    }

    fn sample<T: Pixel>(
        &self,
        volume: &Volume,
        random: &mut Random,
        out: &mut [T],
        label: &mut Views,
    ) -> Result<(), LoaderError> {
        self.draw(volume, random, label);
        with_voxels!(volume.voxels(), voxels => views(volume, voxels, label, out));
        Ok(())
    }
}

/// Everything random about a sample.
fn draw(volume: &Volume, patches: usize, random: &mut Random, views: &mut Views) {
    let stats = volume.stats();
    let std = if stats.robust_std > 1e-6 { stats.robust_std } else { 1.0 };
    for window in &mut views.windows {
        window.center = uniform(random, stats.median - std, stats.median + std);
        window.width = uniform(random, 2.0 * std, 6.0 * std).max(1e-3);
    }
    let (shape, spacing) = (volume.shape(), volume.spacing());
    let anchor = [0, 1, 2].map(|axis| {
        let extent = shape[axis];
        // A margin beyond any extent leaves the middle.
        let margin = ((MARGIN_MM / spacing[axis]).ceil() as usize).min((extent - 1) / 2);
        (margin + random.below(extent - 2 * margin)) as f64
    });
    views.anchors[0] = volume.affine().apply(anchor);
    let distance = uniform(random, RADIUS_MM[0], RADIUS_MM[1]);
    let raw = moved(views.anchors[0], direction(random), distance);
    views.anchors[1] = volume.affine().apply(nearest_inside(volume, raw));
    views.degrees = [(); 3].map(|()| uniform(random, -MOST_DEGREES, MOST_DEGREES));
    views.rotation = rotation(views.degrees);
    views.radii = [(); 2].map(|()| uniform(random, RADIUS_MM[0], RADIUS_MM[1]));
    for (points, &radius) in views.points.iter_mut().zip(&views.radii) {
        points.clear();
        points.extend((0..patches).map(|_| {
            let direction = direction(random);
            let distance = uniform(random, 0.0, radius);
            direction.map(|x| (x * distance) as f32)
        }));
    }
}

fn views<T: Pixel, V: Voxel>(volume: &Volume, voxels: &[V], views: &Views, out: &mut [T]) {
    let (shape, spacing) = (volume.shape(), volume.spacing());
    let mut patch = [0.0; PIXELS];
    let (out_a, out_b) = out.split_at_mut(out.len() / 2);

    let extents = [0, 1].map(|axis| ((EDGE_MM / spacing[axis]).round_ties_even() as usize).max(1));
    let taps = extents.map(Taps::new);
    let map = map(volume, views.windows[0]);
    for (point, out) in views.points[0].iter().zip(out_a.chunks_exact_mut(PIXELS)) {
        let center = center(volume, views.anchors[0], *point).map(|at| at.round_ties_even() as usize);
        let start = [0, 1].map(|axis| center[axis] as i64 - (extents[axis] / 2) as i64);
        kernel::run(Plane { voxels, shape, start, z: center[2], taps: &taps, map, out: &mut patch });
        T::store(&patch, out);
    }

    let step = EDGE_MM / SIDE as f64;
    let axis = |column: usize| volume.to_voxels(views.rotation.map(|row| row[column] * step));
    let (column, row) = (axis(0), axis(1));
    let map = self::map(volume, views.windows[1]);
    for (point, out) in views.points[1].iter().zip(out_b.chunks_exact_mut(PIXELS)) {
        let center = center(volume, views.anchors[1], *point);
        let base = center.map(|at| at.floor() as i64);
        let half = (SIDE - 1) as f64 / 2.0;
        let first = [0, 1, 2].map(|axis| (center[axis] - base[axis] as f64 - half * (column[axis] + row[axis])) as f32);
        let (column, row) = (column.map(|x| x as f32), row.map(|x| x as f32));
        kernel::run(Rotated { voxels, shape, base, first, column, row, map, out: &mut patch });
        T::store(&patch, out);
    }
}

/// 2 (slope v + inter - center) / width as one multiplication and addition.
fn map(volume: &Volume, window: Window) -> Map {
    let scale = volume.scale();
    Map {
        factor: (2.0 * scale.slope / window.width) as f32,
        offset: (2.0 * (scale.inter - window.center) / window.width) as f32,
        outside: (-scale.inter / scale.slope) as f32,
    }
}

/// Voxel coordinates of a point relative to an anchor, moved into the volume.
fn center(volume: &Volume, anchor: [f64; 3], point: [f32; 3]) -> [f64; 3] {
    nearest_inside(volume, [0, 1, 2].map(|axis| anchor[axis] + f64::from(point[axis])))
}

fn nearest_inside(volume: &Volume, point_mm: [f64; 3]) -> [f64; 3] {
    let (at, shape) = (volume.voxel_of(point_mm), volume.shape());
    [0, 1, 2].map(|axis| at[axis].clamp(0.0, (shape[axis] - 1) as f64))
}

fn moved(from: [f64; 3], direction: [f64; 3], distance: f64) -> [f64; 3] {
    [0, 1, 2].map(|axis| from[axis] + distance * direction[axis])
}

/// Rz Ry Rx.
fn rotation(degrees: [f64; 3]) -> [[f64; 3]; 3] {
    let [(sx, cx), (sy, cy), (sz, cz)] = degrees.map(|angle| angle.to_radians().sin_cos());
    [
        [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
        [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
        [-sy, cy * sx, cy * cx],
    ]
}
