//! Converted voxels with the shape that they have: after a reorientation, not the file's.

use std::ops::{Index, Range};

use crate::{Affine, Decoded, NiftiError, Stats};

/// Converted voxels and their shape, first axis fastest.
///
/// The shape is that of the output. After a reorientation it differs from
/// [`VolumeFile::shape`](crate::VolumeFile::shape), so index through [`get`](Self::get), [`view`](Self::view) or
/// `volume[[x, y, z]]`: they know the axes and check every index.
///
/// Arrays of other crates take over the memory without a copy. For ndarray:
///
/// ```
/// use ndarray::{ArrayD, ShapeBuilder};
/// # use nifti_decode::{Decoder, Kind, Limits, Orientation, Pack, Phantom, Plan, VolumeFile, encode};
/// # let phantom = Phantom::new(Kind::Tiny, Some(&[16, 12, 9]), "PSR".parse()?, 1)?;
/// # let file = VolumeFile::from_bytes(encode(&phantom.header, &[], &phantom.voxels, Pack::Plain)?, Limits::default())?;
/// let volume = file.decode::<f32>(&mut Decoder::new(), &Plan::scaled().oriented(Orientation::RAS))?;
/// assert_eq!((file.shape(), volume.shape()), (&[16, 12, 9][..], &[9, 16, 12][..]));
/// let expected = volume.get(&[4, 8, 6]).copied();
///
/// let shape = volume.shape().to_vec();
/// let array = ArrayD::from_shape_vec(shape.f(), volume.into_voxels())?; // `f`: first axis fastest
/// assert_eq!(array.get([4, 8, 6].as_slice()).copied(), expected);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Volume<D> {
    voxels: Vec<D>,
    decoded: Decoded,
}

impl<D> Volume<D> {
    /// `voxels` has as many elements as the shape of `decoded`.
    pub(crate) fn new(voxels: Vec<D>, decoded: Decoded) -> Self {
        Self { voxels, decoded }
    }

    /// Extents of the output's axes, first axis fastest.
    pub fn shape(&self) -> &[usize] {
        &self.decoded.shape
    }

    /// Maps indices of the output to coordinates, in the header's unit of length.
    pub fn affine(&self) -> Affine {
        self.decoded.affine
    }

    /// Statistics of the scaled values, where the plan asked for them.
    pub fn stats(&self) -> Option<&Stats> {
        self.decoded.stats.as_ref()
    }

    /// What the conversion reports.
    pub fn decoded(&self) -> &Decoded {
        &self.decoded
    }

    /// The voxel at `index`, one index for each axis; `None` for another number of axes and beyond the shape.
    pub fn get(&self, index: &[usize]) -> Option<&D> {
        flat_index(&self.decoded.shape, index).and_then(|at| self.voxels.get(at))
    }

    /// All voxels with their shape, to index, slice and iterate without a copy.
    pub fn view(&self) -> VolumeView<'_, D> {
        VolumeView::contiguous(&self.voxels, &self.decoded.shape)
    }

    /// All voxels, first axis fastest: index `i` holds the voxel at `i % shape[0], i / shape[0] % shape[1], ..`.
    pub fn voxels(&self) -> &[D] {
        &self.voxels
    }

    /// The voxels, to be changed in place.
    pub fn voxels_mut(&mut self) -> &mut [D] {
        &mut self.voxels
    }

    /// The memory of the voxels, first axis fastest.
    pub fn into_voxels(self) -> Vec<D> {
        self.voxels
    }

    /// The memory of the voxels, and what the conversion reports.
    pub fn into_parts(self) -> (Vec<D>, Decoded) {
        (self.voxels, self.decoded)
    }
}

impl<D, const N: usize> Index<[usize; N]> for Volume<D> {
    type Output = D;

    /// # Panics
    /// For another number of axes and for an index beyond the shape; [`Volume::get`] returns `None` instead.
    fn index(&self, index: [usize; N]) -> &D {
        match self.get(&index) {
            Some(voxel) => voxel,
            None => panic!("index {index:?} is outside a volume of shape {:?}", self.shape()),
        }
    }
}

/// Offset of `index` in an array of `shape`, first axis fastest.
fn flat_index(shape: &[usize], index: &[usize]) -> Option<usize> {
    if shape.len() != index.len() {
        return None;
    }
    let mut stride = 1;
    let mut at = 0;
    for (&i, &extent) in index.iter().zip(shape) {
        if i >= extent {
            return None;
        }
        at += i * stride;
        stride *= extent;
    }
    Some(at)
}

/// Borrowed voxels with a shape and strides: a whole volume, or a part of one.
#[derive(Debug, PartialEq)]
pub struct VolumeView<'a, D> {
    voxels: &'a [D],
    /// Of the first voxel, in `voxels`.
    offset: usize,
    shape: Vec<usize>,
    /// In voxels.
    strides: Vec<usize>,
}

// Derived, it would ask for voxels that can be cloned.
impl<D> Clone for VolumeView<'_, D> {
    fn clone(&self) -> Self {
        let Self { voxels, offset, .. } = *self;
        Self { voxels, offset, shape: self.shape.clone(), strides: self.strides.clone() }
    }
}

impl<'a, D> VolumeView<'a, D> {
    /// `voxels` as an array of `shape`, first axis fastest.
    ///
    /// # Errors
    /// [`NiftiError::Buffer`] where `voxels` does not have the elements of `shape`.
    pub fn new(voxels: &'a [D], shape: &[usize]) -> Result<Self, NiftiError> {
        let need = shape.iter().fold(1_usize, |product, &extent| product.saturating_mul(extent));
        if voxels.len() != need {
            return Err(NiftiError::Buffer { got: voxels.len(), need });
        }
        Ok(Self::contiguous(voxels, shape))
    }

