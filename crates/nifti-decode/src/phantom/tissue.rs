//! Tissue of phantoms.

use rayon::prelude::*;

use super::{
    field::Field,
    noise::{Normals, Random},
};

/// Distance of voxel `i` from the middle of `n` voxels, in units of `size` times the half extent.
fn from_middle(i: usize, n: usize, size: f32) -> f32 {
    (i as f32 + 0.5 - n as f32 / 2.0) / (n as f32 / 2.0 * size)
}

/// Fills rows of x, planes in parallel; each plane has its own stream of random numbers.
fn planes<T: Send + Default + Clone>(
    [nx, ny, nz]: [usize; 3],
    seed: u64,
    row: impl Fn(&mut Random, usize, usize, &mut [T]) + Sync,
) -> Vec<T> {
    let mut voxels = vec![T::default(); nx * ny * nz];
    voxels.par_chunks_mut((nx * ny).max(1)).enumerate().for_each(|(z, plane)| {
        let mut random = Random::stream(seed, z as u64);
        for (y, voxels) in plane.chunks_mut(nx.max(1)).enumerate() {
            row(&mut random, y, z, voxels);
        }
    });
    voxels
}

/// A skull-stripped brain: an ellipsoid with a folded border.
#[derive(Debug)]
pub(super) struct Brain {
    extents: [usize; 3],
    seed: u64,
    folds: Field,
    fine: Field,
    regions: Field,
    bias: Field,
}

impl Brain {
    /// Share of the half extents: 23 % of the voxels are inside.
    const SIZE: f32 = 0.766;
    /// Standard deviation of each channel's noise.
    const SIGMA: f32 = 12.0;

    pub(super) fn new(extents: [usize; 3], seed: u64) -> Self {
        Self {
            extents,
            seed,
            folds: Field::new(12, extents, seed),
            fine: Field::new(6, extents, seed),
            regions: Field::new(40, extents, seed),
            bias: Field::new(80, extents, seed),
        }
    }

    /// Distance from the middle for a row, 1 at the border.
    fn radii(&self, y: usize, z: usize, folds: &[f32], out: &mut [f32]) {
        let [nx, ny, nz] = self.extents;
        let (v, w) = (from_middle(y, ny, Self::SIZE), from_middle(z, nz, Self::SIZE));
        for (x, out) in out.iter_mut().enumerate() {
            let u = from_middle(x, nx, Self::SIZE);
            *out = (u * u + v * v + w * w).sqrt() * (1.0 + 0.05 * folds[x]);
        }
    }

    /// Magnitudes without noise for a row; 0 outside.
    fn magnitudes(&self, y: usize, z: usize, out: &mut [f32]) {
        let rows = || vec![0.0; out.len()];
        let (mut folds, mut fine, mut bias, mut radii) = (rows(), rows(), rows(), rows());
        self.folds.row(y, z, &mut folds);
        self.fine.row(y, z, &mut fine);
        self.bias.row(y, z, &mut bias);
        self.radii(y, z, &folds, &mut radii);
        for (x, out) in out.iter_mut().enumerate() {
            let tissue = match radii[x] {
                r if r >= 1.0 => 0.0,
                // Fluid, gray and white matter.
                r if !(0.22..=0.93).contains(&r) => 90.0,
                _ if folds[x] + 0.5 * fine[x] > 0.0 => 300.0,
                _ => 420.0,
            };
            *out = tissue * (1.0 + 0.15 * bias[x]);
        }
    }

    /// Magnitudes with Rician noise and the background set to 0; `time` selects the noise.
    pub(super) fn scan(&self, time: u64) -> Vec<i16> {
        let normals = Normals::new(self.seed);
        planes(self.extents, self.seed ^ time << 32, |random, y, z, voxels: &mut [i16]| {
            let mut magnitudes = vec![0.0; voxels.len()];
            self.magnitudes(y, z, &mut magnitudes);
            for (voxel, magnitude) in voxels.iter_mut().zip(magnitudes).filter(|(_, magnitude)| *magnitude > 0.0) {
                *voxel = rician(magnitude, &normals, random).round() as i16;
            }
        })
    }

