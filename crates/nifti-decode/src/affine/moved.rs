//! Headers of volumes that are reoriented, cropped, or stored in another version.
//!
//! Every field that speaks of an axis follows: extents, distances, both transforms with their codes, the encoding
//! directions of `dim_info`, and the times of the slices. The slices keep their times: where the slice axis is
//! reversed, an order that increased now decreases.

use std::ops::Range;

use super::{Affine, AffineSource, Reorientation, rotation};
use crate::{Header, NiftiError, Orientation, Version};

/// `sform_code` of a transform that nobody measured: "aligned", as nibabel writes it.
const ALIGNED: i32 = 2;

impl Header {
    /// This header with its axes in the order `wanted`. A header that has the order already is returned as it is.
    ///
    /// Both codes stay: a transform to a template remains one. Where the header has neither transform, the affine that
    /// its extents stand for becomes the sform, because the new extents stand for another one. ANALYZE headers, which
    /// have no transform, become NIfTI-1. Extensions, and files beside the volume such as `.bvec`, may speak of axes
    /// too; nothing here knows them.
    ///
    /// # Errors
    /// [`NiftiError::NoOrientation`] where the affine maps an axis to nothing; [`NiftiError::Unstorable`] where an
    /// extent does not fit its new axis; those of [`shape`](Self::shape).
    pub fn reoriented(&self, wanted: Orientation) -> Result<Self, NiftiError> {
        if self.version == Version::Analyze {
            return self.to_version(Version::Nifti1)?.reoriented(wanted);
        }
        let (affine, source) = Affine::of(self);
        let reorientation = Reorientation::between(affine.orientation(), wanted).ok_or(NiftiError::NoOrientation)?;
        if reorientation == Reorientation::IDENTITY {
            return Ok(self.clone());
        }
        let mut shape = self.shape()?;
        // An axis that is not there has one voxel, and may become the first.
        shape.resize(shape.len().max(3), 1);
        let stored = [shape[0], shape[1], shape[2]];
        let map = reorientation.affine(stored);
        for (extent, from) in shape.iter_mut().zip(reorientation.from) {
            *extent = stored[from];
        }
        let mut header = self.clone();
        header.set_shape(&shape)?;
        for (out, from) in reorientation.from.into_iter().enumerate() {
            header.pixdim[1 + out] = self.pixdim[1 + from];
        }
        header.follow_encoding(&reorientation, stored);
        match source {
            AffineSource::Base | AffineSource::Origin => {
                header.set_sform(&affine.after(&map));
                header.sform_code = ALIGNED;
            }
            AffineSource::Sform | AffineSource::Qform => {
                if self.sform_code > 0 {
                    header.set_sform(&self.sform().after(&map));
                }
                if self.qform_code > 0 {
                    header.follow_qform(self, &reorientation, &map);
                }
            }
        }
        Ok(header)
    }

