//! Volumes that resemble real ones to a decoder: they have the same types, extents, share of background and noise, and
//! so the same compression ratios. A seed determines the voxels, on every machine and with any number of threads.

mod field;
mod noise;
mod tissue;

use serde::{Deserialize, Serialize};

use crate::{Affine, Datatype, Header, NiftiError, Orientation, Version};

use tissue::{Brain, Ct};

/// The content of a phantom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// A skull-stripped brain with Rician noise, `int16`, 240 x 240 x 155: three quarters of the voxels are exactly 0.
    Brain,
    /// A chest CT in Hounsfield units, `int16`, 512 x 512 x 300, noise everywhere inside the field of view.
    Ct,
    /// The brain's regions as labels, `uint8`: long runs, which gzip compresses to a hundredth.
    Labels,
    /// Volumes of a brain over time, `int16` with slope and intercept, 64 x 64 x 36 x 200.
    Fmri,
    /// The brain with its noise inside and outside, normalized to mean 0 and standard deviation 1, `float32`: hardly
    /// compressible.
    Zscored,
    /// A brain of 16 x 16 x 16, `int16`.
    Tiny,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 6] = [Self::Brain, Self::Ct, Self::Labels, Self::Fmri, Self::Zscored, Self::Tiny];

    /// Lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Brain => "brain",
            Self::Ct => "ct",
            Self::Labels => "labels",
            Self::Fmri => "fmri",
            Self::Zscored => "zscored",
            Self::Tiny => "tiny",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Extents that are usual for scanners.
    pub fn shape(self) -> &'static [usize] {
        match self {
            Self::Brain | Self::Labels | Self::Zscored => &[240, 240, 155],
            Self::Ct => &[512, 512, 300],
            Self::Fmri => &[64, 64, 36, 200],
            Self::Tiny => &[16, 16, 16],
        }
    }

    /// Type of the voxels.
    pub fn datatype(self) -> Datatype {
        match self {
            Self::Brain | Self::Ct | Self::Fmri | Self::Tiny => Datatype::Int16,
            Self::Labels => Datatype::Uint8,
            Self::Zscored => Datatype::Float32,
        }
    }

    fn spacing_mm(self) -> [f64; 3] {
        match self {
            Self::Ct => [0.78125, 0.78125, 1.0],
            Self::Fmri => [3.0, 3.0, 3.5],
            _ => [1.0; 3],
        }
    }
}

/// A volume in memory: its header and its stored voxels, in this machine's byte order.
#[derive(Debug, Clone, PartialEq)]
pub struct Phantom {
    /// The header; NIfTI-1, little-endian, single file.
    pub header: Header,
    /// The voxels.
    pub voxels: Vec<u8>,
}

impl Phantom {
    /// A phantom of `kind` with its usual extents or those of `shape`. Its voxel axes have the directions of
    /// `orientation`.
    ///
    /// # Errors
    /// [`NiftiError::Unstorable`] for a shape that a header cannot hold or that has fewer than three axes.
    pub fn new(kind: Kind, shape: Option<&[usize]>, orientation: Orientation, seed: u64) -> Result<Self, NiftiError> {
        let shape = shape.unwrap_or(kind.shape());
        let Some(&[nx, ny, nz]) = shape.first_chunk::<3>() else {
            return Err(NiftiError::Unstorable { field: "dim[0]", got: shape.len() as i64, need: "at least 3" });
        };
        let extents = [nx, ny, nz];
        let mut header = Header::new(Version::Nifti1, kind.datatype(), shape)?.with_affine(&affine(
            orientation,
            extents,
            kind.spacing_mm(),
        ));
        let name = format!("phantom {} {seed}", kind.name());
        header.descrip[..name.len().min(80)].copy_from_slice(&name.as_bytes()[..name.len().min(80)]);
        header.xyzt_units = 2;
        let volumes = shape[3..].iter().product();
        let voxels = match kind {
            Kind::Brain | Kind::Tiny => bytes(&Brain::new(extents, seed).scan(0)),
            Kind::Ct => bytes(&Ct::new(extents, seed).scan()),
            Kind::Labels => Brain::new(extents, seed).labels(),
            Kind::Zscored => bytes(&zscored(&Brain::new(extents, seed).unrounded())),
            Kind::Fmri => {
                header = header.with_scale(0.25, 10.0);
                header.pixdim[4] = 2.0;
                let brain = Brain::new(extents, seed);
                (0..volumes).flat_map(|t| bytes(&brain.scan(t as u64))).collect()
            }
        };
        // Axes after the third repeat the same volume, except for time.
        let voxels = if kind == Kind::Fmri { voxels } else { voxels.repeat(volumes) };
        Ok(Self { header, voxels })
    }
}

fn bytes<T: bytemuck::NoUninit>(voxels: &[T]) -> Vec<u8> {
    bytemuck::cast_slice(voxels).to_vec()
}

fn zscored(voxels: &[f32]) -> Vec<f32> {
    let n = voxels.len() as f64;
    let mean = voxels.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let variance = voxels.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
    voxels.iter().map(|&v| ((f64::from(v) - mean) / variance.sqrt()) as f32).collect()
}

/// The affine whose voxel axes have the directions of `orientation`, with the volume's center at 0.
fn affine(orientation: Orientation, extents: [usize; 3], spacing_mm: [f64; 3]) -> Affine {
    let mut affine = Affine([[0.0; 4], [0.0; 4], [0.0; 4], [0.0, 0.0, 0.0, 1.0]]);
    for (axis, code) in orientation.codes().into_iter().enumerate() {
        let step = if code.is_positive() { spacing_mm[axis] } else { -spacing_mm[axis] };
        affine.0[code.axis()][axis] = step;
        affine.0[code.axis()][3] = -step * (extents[axis] as f64 - 1.0) / 2.0;
    }
    affine
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brain_is_mostly_background_and_the_same_everywhere() {
        let shape = [48, 48, 31];
        let phantom = Phantom::new(Kind::Brain, Some(&shape), Orientation::RAS, 7).unwrap();
        let voxels: Vec<i16> = phantom.voxels.as_chunks::<2>().0.iter().map(|&v| i16::from_ne_bytes(v)).collect();
        let share = voxels.iter().filter(|&&v| v != 0).count() as f64 / voxels.len() as f64;
        assert!((0.2..0.27).contains(&share), "{share}");
        assert_eq!(phantom, Phantom::new(Kind::Brain, Some(&shape), Orientation::RAS, 7).unwrap());
        assert_ne!(phantom.voxels, Phantom::new(Kind::Brain, Some(&shape), Orientation::RAS, 8).unwrap().voxels);
    }

    #[test]
    fn every_kind_has_the_voxels_of_its_header() {
        for kind in Kind::ALL {
            let shape: &[usize] = if kind == Kind::Fmri { &[9, 8, 7, 3] } else { &[9, 8, 7] };
            let phantom = Phantom::new(kind, Some(shape), Orientation::LPS, 1).unwrap();
            assert_eq!(phantom.voxels.len(), shape.iter().product::<usize>() * kind.datatype().bytes());
            let codes = Affine::of(&phantom.header).0.orientation();
            assert_eq!(codes, Orientation::LPS.codes().map(Some));
        }
        assert!(Phantom::new(Kind::Ct, Some(&[4, 4]), Orientation::RAS, 1).is_err());
    }
}