    /// Magnitudes with noise everywhere, not rounded, as in a reconstruction before the background is removed.
    pub(super) fn unrounded(&self) -> Vec<f32> {
        let normals = Normals::new(self.seed);
        planes(self.extents, self.seed, |random, y, z, voxels: &mut [f32]| {
            self.magnitudes(y, z, voxels);
            for voxel in voxels {
                *voxel = rician(*voxel, &normals, random);
            }
        })
    }

    /// Regions as labels, 0 outside, with the smooth borders of a segmentation.
    pub(super) fn labels(&self) -> Vec<u8> {
        planes(self.extents, self.seed, |_, y, z, voxels: &mut [u8]| {
            let rows = || vec![0.0; voxels.len()];
            let (mut regions, mut radii) = (rows(), rows());
            self.regions.row(y, z, &mut regions);
            self.radii(y, z, &regions, &mut radii);
            for ((voxel, region), radius) in voxels.iter_mut().zip(regions).zip(radii) {
                *voxel = match radius {
                    r if r >= 1.0 => 0,
                    r if r < 0.22 => 1,
                    _ if region > 0.0 => 2,
                    _ => 3,
                };
            }
        })
    }
}

/// A magnitude whose real and imaginary parts have noise.
fn rician(magnitude: f32, normals: &Normals, random: &mut Random) -> f32 {
    let [real, imaginary, ..] = normals.draw(random).map(|normal| Brain::SIGMA * normal);
    ((magnitude + real).powi(2) + imaginary.powi(2)).sqrt()
}

/// A chest: fat and muscle, two lungs, a spine, in a circular field of view.
#[derive(Debug)]
pub(super) struct Ct {
    extents: [usize; 3],
    seed: u64,
    organs: Field,
}

impl Ct {
    /// Radius of the field of view, in half extents.
    const FIELD_OF_VIEW: f32 = 0.97;

    pub(super) fn new(extents: [usize; 3], seed: u64) -> Self {
        Self { extents, seed, organs: Field::new(24, extents, seed) }
    }

    /// Hounsfield units.
    pub(super) fn scan(&self) -> Vec<i16> {
        let normals = Normals::new(self.seed);
        let [nx, ny, _] = self.extents;
        planes(self.extents, self.seed, |random, y, z, voxels: &mut [i16]| {
            let mut organs = vec![0.0; nx];
            self.organs.row(y, z, &mut organs);
            let v = from_middle(y, ny, 1.0);
            let mut drawn = [0.0; 4];
            for (x, voxel) in voxels.iter_mut().enumerate() {
                if x % 4 == 0 {
                    drawn = normals.draw(random);
                }
                let u = from_middle(x, nx, 1.0);
                let (value, sigma) = Self::tissue(u, v, organs[x]);
                *voxel = (value + sigma * drawn[x % 4]).round().clamp(-1024.0, 3071.0) as i16;
            }
        })
    }

    /// Value and noise at u, v in -1..1.
    fn tissue(u: f32, v: f32, organs: f32) -> (f32, f32) {
        let within = |x: f32, y: f32, a: f32, b: f32| ((u - x) / a).powi(2) + ((v - y) / b).powi(2) < 1.0;
        if u * u + v * v >= Self::FIELD_OF_VIEW * Self::FIELD_OF_VIEW {
            (-1024.0, 0.0)
        } else if within(0.0, 0.45, 0.09, 0.09) {
            (500.0 + 120.0 * organs, 14.0)
        } else if within(-0.32, -0.02, 0.22, 0.34) || within(0.32, -0.02, 0.22, 0.34) {
            (-820.0 + 80.0 * organs, 14.0)
        } else if within(0.0, 0.0, 0.8, 0.62) {
            (40.0 + if organs > 0.0 { 100.0 * organs } else { 100.0 * organs.max(-1.4) }, 14.0)
        } else {
            (-1000.0, 8.0)
        }
    }
}
