//! The definitions of samples, word by word, in f64 and without regard to speed: what the samplers are proved against.

use std::path::Path;

use nifti_decode::{Affine, Decoder, NiftiError, Orientation, Plan, VolumeFile};

use crate::{SIDE, Views};

/// A volume as nibabel's `as_closest_canonical` and `get_fdata` give it.
#[derive(Debug, Clone)]
pub struct Reference {
    values: Vec<f64>,
    shape: [usize; 3],
    affine: Affine,
}

impl Reference {
    /// Reads a file.
    ///
    /// # Errors
    /// Faults of the file.
    pub fn open(path: &Path) -> Result<Self, NiftiError> {
        let file = VolumeFile::open(path)?;
        let volume = file.decode::<f64>(&mut Decoder::new(), &Plan::scaled().oriented(Orientation::RAS))?;
        let shape = [0, 1, 2].map(|axis| volume.shape().get(axis).copied().unwrap_or(1));
        Ok(Self { shape, affine: volume.affine(), values: volume.into_voxels() })
    }

    /// Scaled values, x first.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Extents, x first.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The value of a voxel; 0 outside.
    pub fn at(&self, voxel: [i64; 3]) -> f64 {
        if (0..3).any(|axis| voxel[axis] < 0 || voxel[axis] >= self.shape[axis] as i64) {
            return 0.0;
        }
        let [x, y, z] = voxel.map(|index| index as usize);
        self.values[x + self.shape[0] * (y + self.shape[1] * z)]
    }

    /// Solves affine * voxel = point by Cramer's rule.
    pub fn voxel_of(&self, point: [f64; 3]) -> [f64; 3] {
        let a = self.affine.0;
        let determinant = |m: [[f64; 3]; 3]| -> f64 {
            m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
                + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
        };
        let linear = [0, 1, 2].map(|row| [a[row][0], a[row][1], a[row][2]]);
        [0, 1, 2].map(|column| {
            let mut replaced = linear;
            for row in 0..3 {
                replaced[row][column] = point[row] - a[row][3];
            }
            determinant(replaced) / determinant(linear)
        })
    }

    fn clamped(&self, voxel: [f64; 3]) -> [f64; 3] {
        [0, 1, 2].map(|axis| voxel[axis].clamp(0.0, (self.shape[axis] - 1) as f64))
    }

    fn trilinear(&self, voxel: [f64; 3]) -> f64 {
        let floor = voxel.map(f64::floor);
        let mut sum = 0.0;
        for corner in 0..8 {
            let mut weight = 1.0;
            let mut at = [0; 3];
            for axis in 0..3 {
                let rest = voxel[axis] - floor[axis];
                let is_upper = corner >> axis & 1 == 1;
                weight *= if is_upper { rest } else { 1.0 - rest };
                at[axis] = floor[axis] as i64 + i64::from(is_upper);
            }
            sum += weight * self.at(at);
        }
        sum
    }

    /// The pixels of both views of [`AsymmetricPatches`](crate::AsymmetricPatches).
    pub fn views(&self, views: &Views) -> Vec<f64> {
        let spacing = self.affine.spacing();
        let windowed = |value: f64, view: usize| {
            let window = views.windows[view];
            (2.0 * (value - window.center) / window.width).clamp(-1.0, 1.0)
        };
        let center = |view: usize, point: &[f32; 3]| {
            let anchor = views.anchors[view];
            self.clamped(self.voxel_of([0, 1, 2].map(|axis| anchor[axis] + f64::from(point[axis]))))
        };
        let mut pixels = Vec::new();
        for point in &views.points[0] {
            let center = center(0, point).map(|at| at.round_ties_even() as i64);
            let extent = [0, 1].map(|axis| (32.0 / spacing[axis]).round_ties_even().max(1.0) as i64);
            let start = [0, 1].map(|axis| center[axis] - extent[axis] / 2);
            for i in 0..SIDE {
                for j in 0..SIDE {
                    let taps = [(i, 0), (j, 1)].map(|(pixel, axis)| {
                        let at = ((pixel as f64 + 0.5) * extent[axis] as f64 / 16.0 - 0.5).max(0.0);
                        let lower = at.floor() as i64;
                        let upper = (lower + 1).min(extent[axis] - 1);
                        (start[axis] + lower, start[axis] + upper, at - at.floor())
                    });
                    let [(x0, x1, wx), (y0, y1, wy)] = taps;
                    let row = |y| (1.0 - wx) * self.at([x0, y, center[2]]) + wx * self.at([x1, y, center[2]]);
                    pixels.push(windowed((1.0 - wy) * row(y0) + wy * row(y1), 0));
                }
            }
        }
        for point in &views.points[1] {
            let center = center(1, point);
            let origin = self.affine.apply(center);
            for i in 0..SIDE {
                for j in 0..SIDE {
                    let plane = [2.0 * j as f64 - 15.0, 2.0 * i as f64 - 15.0];
                    let at = [0, 1, 2]
                        .map(|row| origin[row] + views.rotation[row][0] * plane[0] + views.rotation[row][1] * plane[1]);
                    pixels.push(windowed(self.trilinear(self.voxel_of(at)), 1));
                }
            }
        }
        pixels
    }

    /// A crop, z fastest.
    pub fn crop(&self, start: [i64; 3], [x, y, z]: [usize; 3]) -> Vec<f64> {
        let mut values = Vec::new();
        for i in 0..x as i64 {
            for j in 0..y as i64 {
                values.extend((0..z as i64).map(|k| self.at([start[0] + i, start[1] + j, start[2] + k])));
            }
        }
        values
    }
}
