//! Stored voxels as typed slices.

use bytemuck::Pod;

use crate::{Datatype, Decoder, NiftiError, VolumeFile, affine::Reorientation, copy};

/// All voxels of a file in its order, x first, in this machine's byte order.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum View<'a> {
    /// `uint8`.
    Uint8(&'a [u8]),
    /// `int8`.
    Int8(&'a [i8]),
    /// `uint16`.
    Uint16(&'a [u16]),
    /// `int16`.
    Int16(&'a [i16]),
    /// `uint32`.
    Uint32(&'a [u32]),
    /// `int32`.
    Int32(&'a [i32]),
    /// `uint64`.
    Uint64(&'a [u64]),
    /// `int64`.
    Int64(&'a [i64]),
    /// `float32`.
    Float32(&'a [f32]),
    /// `float64`.
    Float64(&'a [f64]),
    /// `float128`, as 16 bytes: no Rust type holds extended precision.
    Float128(&'a [[u8; 16]]),
    /// `complex64`: real, imaginary.
    Complex64(&'a [[f32; 2]]),
    /// `complex128`: real, imaginary.
    Complex128(&'a [[f64; 2]]),
    /// `complex256`: real and imaginary part of 16 bytes each.
    Complex256(&'a [[[u8; 16]; 2]]),
    /// `rgb24`.
    Rgb24(&'a [[u8; 3]]),
    /// `rgba32`.
    Rgba32(&'a [[u8; 4]]),
}

impl<'a> View<'a> {
    /// `bytes` as voxels of `datatype`; `None` where they are not aligned for it, or their length is not a multiple of
    /// its size.
    pub fn new(datatype: Datatype, bytes: &'a [u8]) -> Option<Self> {
        fn cast<T: Pod>(bytes: &[u8]) -> Option<&[T]> {
            bytemuck::try_cast_slice(bytes).ok()
        }
        Some(match datatype {
            Datatype::Uint8 => Self::Uint8(bytes),
            Datatype::Int8 => Self::Int8(cast(bytes)?),
            Datatype::Uint16 => Self::Uint16(cast(bytes)?),
            Datatype::Int16 => Self::Int16(cast(bytes)?),
            Datatype::Uint32 => Self::Uint32(cast(bytes)?),
            Datatype::Int32 => Self::Int32(cast(bytes)?),
            Datatype::Uint64 => Self::Uint64(cast(bytes)?),
            Datatype::Int64 => Self::Int64(cast(bytes)?),
            Datatype::Float32 => Self::Float32(cast(bytes)?),
            Datatype::Float64 => Self::Float64(cast(bytes)?),
            Datatype::Float128 => Self::Float128(cast(bytes)?),
            Datatype::Complex64 => Self::Complex64(cast(bytes)?),
            Datatype::Complex128 => Self::Complex128(cast(bytes)?),
            Datatype::Complex256 => Self::Complex256(cast(bytes)?),
            Datatype::Rgb24 => Self::Rgb24(cast(bytes)?),
            Datatype::Rgba32 => Self::Rgba32(cast(bytes)?),
        })
    }

    /// Number of voxels.
    pub fn len(&self) -> usize {
        match self {
            Self::Uint8(v) => v.len(),
            Self::Int8(v) => v.len(),
            Self::Uint16(v) => v.len(),
            Self::Int16(v) => v.len(),
            Self::Uint32(v) => v.len(),
            Self::Int32(v) => v.len(),
            Self::Uint64(v) => v.len(),
            Self::Int64(v) => v.len(),
            Self::Float32(v) => v.len(),
            Self::Float64(v) => v.len(),
            Self::Float128(v) => v.len(),
            Self::Complex64(v) => v.len(),
            Self::Complex128(v) => v.len(),
            Self::Complex256(v) => v.len(),
            Self::Rgb24(v) => v.len(),
            Self::Rgba32(v) => v.len(),
        }
    }

    /// Whether there is no voxel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl VolumeFile {
    /// All voxels as they are stored. Nothing is copied where the file is mapped or in memory, unpacked, in this
    /// machine's byte order and aligned for its type; otherwise they are copied to the decoder's memory.
    ///
    /// # Errors
    /// Faults in the voxels' part of the file.
    pub fn view<'a>(&'a self, decoder: &'a mut Decoder) -> Result<View<'a>, NiftiError> {
        let is_swapped = self.header.endian.is_swapped() && self.datatype.unit_bytes() > 1;
        if let (false, Some(view)) = (is_swapped, self.image_view()) {
            return Ok(view);
        }
        let threads = decoder.threads;
        // Taken out of the decoder, so that voxels can be read with the other buffers and copied into it.
        let mut own = std::mem::take(&mut decoder.buffers.region);
        let copied = self.stored(&mut decoder.buffers, threads).and_then(|stored| {
            let out = own.get(stored.len())?;
            copy::copy(&self.traversal(Reorientation::IDENTITY), self.datatype, self.header.endian, stored, out);
            Ok(stored.len())
        });
        decoder.buffers.region = own;
        let bytes = decoder.buffers.region.get(copied?)?;
        let (got, need) = (bytes.len(), self.data_bytes);
        View::new(self.datatype, bytes).ok_or(NiftiError::Buffer { got, need })
    }

    /// The voxels in the memory of the file, if they can be viewed there.
    fn image_view(&self) -> Option<View<'_>> {
        if self.packing() != crate::Packing::Plain {
            return None;
        }
        let bytes = self.image.bytes.slice()?;
        View::new(self.datatype, &bytes[self.data_offset as usize..][..self.data_bytes])
    }
}