    /// The header of the part of the volume that `ranges` select, x first; axes that are left out are whole. Both
    /// transforms place the part where it lies in the volume, and `toffset` follows the fourth axis. Where slices are
    /// cut off, the order of the slices in time is no longer known to the header, and is dropped.
    ///
    /// # Errors
    /// [`NiftiError::Region`] for a range that is empty or beyond the volume; those of
    /// [`to_version`](Self::to_version).
    pub fn cropped(&self, ranges: &[Range<usize>]) -> Result<Self, NiftiError> {
        if self.version == Version::Analyze {
            return self.to_version(Version::Nifti1)?.cropped(ranges);
        }
        let mut shape = self.shape()?;
        let mut header = self.clone();
        let mut start = [0.0; 3];
        for (axis, range) in ranges.iter().enumerate() {
            let extent = shape.get(axis).copied().unwrap_or(0);
            if range.start >= range.end || range.end > extent {
                let (start, end, extent) = (range.start as u64, range.end as u64, extent as u64);
                return Err(NiftiError::Region { axis, start, end, extent });
            }
            if range.len() == extent {
                continue;
            }
            shape[axis] = range.len();
            match axis {
                0..3 => start[axis] = range.start as f64,
                3 => header.toffset += range.start as f64 * header.pixdim[4],
                _ => {}
            }
            if self.encoding_axes()[2] == Some(axis) {
                (header.slice_code, header.slice_start, header.slice_end) = (0, 0, 0);
            }
        }
        if shape == self.shape()? {
            return Ok(header);
        }
        header.set_shape(&shape)?;
        let (affine, source) = Affine::of(self);
        let place = |affine: &Affine| {
            let mut placed = *affine;
            let offset = affine.apply(start);
            for (row, offset) in placed.0.iter_mut().zip(offset) {
                row[3] = offset;
            }
            placed
        };
        if self.sform_code > 0 {
            header.set_sform(&place(&self.sform()));
        }
        if let Some(qform) = super::qform(self).filter(|_| self.qform_code > 0) {
            [header.qoffset_x, header.qoffset_y, header.qoffset_z] = qform.apply(start);
        }
        if matches!(source, AffineSource::Base | AffineSource::Origin) {
            header.set_sform(&place(&affine));
            header.sform_code = ALIGNED;
        }
        Ok(header)
    }

    /// This header in the layout of `version`, with the same shape, scaling and affine.
    ///
    /// What ANALYZE has no field for is made explicit: the affine becomes the sform, and SPM's scaling the slope.
    ///
    /// # Errors
    /// [`NiftiError::Unstorable`] where the version cannot hold an extent; those of [`shape`](Self::shape) and
    /// [`scale`](Self::scale).
    pub fn to_version(&self, version: Version) -> Result<Self, NiftiError> {
        let shape = self.shape()?;
        let mut header = Self { version, ..self.clone() };
        if self.version == Version::Analyze && version != Version::Analyze {
            header.set_sform(&Affine::of(self).0);
            header.sform_code = ALIGNED;
            header.origin = [0; 3];
            (header.glmin, header.glmax) = (0, 0);
            let scale = self.scale()?;
            (header.scl_slope, header.scl_inter) = scale.map_or((0.0, 0.0), |scale| (scale.slope, scale.inter));
        }
        header.set_shape(&shape)?;
        if !header.is_pair {
            header.vox_offset = header.vox_offset.max(version.least_vox_offset() as f64);
        }
        Ok(header)
    }

    /// The matrix as an affine, whatever its code says.
    pub(crate) fn sform(&self) -> Affine {
        Affine([self.srow_x, self.srow_y, self.srow_z, [0.0, 0.0, 0.0, 1.0]])
    }

    fn set_sform(&mut self, affine: &Affine) {
        [self.srow_x, self.srow_y, self.srow_z] = [affine.0[0], affine.0[1], affine.0[2]];
    }

    /// The encoding directions and the slices, after `reorientation` of a volume with the extents `stored`.
    fn follow_encoding(&mut self, reorientation: &Reorientation, stored: [usize; 3]) {
        let axes = self.encoding_axes();
        for (axis, shift) in axes.into_iter().zip([0, 2, 4]) {
            let Some(from) = axis else { continue };
            let to = reorientation.to(from) as i32 + 1;
            self.dim_info = (self.dim_info & !(3 << shift)) | (to << shift);
        }
        let Some(slices) = axes[2].filter(|&from| reorientation.flip[reorientation.to(from)]) else { return };
        // 1 and 2, 3 and 4, 5 and 6 are the same order in opposite directions.
        if (1..=6).contains(&self.slice_code) {
            self.slice_code = ((self.slice_code - 1) ^ 1) + 1;
        }
        let last = stored[slices] as i64 - 1;
        let (start, end) = (self.slice_start, self.slice_end);
        // 0 and 0 say nothing, as does what lies outside.
        if 0 <= start && start <= end && end <= last && (start, end) != (0, 0) {
            (self.slice_start, self.slice_end) = (last - end, last - start);
        }
    }

