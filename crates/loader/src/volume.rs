//! A decoded volume: voxels in the type of the file, statistics, geometry, labels.

use std::sync::OnceLock;

use nifti_decode::{
    Affine, Datatype, Decoder, NiftiError, Occurrences, Orientation, Output, Plan, Scale, Stats, VolumeFile,
};

use crate::{Memory, sample::classes::Classes};

/// The type that voxels have in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// That of the file; types of more than 16 bits become scaled f32.
    #[default]
    Native,
    /// Scaled f32, whatever the file has.
    F32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    U8,
    I8,
    U16,
    I16,
    F32,
}

/// Voxels as they are in memory, x first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Voxels<'a> {
    /// `uint8`.
    U8(&'a [u8]),
    /// `int8`.
    I8(&'a [i8]),
    /// `uint16`.
    U16(&'a [u16]),
    /// `int16`.
    I16(&'a [i16]),
    /// `float32`, and all wider types.
    F32(&'a [f32]),
}

/// Runs `$body` with `$slice` bound to the voxels, whatever their type.
macro_rules! with_voxels {
    ($voxels:expr, $slice:ident => $body:expr) => {
        match $voxels {
            $crate::Voxels::U8($slice) => $body,
            $crate::Voxels::I8($slice) => $body,
            $crate::Voxels::U16($slice) => $body,
            $crate::Voxels::I16($slice) => $body,
            $crate::Voxels::F32($slice) => $body,
        }
    };
}
pub(crate) use with_voxels;

/// A volume in memory, its axes in the order R, A, S (nibabel's `as_closest_canonical`).
///
/// A voxel has a *stored* value and the *scaled* value `slope * stored + inter`. Voxel (x, y, z) of a volume of shape
/// nx, ny, nz has the index x + nx (y + ny z).
#[derive(Debug)]
pub struct Volume {
    memory: Memory,
    kept: Type,
    shape: [usize; 3],
    affine: Affine,
    /// Linear part of the inverse.
    inverse: [[f64; 3]; 3],
    scale: Scale,
    /// Of the scaled values; computed when they are first asked for, if the decoder did not.
    stats: OnceLock<Stats>,
    /// Bytes of the file's voxels.
    stored_bytes: usize,
    labels: Option<Labels>,
}

/// The label of every voxel.
#[derive(Debug, Clone)]
struct Labels {
    voxels: Vec<u8>,
    classes: Classes,
}

/// Why a file that can be read is no volume for a loader.
#[derive(Debug)]
pub(crate) enum Unfit {
    File(NiftiError),
    Shape(Vec<usize>),
    Flat,
}

impl From<NiftiError> for Unfit {
    fn from(error: NiftiError) -> Self {
        Self::File(error)
    }
}

impl Volume {
    pub(crate) fn decode(
        file: &VolumeFile,
        keep: Keep,
        mut memory: Memory,
        decoder: &mut Decoder,
    ) -> Result<Self, Unfit> {
        if file.shape().iter().skip(3).any(|&extent| extent != 1) || file.voxels() == 0 {
            return Err(Unfit::Shape(file.shape().to_vec()));
        }
        let kept = match (keep, file.datatype()) {
            (Keep::Native, Datatype::Uint8) => Type::U8,
            (Keep::Native, Datatype::Int8) => Type::I8,
            (Keep::Native, Datatype::Uint16) => Type::U16,
            (Keep::Native, Datatype::Int16) => Type::I16,
            _ => Type::F32,
        };
        let plan = if kept == Type::F32 { Plan::scaled() } else { Plan::stored() };
        let plan = plan.oriented(Orientation::RAS).with_stats();
        let count = file.voxels();
        let decoded = match kept {
            Type::U8 => into::<u8>(file, &plan, decoder, memory.get(count)),
            Type::I8 => into::<i8>(file, &plan, decoder, memory.get(count)),
            Type::U16 => into::<u16>(file, &plan, decoder, memory.get(2 * count)),
            Type::I16 => into::<i16>(file, &plan, decoder, memory.get(2 * count)),
            Type::F32 => into::<f32>(file, &plan, decoder, memory.get(4 * count)),
        }?;
        let scale = file.scale().filter(|_| kept != Type::F32).unwrap_or(Scale::NONE);
        let shape = [0, 1, 2].map(|axis| decoded.shape.get(axis).copied().unwrap_or(1));
        let inverse = inverse(&decoded.affine).ok_or(Unfit::Flat)?;
        let Some(stats) = decoded.stats else { return Err(Unfit::Shape(decoded.shape)) };
        let stored_bytes = count * file.datatype().bytes();
        let stats = OnceLock::from(scaled(&stats, scale));
        Ok(Self { memory, kept, shape, affine: decoded.affine, inverse, scale, stats, stored_bytes, labels: None })
    }

    /// With labels of the same shape.
    ///
    /// # Errors
    /// The extents of the labels, where they differ.
    pub(crate) fn with_labels(self, file: &VolumeFile, decoder: &mut Decoder) -> Result<Self, LabelFault> {
        let plan = Plan::scaled().oriented(Orientation::RAS);
        let volume = file.decode::<u8>(decoder, &plan).map_err(LabelFault::File)?;
        let shape = [0, 1, 2].map(|axis| volume.shape().get(axis).copied().unwrap_or(1));
        let voxels = volume.into_voxels();
        if shape != self.shape || voxels.len() != self.len() {
            return Err(LabelFault::Shape(shape));
        }
        let classes = Classes::new(&voxels, shape[0]);
        Ok(Self { labels: Some(Labels { voxels, classes }), ..self })
    }

    /// A volume of f32 in `memory`, with labels of the same shape, made of `self`. Both affines are invertible.
    pub(crate) fn rewritten(&self, memory: Memory, shape: [usize; 3], affine: Affine, labels: Option<Vec<u8>>) -> Self {
        let labels = labels.map(|voxels| Labels { classes: Classes::new(&voxels, shape[0]), voxels });
        let inverse = inverse(&affine).unwrap_or(self.inverse);
        let (kept, scale, stats, stored_bytes) = (Type::F32, Scale::NONE, OnceLock::new(), self.stored_bytes);
        Self { memory, kept, shape, affine, inverse, scale, stats, stored_bytes, labels }
    }

    /// The same volume in `memory`.
    pub fn copied(&self, mut memory: Memory) -> Self {
        let words = self.memory.words();
        memory.get(8 * words.len()).copy_from_slice(bytemuck::cast_slice(words));
        let (stats, labels) = (self.stats.clone(), self.labels.clone());
        Self { memory, stats, labels, ..*self }
    }

    /// Stored values.
    pub fn voxels(&self) -> Voxels<'_> {
        let words = self.memory.words();
        let count = self.len();
        match self.kept {
            Type::U8 => Voxels::U8(&bytemuck::cast_slice(words)[..count]),
            Type::I8 => Voxels::I8(&bytemuck::cast_slice(words)[..count]),
            Type::U16 => Voxels::U16(&bytemuck::cast_slice(words)[..count]),
            Type::I16 => Voxels::I16(&bytemuck::cast_slice(words)[..count]),
            Type::F32 => Voxels::F32(&bytemuck::cast_slice(words)[..count]),
        }
    }

    /// Number of voxels.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no voxel; never true for a volume of a file.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Extents, x first.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Maps voxel indices to millimeters.
    pub fn affine(&self) -> &Affine {
        &self.affine
    }

    /// Length of a step along each axis, in millimeters.
    pub fn spacing(&self) -> [f64; 3] {
        self.affine.spacing()
    }

    /// From stored to scaled values.
    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// Statistics of the scaled values; `n_nonzero` alone counts stored values other than 0.
    pub fn stats(&self) -> &Stats {
        self.stats.get_or_init(|| self.occurrences().stats())
    }

    /// Statistics, if they are computed already.
    pub(crate) fn known_stats(&self) -> Option<&Stats> {
        self.stats.get()
    }

    /// Scaled values and how often they occur.
    pub(crate) fn occurrences(&self) -> Occurrences<'_> {
        let bytes = bytemuck::cast_slice(self.memory.words());
        let (datatype, voxel_bytes) = match self.kept {
            Type::U8 => (Datatype::Uint8, 1),
            Type::I8 => (Datatype::Int8, 1),
            Type::U16 => (Datatype::Uint16, 2),
            Type::I16 => (Datatype::Int16, 2),
            Type::F32 => (Datatype::Float32, 4),
        };
        Occurrences::new(&bytes[..voxel_bytes * self.len()], datatype, self.scale)
    }

    /// The label of every voxel, x first.
    pub fn labels(&self) -> Option<&[u8]> {
        self.labels.as_ref().map(|labels| &*labels.voxels)
    }

    /// Where the labels other than 0 are.
    pub fn classes(&self) -> Option<&Classes> {
        self.labels.as_ref().map(|labels| &labels.classes)
    }

    /// Voxel coordinates of a point, which may lie between voxels and outside the volume.
    pub fn voxel_of(&self, point_mm: [f64; 3]) -> [f64; 3] {
        self.to_voxels([0, 1, 2].map(|row| point_mm[row] - self.affine.0[row][3]))
    }

    /// A direction in millimeters as one in voxels.
    pub fn to_voxels(&self, direction_mm: [f64; 3]) -> [f64; 3] {
        self.inverse.map(|row| row[0] * direction_mm[0] + row[1] * direction_mm[1] + row[2] * direction_mm[2])
    }

    /// Bytes that the volume takes in memory.
    pub fn bytes(&self) -> usize {
        let labels = self.labels.as_ref().map_or(0, |labels| labels.voxels.len() + labels.classes.bytes());
        8 * self.memory.words().len() + labels
    }

    /// Bytes of the voxels in the file, unpacked.
    pub fn stored_bytes(&self) -> usize {
        self.stored_bytes
    }
}

/// Why labels cannot be used.
#[derive(Debug)]
pub(crate) enum LabelFault {
    File(NiftiError),
    Shape([usize; 3]),
}

fn into<D: Output>(
    file: &VolumeFile,
    plan: &Plan,
    decoder: &mut Decoder,
    bytes: &mut [u8],
) -> Result<nifti_decode::Decoded, NiftiError> {
    // The words that the bytes are part of are aligned for every type.
    let voxels: &mut [D] = bytemuck::try_cast_slice_mut(bytes).unwrap_or_default();
    file.decode_into(decoder, plan, voxels)
}

/// Statistics of `slope * x + inter` from those of x.
fn scaled(stats: &Stats, Scale { slope, inter }: Scale) -> Stats {
    let of = |value: f64| slope * value + inter;
    let (low, high) = if slope < 0.0 { (stats.max, stats.min) } else { (stats.min, stats.max) };
    let (p0_5, p99_5) = if slope < 0.0 { (stats.p99_5, stats.p0_5) } else { (stats.p0_5, stats.p99_5) };
    Stats {
        min: of(low),
        max: of(high),
        mean: of(stats.mean),
        std: slope.abs() * stats.std,
        p0_5: of(p0_5),
        median: of(stats.median),
        p99_5: of(p99_5),
        robust_mean: of(stats.robust_mean),
        robust_std: slope.abs() * stats.robust_std,
        ..*stats
    }
}

/// The linear part's inverse; `None` where the affine maps the volume to a plane.
fn inverse(affine: &Affine) -> Option<[[f64; 3]; 3]> {
    if !affine.is_invertible() {
        return None;
    }
    let m = |row: usize, column: usize| affine.0[row % 3][column % 3];
    // Cofactors of a 3 x 3 matrix with cyclic indices need no signs.
    let cofactor = |row: usize, column: usize| {
        m(row + 1, column + 1) * m(row + 2, column + 2) - m(row + 1, column + 2) * m(row + 2, column + 1)
    };
    let determinant: f64 = (0..3).map(|column| m(0, column) * cofactor(0, column)).sum();
    Some([0, 1, 2].map(|row| [0, 1, 2].map(|column| cofactor(column, row) / determinant)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_undoes_the_affine() {
        let affine =
            Affine([[2.0, 0.3, 0.0, 5.0], [-0.1, 1.5, 0.2, -7.0], [0.0, 0.4, -3.0, 1.0], [0.0, 0.0, 0.0, 1.0]]);
        let inverse = inverse(&affine).unwrap();
        for (row, left) in inverse.iter().enumerate() {
            for column in 0..3 {
                let product: f64 = (0..3).map(|k| left[k] * affine.0[k][column]).sum();
                assert!((product - f64::from(u8::from(row == column))).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn a_negative_slope_exchanges_the_ends() {
        let stats = Stats {
            n: 5,
            n_nan: 0,
            n_nonzero: 4,
            min: -1.0,
            max: 9.0,
            mean: 2.0,
            std: 3.0,
            p0_5: -0.5,
            median: 1.0,
            p99_5: 8.0,
            robust_mean: 1.5,
            robust_std: 2.5,
        };
        let scaled = scaled(&stats, Scale { slope: -2.0, inter: 10.0 });
        assert_eq!((scaled.min, scaled.max, scaled.p0_5, scaled.p99_5), (-8.0, 12.0, -6.0, 11.0));
        assert_eq!((scaled.mean, scaled.median, scaled.std, scaled.robust_std), (6.0, 8.0, 6.0, 5.0));
    }
}
