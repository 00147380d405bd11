//! Voxels in the type that the user asks for.

use std::ops::Range;

use clap::ValueEnum;
use nifti_decode::{
    Datatype, Decoded, Decoder, NiftiError, Orientation, Output, Plan, VolumeFile, bf16, bytes_of, f16,
};

/// A type that values can be converted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Type {
    Uint8,
    Int8,
    Uint16,
    Int16,
    Uint32,
    Int32,
    Uint64,
    Int64,
    /// Only in .npy: NIfTI has no such type
    Float16,
    /// Only in .npy, as uint16 that holds the bits: NumPy has no such type either
    Bfloat16,
    Float32,
    Float64,
    /// The values as they are stored, without scaling
    Stored,
}

impl Type {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Uint8 => "uint8",
            Self::Int8 => "int8",
            Self::Uint16 => "uint16",
            Self::Int16 => "int16",
            Self::Uint32 => "uint32",
            Self::Int32 => "int32",
            Self::Uint64 => "uint64",
            Self::Int64 => "int64",
            Self::Float16 => "float16",
            Self::Bfloat16 => "bfloat16",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Stored => "stored",
        }
    }

    /// NIfTI's type, if it has one.
    pub(super) fn datatype(self) -> Option<Datatype> {
        Datatype::from_name(self.name())
    }
}

/// Voxels of any type as bytes, in this machine's byte order.
pub(super) trait Bytes {
    fn bytes(&self) -> &[u8];
}

impl<D: Output> Bytes for Vec<D> {
    fn bytes(&self) -> &[u8] {
        bytes_of(self)
    }
}

/// Which voxels, and in which order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Selection<'a> {
    /// In the file's order of axes; all voxels without one.
    pub(super) region: Option<&'a [Range<usize>]>,
    pub(super) orientation: Option<Orientation>,
}

/// Reads the selected voxels as `wanted`: scaled, unless they are wanted as stored.
///
/// # Errors
/// Those of the file; [`NiftiError::Inexact`] where an integer type does not hold every value.
pub(super) fn read(
    file: &VolumeFile,
    decoder: &mut Decoder,
    wanted: Type,
    selection: Selection<'_>,
) -> Result<(Box<dyn Bytes>, Decoded), NiftiError> {
    match wanted {
        Type::Uint8 => typed::<u8>(file, decoder, selection),
        Type::Int8 => typed::<i8>(file, decoder, selection),
        Type::Uint16 => typed::<u16>(file, decoder, selection),
        Type::Int16 => typed::<i16>(file, decoder, selection),
        Type::Uint32 => typed::<u32>(file, decoder, selection),
        Type::Int32 => typed::<i32>(file, decoder, selection),
        Type::Uint64 => typed::<u64>(file, decoder, selection),
        Type::Int64 => typed::<i64>(file, decoder, selection),
        Type::Float16 => typed::<f16>(file, decoder, selection),
        Type::Bfloat16 => typed::<bf16>(file, decoder, selection),
        Type::Float32 => typed::<f32>(file, decoder, selection),
        Type::Float64 => typed::<f64>(file, decoder, selection),
        Type::Stored => stored(file, decoder, selection),
    }
}

fn typed<D: Output>(
    file: &VolumeFile,
    decoder: &mut Decoder,
    selection: Selection<'_>,
) -> Result<(Box<dyn Bytes>, Decoded), NiftiError> {
    let plan = Plan { orientation: selection.orientation, ..Plan::scaled() };
    let volume = match selection.region {
        Some(region) => file.read_region::<D>(decoder, region, &plan)?,
        None => file.decode::<D>(decoder, &plan)?,
    };
    let (voxels, decoded) = volume.into_parts();
    Ok((Box::new(voxels), decoded))
}

fn stored(
    file: &VolumeFile,
    decoder: &mut Decoder,
    selection: Selection<'_>,
) -> Result<(Box<dyn Bytes>, Decoded), NiftiError> {
    let Selection { region, orientation } = selection;
    let voxels = match region {
        Some(region) => file.header().cropped(region)?.shape()?.iter().product(),
        None => file.voxels(),
    };
    let mut bytes = vec![0_u8; voxels * file.datatype().bytes()];
    let decoded = match region {
        Some(region) => file.copy_region_into(decoder, region, orientation, &mut bytes)?,
        None => file.copy_into(decoder, orientation, &mut bytes)?,
    };
    Ok((Box::new(bytes), decoded))
}