    /// The quaternion, qfac and offset of `before`, after `reorientation`.
    fn follow_qform(&mut self, before: &Header, reorientation: &Reorientation, map: &Affine) {
        let (Some(axes), Some(affine)) = (rotation(before), super::qform(before)) else { return };
        // Columns move as the axes do; reversed ones change sign.
        let mut columns = [0, 1, 2].map(|row| {
            [0, 1, 2].map(|out| axes[row][reorientation.from[out]] * if reorientation.flip[out] { -1.0 } else { 1.0 })
        });
        let qfac = if determinant(&columns) < 0.0 { -1.0 } else { 1.0 };
        for row in &mut columns {
            row[2] *= qfac;
        }
        self.pixdim[0] = qfac;
        [_, self.quatern_b, self.quatern_c, self.quatern_d] = quaternion(&columns);
        let offset = affine.after(map).0.map(|row| row[3]);
        [self.qoffset_x, self.qoffset_y, self.qoffset_z, _] = offset;
    }
}

impl Reorientation {
    /// The output axis that the stored axis `from` becomes.
    fn to(&self, from: usize) -> usize {
        self.from.iter().position(|&stored| stored == from).unwrap_or(from)
    }
}

pub(super) fn determinant(m: &[[f64; 3]; 3]) -> f64 {
    let minor = |a: usize, b: usize| m[1][a] * m[2][b] - m[1][b] * m[2][a];
    m[0][0] * minor(1, 2) - m[0][1] * minor(0, 2) + m[0][2] * minor(0, 1)
}