    fn contiguous(voxels: &'a [D], shape: &[usize]) -> Self {
        let mut stride = 1;
        let next = |&extent: &usize| {
            let this = stride;
            stride *= extent;
            this
        };
        let strides = shape.iter().map(next).collect();
        Self { voxels, offset: 0, shape: shape.to_vec(), strides }
    }

    /// Extents.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Distance in voxels between neighbors along each axis.
    pub fn strides(&self) -> &[usize] {
        &self.strides
    }

    /// Number of voxels.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no voxel.
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// The voxel at `index`, one index for each axis; `None` for another number of axes and beyond the shape.
    pub fn get(&self, index: &[usize]) -> Option<&'a D> {
        if index.len() != self.shape.len() || index.iter().zip(&self.shape).any(|(i, extent)| i >= extent) {
            return None;
        }
        let at: usize = index.iter().zip(&self.strides).map(|(i, stride)| i * stride).sum();
        self.voxels.get(self.offset + at)
    }

    /// The voxels whose index along `axis` is `index`, with one axis less: a slice, or the volume of a time. `None`
    /// beyond the shape.
    pub fn index_axis(&self, axis: usize, index: usize) -> Option<Self> {
        if index >= *self.shape.get(axis)? {
            return None;
        }
        let mut view = self.clone();
        view.offset += index * self.strides[axis];
        view.shape.remove(axis);
        view.strides.remove(axis);
        Some(view)
    }

    /// The voxels in `ranges`, one range for each axis; axes that are left out are taken whole.
    ///
    /// # Errors
    /// [`NiftiError::Region`] for a range that is empty or reaches beyond the shape, and for more ranges than axes.
    pub fn region(&self, ranges: &[Range<usize>]) -> Result<Self, NiftiError> {
        let mut view = self.clone();
        for (axis, range) in ranges.iter().enumerate() {
            let extent = self.shape.get(axis).copied().unwrap_or(0);
            if range.start >= range.end || range.end > extent {
                let (start, end, extent) = (range.start as u64, range.end as u64, extent as u64);
                return Err(NiftiError::Region { axis, start, end, extent });
            }
            view.offset += range.start * self.strides[axis];
            view.shape[axis] = range.len();
        }
        Ok(view)
    }

    /// The voxels as a slice, where they are adjacent in memory in the order of the view.
    pub fn as_slice(&self) -> Option<&'a [D]> {
        let mut stride = 1;
        for (&extent, &this) in self.shape.iter().zip(&self.strides) {
            if extent > 1 && this != stride {
                return None;
            }
            stride *= extent;
        }
        self.voxels.get(self.offset..self.offset + self.len())
    }

    /// All voxels, first axis fastest.
    pub fn iter(&self) -> impl Iterator<Item = &'a D> + use<'a, D> {
        let (shape, strides, voxels) = (self.shape.clone(), self.strides.clone(), self.voxels);
        let (mut index, mut at) = (vec![0; shape.len()], self.offset);
        (0..self.len()).filter_map(move |_| {
            let voxel = voxels.get(at);
            for axis in 0..shape.len() {
                index[axis] += 1;
                at += strides[axis];
                if index[axis] < shape[axis] {
                    break;
                }
                at -= strides[axis] * shape[axis];
                index[axis] = 0;
            }
            voxel
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_checked_axis_by_axis() {
        let voxels: Vec<usize> = (0..24).collect();
        let view = VolumeView::new(&voxels, &[2, 3, 4]).unwrap();
        assert_eq!((view.get(&[1, 2, 3]), view.get(&[0, 1, 0]), view.strides()), (Some(&23), Some(&2), &[1, 2, 6][..]));
        // An index that is too large for its axis does not reach into the next row.
        for outside in [&[2, 0, 0][..], &[0, 3, 0], &[0, 0, 4], &[0, 0], &[0, 0, 0, 0]] {
            assert_eq!((view.get(outside), flat_index(&[2, 3, 4], outside)), (None, None), "{outside:?}");
        }
        assert!(matches!(VolumeView::new(&voxels, &[2, 3, 3]), Err(NiftiError::Buffer { got: 24, need: 18 })));
        assert!(VolumeView::new(&voxels, &[usize::MAX, 2]).is_err());
    }

    #[test]
    fn parts_of_a_view_have_the_voxels_of_their_definition() {
        let voxels: Vec<usize> = (0..120).collect();
        let view = VolumeView::new(&voxels, &[2, 3, 4, 5]).unwrap();
        let time = view.index_axis(3, 2).unwrap();
        assert_eq!((time.shape(), time.as_slice()), (&[2, 3, 4][..], Some(&voxels[48..72])));
        let across = view.index_axis(1, 1).unwrap();
        assert_eq!(across.shape(), [2, 4, 5]);
        assert_eq!(across.as_slice(), None);
        assert!(across.iter().copied().eq((0..20).flat_map(|i| [6 * i + 2, 6 * i + 3])));
        let part = view.region(&[1..2, 0..3, 2..4]).unwrap();
        assert_eq!((part.shape(), part.len()), (&[1, 3, 2, 5][..], 30));
        for (i, &voxel) in part.iter().enumerate() {
            let index = [0, i % 3, i / 3 % 2, i / 6];
            assert_eq!(
                (part.get(&index), voxel),
                (Some(&voxel), 1 + 2 * index[1] + 6 * (2 + index[2]) + 24 * index[3])
            );
        }
        assert!(view.index_axis(4, 0).is_none() && view.index_axis(0, 2).is_none());
        for outside in [&[0..3, 0..1][..], &[1..1, 0..1], &[0..2, 0..3, 0..4, 0..5, 0..1]] {
            assert!(matches!(view.region(outside), Err(NiftiError::Region { .. })), "{outside:?}");
        }
    }
}
