//! Smooth random fields for tissue borders and shading.

use super::noise::Random;

/// Normally distributed values on a coarse grid, with trilinear interpolation between them.
#[derive(Debug)]
pub(super) struct Field {
    cell: f32,
    extents: [usize; 3],
    nodes: Vec<f32>,
}

impl Field {
    /// Nodes every `cell` voxels over a volume of `extents`.
    pub(super) fn new(cell: usize, extents: [usize; 3], seed: u64) -> Self {
        let extents = extents.map(|extent| extent / cell + 2);
        let mut random = Random::stream(seed, cell as u64);
        let nodes = (0..extents.iter().product::<usize>()).map(|_| random.normal()).collect();
        Self { cell: cell as f32, extents, nodes }
    }

    /// The values of the row of voxels at y and z.
    pub(super) fn row(&self, y: usize, z: usize, out: &mut [f32]) {
        let [nx, ny, _] = self.extents;
        let at = |voxel: usize| {
            let at = voxel as f32 / self.cell;
            (at as usize, at.fract())
        };
        let ((j, fy), (k, fz)) = (at(y), at(z));
        let node = |i: usize, dj: usize, dk: usize| self.nodes[((k + dk) * ny + j + dj) * nx + i];
        let coarse: Vec<f32> = (0..nx)
            .map(|i| {
                let near = node(i, 0, 0) * (1.0 - fy) + node(i, 1, 0) * fy;
                let far = node(i, 0, 1) * (1.0 - fy) + node(i, 1, 1) * fy;
                near * (1.0 - fz) + far * fz
            })
            .collect();
        for (x, out) in out.iter_mut().enumerate() {
            let (i, fx) = at(x);
            *out = coarse[i] * (1.0 - fx) + coarse[i + 1] * fx;
        }
    }
}
