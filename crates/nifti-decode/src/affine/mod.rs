//! From voxels to millimeters: sform, qform, or what the extents alone say.

mod orientation;
mod polar;

use serde::Serialize;

use crate::{Header, Version};

pub(crate) use orientation::Reorientation;
pub use orientation::{AxisCode, Orientation, UnknownOrientation};

/// Maps voxel indices (x, y, z, 1) to millimeters to the right, front and top (RAS+). Row by row; the last row is 0, 0, 0, 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Affine(pub [[f64; 4]; 4]);

/// Where an affine comes from, in the order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AffineSource {
    /// `srow_x`, `srow_y`, `srow_z`; `sform_code` is not 0.
    Sform,
    /// The quaternion, its offset and the distances of voxels; `qform_code` is not 0.
    Qform,
    /// Distances of voxels alone: the volume's center at 0, x to the left.
    Base,
    /// The origin that SPM keeps in ANALYZE files, or the center; x to the left.
    Origin,
}

impl Affine {
    /// The identity.
    pub const IDENTITY: Affine =
        Affine([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]);

    /// The affine that a header asks for, and which of its fields it comes from: sform before qform before the extents, as
    /// nibabel chooses.
    pub fn of(header: &Header) -> (Self, AffineSource) {
        if header.version == Version::Analyze {
            return (origin(header), AffineSource::Origin);
        }
        if header.sform_code != 0 {
            return (Self([header.srow_x, header.srow_y, header.srow_z, [0.0, 0.0, 0.0, 1.0]]), AffineSource::Sform);
        }
        match qform(header) {
            Some(affine) if header.qform_code != 0 => (affine, AffineSource::Qform),
            _ => (base(header), AffineSource::Base),
        }
    }

    /// `self` after `other`: maps what `other` takes.
    #[must_use]
    pub fn after(&self, other: &Self) -> Self {
        let mut product = [[0.0; 4]; 4];
        for (row, left) in product.iter_mut().zip(&self.0) {
            for (column, value) in row.iter_mut().enumerate() {
                *value = (0..4).map(|k| left[k] * other.0[k][column]).sum();
            }
        }
        Self(product)
    }

    /// Lengths of a step along each voxel axis, in millimeters.
    pub fn spacing_mm(&self) -> [f64; 3] {
        [0, 1, 2].map(|axis| (0..3).map(|row| self.0[row][axis].powi(2)).sum::<f64>().sqrt())
    }

    /// Which way each voxel axis runs.
    pub fn orientation(&self) -> [Option<AxisCode>; 3] {
        orientation::of_affine(self)
    }

    /// Millimetres of a voxel.
    pub fn apply(&self, voxel: [f64; 3]) -> [f64; 3] {
        [0, 1, 2].map(|row| {
            let m = self.0[row];
            m[0] * voxel[0] + m[1] * voxel[1] + m[2] * voxel[2] + m[3]
        })
    }
}

/// The real part of the header's unit quaternion, or `None` where b, c and d alone are longer than 1.
///
/// What is within three times the rounding of the stored type counts as 0: a rotation by half a turn.
pub(crate) fn real_part(header: &Header) -> Option<f64> {
    let eps = if header.version == Version::Nifti2 { f64::EPSILON } else { f64::from(f32::EPSILON) };
    let rest = 1.0 - (header.quatern_b.powi(2) + header.quatern_c.powi(2) + header.quatern_d.powi(2));
    if rest.abs() < 3.0 * eps {
        Some(0.0)
    } else if rest > 0.0 {
        Some(rest.sqrt())
    } else {
        None
    }
}

/// Rotation by the unit quaternion, times the distances; qfac mirrors the third axis.
fn qform(header: &Header) -> Option<Affine> {
    let (w, x, y, z) = (real_part(header)?, header.quatern_b, header.quatern_c, header.quatern_d);
    // Not exactly a unit after rounding: dividing by the norm makes it one.
    let norm = w * w + x * x + y * y + z * z;
    let s = 2.0 / norm;
    let rotation = [
        [1.0 - s * (y * y + z * z), s * (x * y - w * z), s * (x * z + w * y)],
        [s * (x * y + w * z), 1.0 - s * (x * x + z * z), s * (y * z - w * x)],
        [s * (x * z - w * y), s * (y * z + w * x), 1.0 - s * (x * x + y * y)],
    ];
    let qfac = if header.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
    let [_, dx, dy, dz, ..] = header.pixdim;
    let offset = [header.qoffset_x, header.qoffset_y, header.qoffset_z];
    let mut affine = Affine::IDENTITY;
    for row in 0..3 {
        let [a, b, c] = rotation[row];
        affine.0[row] = [a * dx, b * dy, c * dz * qfac, offset[row]];
    }
    Some(affine)
}

