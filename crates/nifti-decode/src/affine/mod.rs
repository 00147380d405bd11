//! From voxel indices to space: sform, qform, or what the extents alone say.
//!
//! Lengths are in the header's unit, [`Header::space_unit`], as in nibabel: millimeters in nearly every file.

mod moved;
mod orientation;
mod polar;

use std::fmt;

use serde::Serialize;

use crate::{Header, Version};

pub(crate) use orientation::Reorientation;
pub use orientation::{AxisCode, Orientation, UnknownOrientation};

/// Maps voxel indices (x, y, z, 1) to coordinates that grow to the right, front and top (RAS+), in the header's unit of
/// length. Row by row; the last row is 0, 0, 0, 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Affine(pub [[f64; 4]; 4]);

/// The fields that an affine comes from, in the order of precedence.
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

impl fmt::Display for AffineSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sform => "sform",
            Self::Qform => "qform",
            Self::Base => "pixdim and dim alone",
            Self::Origin => "pixdim and origin",
        })
    }
}

impl Affine {
    /// The identity.
    pub const IDENTITY: Affine =
        Affine([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]);

    /// The affine of a header, and the fields that it comes from: the sform before the qform before the extents, as
    /// nibabel chooses.
    pub fn of(header: &Header) -> (Self, AffineSource) {
        if header.version == Version::Analyze {
            return (origin(header), AffineSource::Origin);
        }
        if header.sform_code != 0 {
            return (header.sform(), AffineSource::Sform);
        }
        match qform(header) {
            Some(affine) if header.qform_code != 0 => (affine, AffineSource::Qform),
            _ => (base(header), AffineSource::Base),
        }
    }

    /// `self` after `other`: the map that applies `other` first.
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

    /// Length of a step along each voxel axis, in the affine's unit.
    pub fn spacing(&self) -> [f64; 3] {
        [0, 1, 2].map(|axis| (0..3).map(|row| self.0[row][axis].powi(2)).sum::<f64>().sqrt())
    }

    /// Whether this maps voxels to a volume: every number is finite, and no axis is lost. Axes whose unit vectors span
    /// less than a millionth of a cube count as lost: the rounding of stored numbers alone makes more of a plane.
    pub fn is_invertible(&self) -> bool {
        let spacing = self.spacing();
        let unit = [0, 1, 2].map(|row| [0, 1, 2].map(|axis| self.0[row][axis] / spacing[axis]));
        let has_volume = moved::determinant(&unit).abs() > 1e-6;
        has_volume && self.0.as_flattened().iter().chain(&spacing).all(|value| value.is_finite())
    }

    /// Which way each voxel axis runs.
    pub fn orientation(&self) -> [Option<AxisCode>; 3] {
        orientation::of_affine(self)
    }

    /// Coordinates of a voxel.
    pub fn apply(&self, voxel: [f64; 3]) -> [f64; 3] {
        [0, 1, 2].map(|row| {
            let m = self.0[row];
            m[0] * voxel[0] + m[1] * voxel[1] + m[2] * voxel[2] + m[3]
        })
    }
}

/// The real part of the header's unit quaternion, or `None` where b, c and d alone are longer than 1.
///
/// Up to three times the rounding of the stored type counts as 0: a rotation by 180 degrees.
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

/// The unit vectors that the voxel axes run along, as columns: the rotation by the header's quaternion, its third axis
/// mirrored by qfac.
fn rotation(header: &Header) -> Option<[[f64; 3]; 3]> {
    let (w, x, y, z) = (real_part(header)?, header.quatern_b, header.quatern_c, header.quatern_d);
    // Rounding leaves it not exactly of length 1: the norm corrects that.
    let norm = w * w + x * x + y * y + z * z;
    let s = 2.0 / norm;
    let qfac = if header.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
    let rotation = [
        [1.0 - s * (y * y + z * z), s * (x * y - w * z), s * (x * z + w * y)],
        [s * (x * y + w * z), 1.0 - s * (x * x + z * z), s * (y * z - w * x)],
        [s * (x * z - w * y), s * (y * z + w * x), 1.0 - s * (x * x + y * y)],
    ];
    Some(rotation.map(|[a, b, c]| [a, b, c * qfac]))
}

/// The rotation times the distances, and the offset.
pub(crate) fn qform(header: &Header) -> Option<Affine> {
    let rotation = rotation(header)?;
    let [_, dx, dy, dz, ..] = header.pixdim;
    let offset = [header.qoffset_x, header.qoffset_y, header.qoffset_z];
    let mut affine = Affine::IDENTITY;
    for row in 0..3 {
        let [a, b, c] = rotation[row];
        affine.0[row] = [a * dx, b * dy, c * dz, offset[row]];
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

/// SPM counts the origin from 1, and ignores one far outside the volume.
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

    /// A rotation by 180 degrees, stored in f32, has a real part that is 0 up to rounding. A longer quaternion is not a
    /// rotation.
    #[test]
    fn the_real_part_of_half_a_rotation_is_zero() {
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
    fn an_affine_without_volume_is_not_invertible() {
        assert!(Affine::IDENTITY.is_invertible());
        let with = |rows: [[f64; 4]; 3]| Affine([rows[0], rows[1], rows[2], [0.0, 0.0, 0.0, 1.0]]).is_invertible();
        assert!(with([[1e-9, 0.0, 0.0, 0.0], [0.0, 1e9, 0.0, 0.0], [0.5e-9, 0.0, 1.0, 0.0]]));
        assert!(!with([[0.0; 4]; 3]));
        assert!(!with([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]));
        // Three axes in one plane, up to the rounding of f32.
        assert!(!with([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 2.000_000_2, 0.0]]));
        assert!(!with([[f64::NAN, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]));
        assert!(!with([[1.0, 0.0, 0.0, f64::INFINITY], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]));
        assert!(!with([[1e300, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]));
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