/// The unit quaternion of a rotation, real part first and not negative.
///
/// The largest of the four parts is taken from the diagonal, so that nothing is divided by a number near 0, and the
/// others from the elements beside it.
fn quaternion(m: &[[f64; 3]; 3]) -> [f64; 4] {
    let [[xx, _, _], [_, yy, _], [_, _, zz]] = *m;
    let squares = [1.0 + xx + yy + zz, 1.0 + xx - yy - zz, 1.0 - xx + yy - zz, 1.0 - xx - yy + zz];
    // Four times the products of two parts each.
    let (wx, wy, wz) = (m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]);
    let (xy, xz, yz) = (m[0][1] + m[1][0], m[0][2] + m[2][0], m[1][2] + m[2][1]);
    let mut largest = 0;
    for part in 1..4 {
        if squares[part] > squares[largest] {
            largest = part;
        }
    }
    let twice = squares[largest].max(0.0).sqrt();
    let row = [[squares[0], wx, wy, wz], [wx, squares[1], xy, xz], [wy, xy, squares[2], yz], [wz, xz, yz, squares[3]]]
        [largest];
    let sign = if row[0] < 0.0 { -1.0 } else { 1.0 };
    row.map(|product| sign * product / (2.0 * twice))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Datatype;

    /// A header with a measured, oblique qform and another sform.
    fn header(codes: (i32, i32)) -> Header {
        let mut h = Header::new(Version::Nifti1, Datatype::Int16, &[3, 5, 7, 2]).unwrap();
        h.pixdim = [-1.0, 2.0, 3.0, 4.0, 1.5, 1.0, 1.0, 1.0];
        (h.quatern_b, h.quatern_c, h.quatern_d) = (0.1, 0.9, 0.2);
        (h.qoffset_x, h.qoffset_y, h.qoffset_z) = (-20.0, 30.0, 40.0);
        let affine = super::super::qform(&h).unwrap();
        h.set_sform(&affine);
        h.srow_x[3] += 100.0;
        (h.qform_code, h.sform_code) = codes;
        h
    }

    fn assert_near(a: &Affine, b: &Affine) {
        for (a, b) in a.0.as_flattened().iter().zip(b.0.as_flattened()) {
            assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{a} {b}");
        }
    }

    #[test]
    fn both_transforms_follow_and_keep_their_codes() {
        for wanted in Orientation::all() {
            let before = header((1, 4));
            let after = before.reoriented(wanted).unwrap();
            assert_eq!((after.qform_code, after.sform_code), (1, 4));
            assert_eq!(Affine::of(&after).0.orientation(), wanted.codes().map(Some));
            let reorientation = Reorientation::between(Affine::of(&before).0.orientation(), wanted).unwrap();
            let map = reorientation.affine([3, 5, 7]);
            assert_eq!(
                after.sform(),
                if reorientation == Reorientation::IDENTITY { before.sform() } else { before.sform().after(&map) }
            );
            assert_near(&super::super::qform(&after).unwrap(), &super::super::qform(&before).unwrap().after(&map));
            assert_eq!(after.shape().unwrap()[3], 2);
            // And back again.
            let again =
                after.reoriented(Orientation::new(Affine::of(&before).0.orientation().map(Option::unwrap)).unwrap());
            assert_near(&super::super::qform(&again.unwrap()).unwrap(), &super::super::qform(&before).unwrap());
        }
    }

    #[test]
    fn a_header_in_the_wanted_order_is_not_touched() {
        let before = Header { slice_code: 1, dim_info: 0b11_10_01, ..header((4, 4)) };
        let own = Orientation::new(Affine::of(&before).0.orientation().map(Option::unwrap)).unwrap();
        assert_eq!(before.reoriented(own).unwrap(), before);
    }

    #[test]
    fn a_header_without_transforms_gets_the_one_that_it_stood_for() {
        let before = header((0, 0));
        let after = before.reoriented(Orientation::RAS).unwrap();
        assert_eq!((after.qform_code, after.sform_code), (0, ALIGNED));
        let (affine, source) = Affine::of(&after);
        assert_eq!(source, AffineSource::Sform);
        // Voxel 0 was the rightmost of three.
        assert_eq!(affine.apply([0.0, 0.0, 0.0]), Affine::of(&before).0.apply([2.0, 0.0, 0.0]));
    }

    #[test]
    fn slices_keep_their_times() {
        // x to the front, y to the bottom, z to the left; the slices are those of y, 1 to 3 of 5.
        let affine = Affine([[0.0, 0.0, -2.0, 0.0], [2.0, 0.0, 0.0, 0.0], [0.0, -3.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]);
        let mut before = Header::new(Version::Nifti1, Datatype::Int16, &[3, 5, 7]).unwrap().with_affine(&affine);
        before.dim_info = 0b10_11_01;
        (before.slice_start, before.slice_end) = (1, 2);
        for (code, flipped) in [(1, 2), (2, 1), (3, 4), (4, 3), (5, 6), (6, 5), (0, 0), (7, 7)] {
            before.slice_code = code;
            let after = before.reoriented(Orientation::RAS).unwrap();
            assert_eq!(after.shape().unwrap(), [7, 3, 5]);
            assert_eq!(after.encoding_axes(), [Some(1), Some(0), Some(2)]);
            assert_eq!((after.slice_code, after.slice_start, after.slice_end), (flipped, 2, 3));
        }
        // Without a slice axis the codes speak of nothing that could be reversed.
        let none = Header { dim_info: 0, slice_code: 1, ..before.clone() }.reoriented(Orientation::RAS).unwrap();
        assert_eq!((none.slice_code, none.slice_start, none.dim_info), (1, 1, 0));
        let same_direction = before.reoriented("RAI".parse().unwrap()).unwrap();
        assert_eq!((same_direction.slice_code, same_direction.slice_start), (before.slice_code, 1));
    }

    #[test]
    fn analyze_becomes_nifti_with_its_affine_and_scaling() {
        let mut analyze = Header::new(Version::Analyze, Datatype::Int16, &[3, 5, 7]).unwrap();
        analyze.pixdim[1..4].copy_from_slice(&[2.0, 3.0, 4.0]);
        analyze.origin = [2, 3, 4];
        (analyze.glmax, analyze.cal_max) = (1000, 500.0);
        let nifti = analyze.to_version(Version::Nifti2).unwrap();
        assert_eq!((nifti.version, nifti.sform_code, nifti.glmax), (Version::Nifti2, ALIGNED, 0));
        assert_eq!(Affine::of(&nifti), (Affine::of(&analyze).0, AffineSource::Sform));
        assert_eq!(nifti.scale().unwrap(), analyze.scale().unwrap());
        let reoriented = analyze.reoriented(Orientation::RAS).unwrap();
        assert_eq!(Affine::of(&reoriented).0.orientation(), Orientation::RAS.codes().map(Some));
        assert_eq!(reoriented.version, Version::Nifti1);
    }

    /// FreeSurfer's vectors: 16 bits hold their length in no other order of axes.
    #[test]
    fn a_long_vector_is_reoriented_only_where_its_length_fits() {
        let vector = Header::new(Version::Nifti1, Datatype::Int16, &[40_000, 1, 1, 2]).unwrap();
        assert_eq!(vector.dim[..5], [4, -1, 1, 1, 2]);
        let error = vector.reoriented("SRA".parse().unwrap()).unwrap_err();
        assert!(matches!(error, NiftiError::Unstorable { field: "dim", got: 40_000, .. }), "{error}");
        let reoriented = vector.to_version(Version::Nifti2).unwrap().reoriented("SRA".parse().unwrap()).unwrap();
        assert_eq!((reoriented.shape().unwrap(), reoriented.glmin), (vec![1, 40_000, 1, 2], 0));
    }

    #[test]
    fn a_part_lies_where_it_lay() {
        let mut before = header((1, 4));
        (before.dim_info, before.slice_code, before.slice_end) = (0b11_10_01, 3, 6);
        let after = before.cropped(&[1..3, 0..5, 0..7, 1..2]).unwrap();
        assert_eq!((after.shape().unwrap(), after.toffset), (vec![2, 5, 7, 1], 1.5));
        assert_eq!((after.qform_code, after.sform_code, after.slice_code, after.slice_end), (1, 4, 3, 6));
        let at =
            |header: &Header, voxel| (header.sform().apply(voxel), super::super::qform(header).unwrap().apply(voxel));
        let (sform, qform) = at(&after, [1.0, 2.0, 3.0]);
        let (sform_before, qform_before) = at(&before, [2.0, 2.0, 3.0]);
        for (a, b) in sform.into_iter().zip(sform_before).chain(qform.into_iter().zip(qform_before)) {
            assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{a} {b}");
        }
        // Half of the slices: their order in time is lost.
        let slab = before.cropped(&[0..3, 0..5, 2..5]).unwrap();
        assert_eq!((slab.slice_code, slab.slice_end, slab.dim_info), (0, 0, before.dim_info));
        assert_eq!(before.cropped(&[0..3, 0..5]).unwrap(), before);
        let base = header((0, 0));
        let corner = base.cropped(&[2..3, 0..1, 6..7]).unwrap();
        assert_eq!(Affine::of(&corner).0.apply([0.0; 3]), Affine::of(&base).0.apply([2.0, 0.0, 6.0]));
        assert!(matches!(base.cropped(&[0..4, 0..1]), Err(NiftiError::Region { axis: 0, end: 4, extent: 3, .. })));
        assert!(matches!(base.cropped(&[0..1, 2..2]), Err(NiftiError::Region { axis: 1, .. })));
    }

    #[test]
    fn a_plane_may_stand_up() {
        let before = Header::new(Version::Nifti1, Datatype::Int16, &[3, 5]).unwrap();
        let after = before.reoriented("SRA".parse().unwrap()).unwrap();
        assert_eq!(after.shape().unwrap(), [1, 3, 5]);
    }
}