fn diagonal(zooms: [f64; 3], voxel_at_zero: [f64; 3]) -> Affine {
    let mut affine = Affine::IDENTITY;
    for axis in 0..3 {
        affine.0[axis][axis] = zooms[axis];
        affine.0[axis][3] = -voxel_at_zero[axis] * zooms[axis];
    }
    affine
}

/// Distances and extents of the three spatial axes, x mirrored; axes that are not there are one voxel of 1 mm.
fn spatial(header: &Header) -> ([f64; 3], [f64; 3]) {
    let n_axes = header.dim[0];
    let value = |axis: usize, there: f64| if axis as i64 <= n_axes { there } else { 1.0 };
    let zooms = [1, 2, 3].map(|axis| value(axis, header.pixdim[axis]));
    let extents = [1, 2, 3].map(|axis| value(axis, header.dim[axis] as f64));
    ([-zooms[0], zooms[1], zooms[2]], extents)
}

fn base(header: &Header) -> Affine {
    let (zooms, extents) = spatial(header);
    diagonal(zooms, extents.map(|extent| (extent - 1.0) / 2.0))
}

/// SPM counts the origin from 1, and ignores one that lies far outside.
fn origin(header: &Header) -> Affine {
    let (zooms, extents) = spatial(header);
    let origin = header.origin.map(|v| v as f64);
    let is_set = origin.iter().any(|&v| v != 0.0);
    let is_near = origin.iter().zip(&extents).all(|(&v, &extent)| v > -extent && v < 2.0 * extent);
    if is_set && is_near {
        diagonal(zooms, origin.map(|v| v - 1.0))
    } else {
        diagonal(zooms, extents.map(|extent| (extent - 1.0) / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Datatype;

    fn header() -> Header {
        let mut header = Header::new(Version::Nifti1, Datatype::Int16, &[3, 5, 7]).unwrap();
        header.pixdim[1..4].copy_from_slice(&[3.0, 2.0, 1.0]);
        header
    }

    #[test]
    fn precedence_is_sform_qform_base() {
        let mut h = header();
        let (affine, source) = Affine::of(&h);
        assert_eq!(source, AffineSource::Base);
        assert_eq!(affine.0[..3], [[-3.0, 0.0, 0.0, 3.0], [0.0, 2.0, 0.0, -4.0], [0.0, 0.0, 1.0, -3.0]]);
        h.qform_code = 1;
        (h.qoffset_x, h.qoffset_y, h.qoffset_z) = (10.0, 20.0, 30.0);
        let (affine, source) = Affine::of(&h);
        assert_eq!(source, AffineSource::Qform);
        assert_eq!(affine.0[..3], [[3.0, 0.0, 0.0, 10.0], [0.0, 2.0, 0.0, 20.0], [0.0, 0.0, 1.0, 30.0]]);
        h.sform_code = 1;
        h.srow_x = [0.0, 0.0, 4.0, 1.0];
        assert_eq!(Affine::of(&h).1, AffineSource::Sform);
        assert_eq!(Affine::of(&h).0.0[0], [0.0, 0.0, 4.0, 1.0]);
    }

    #[test]
    fn qfac_mirrors_the_third_axis() {
        let mut h = header();
        h.qform_code = 1;
        h.pixdim[0] = -1.0;
        assert_eq!(Affine::of(&h).0.0[2][2], -1.0);
    }

    /// A half turn, stored in f32, has a real part that is 0 but for rounding; a longer quaternion is none.
    #[test]
    fn the_real_part_of_a_half_turn_is_zero() {
        let mut h = header();
        h.quatern_b = f64::from(0.6_f32);
        h.quatern_c = f64::from(0.8_f32);
        assert_eq!(real_part(&h), Some(0.0));
        h.quatern_d = 0.1;
        assert_eq!(real_part(&h), None);
        h.version = Version::Nifti2;
        (h.quatern_b, h.quatern_c, h.quatern_d) = (0.6, 0.0, 0.0);
        assert_eq!(real_part(&h), Some((1.0_f64 - 0.36).sqrt()));
    }

    #[test]
    fn analyze_takes_an_origin_that_is_near() {
        let mut h = header();
        h.version = Version::Analyze;
        h.origin = [3, 4, 5];
        assert_eq!(Affine::of(&h).0.0.map(|row| row[3])[..3], [6.0, -6.0, -4.0]);
        h.origin = [300, 4, 5];
        assert_eq!(Affine::of(&h).0.0.map(|row| row[3])[..3], [3.0, -4.0, -3.0]);
    }
}
