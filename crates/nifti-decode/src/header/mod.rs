//! Headers of NIfTI-1, NIfTI-2 and ANALYZE 7.5 as one type, its fields named as in nifti1.h.
//!
//! Sources: nifti1.h and nifti2.h of the NIfTI Data Format Working Group; `dbh.h` of ANALYZE 7.5, whose unused fields
//! are read as SPM does. What a field means where files disagree with the standard is decided as nibabel decides it.

mod check;
mod codes;
mod datatype;
mod extension;
mod layout;
mod versions;
mod warning;

use serde::Serialize;

use crate::NiftiError;

pub use codes::{SpaceUnit, TimeUnit, extension_name, form_name};
pub use datatype::Datatype;
pub use extension::Extension;
pub(crate) use extension::{encode as encode_extensions, parse as parse_extensions};
pub use layout::Endian;
pub use warning::Warning;

use layout::{Read, Write};

/// Bytes that are read to recognize a file: the longest header and its four extender bytes.
pub(crate) const SNIFF_BYTES: usize = 544;

/// Which header a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// NIfTI-1: 348 bytes, extents of 16 bits.
    Nifti1,
    /// NIfTI-2: 540 bytes, extents of 64 bits.
    Nifti2,
    /// ANALYZE 7.5: 348 bytes without magic, always with a second file. Read only.
    Analyze,
}

impl Version {
    /// `sizeof_hdr`.
    pub fn header_bytes(self) -> usize {
        if self == Self::Nifti2 { 540 } else { 348 }
    }

    /// Where the voxels of a single file may begin: behind the header and the four extender bytes.
    pub fn least_vox_offset(self) -> u64 {
        self.header_bytes() as u64 + 4
    }
}

/// A header, in this machine's byte order. Fields that a version lacks are zero. Lengths have the unit of `xyzt_units`.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Which layout it was read from, or is to be written in.
    pub version: Version,
    /// Byte order of the file.
    pub endian: Endian,
    /// Whether the voxels lie in a second file (magic `ni1`, `ni2` or none) instead of behind the header.
    pub is_pair: bool,
    /// Axis of frequency, phase and slice encoding, two bits each.
    pub dim_info: i32,
    /// `dim[0]` is the number of axes, 1 to 7; the others are their extents.
    pub dim: [i64; 8],
    /// First parameter of the intent.
    pub intent_p1: f64,
    /// Second parameter of the intent.
    pub intent_p2: f64,
    /// Third parameter of the intent.
    pub intent_p3: f64,
    /// What the values stand for.
    pub intent_code: i32,
    /// Code of the voxel's type; [`Header::datatype`] is the type.
    pub datatype: i32,
    /// Bits of a voxel, as stored. The datatype is what counts; a value that contradicts it is a warning.
    pub bitpix: i32,
    /// First slice with timing.
    pub slice_start: i64,
    /// Last slice with timing.
    pub slice_end: i64,
    /// Order of the slices in time.
    pub slice_code: i32,
    /// Time of one slice.
    pub slice_duration: f64,
    /// Time of the first volume.
    pub toffset: f64,
    /// `pixdim[0]` is qfac, -1 or 1; the others are the distances of voxels.
    pub pixdim: [f64; 8],
    /// Where the voxels begin in their file. Fractional values are an error, so f64 holds all that are not.
    pub vox_offset: f64,
    /// Factor of stored values; 0 or not finite means that they are not scaled.
    pub scl_slope: f64,
    /// What is added after the factor.
    pub scl_inter: f64,
    /// Value that is shown brightest.
    pub cal_max: f64,
    /// Value that is shown darkest.
    pub cal_min: f64,
    /// Units of space and time.
    pub xyzt_units: i32,
    /// Largest stored value (ANALYZE).
    pub glmax: i32,
    /// Smallest stored value (ANALYZE); in NIfTI-1 the length of a vector that is too long for `dim`, as FreeSurfer
    /// writes it.
    pub glmin: i32,
    /// Free text.
    pub descrip: [u8; 80],
    /// Name of another file.
    pub aux_file: [u8; 24],
    /// Name of the intent.
    pub intent_name: [u8; 16],
    /// Space that the quaternion maps to; 0 for none.
    pub qform_code: i32,
    /// Space that the matrix maps to; 0 for none.
    pub sform_code: i32,
    /// i part of the rotation's unit quaternion; the real part follows from the others.
    pub quatern_b: f64,
    /// j part.
    pub quatern_c: f64,
    /// k part.
    pub quatern_d: f64,
    /// Position of voxel 0, 0, 0 to the right.
    pub qoffset_x: f64,
    /// Its position to the front.
    pub qoffset_y: f64,
    /// Its position to the top.
    pub qoffset_z: f64,
    /// First row of the matrix that maps voxel indices to positions.
    pub srow_x: [f64; 4],
    /// Second row.
    pub srow_y: [f64; 4],
    /// Third row.
    pub srow_z: [f64; 4],
    /// Voxel of the origin, counted from 1 (ANALYZE as SPM writes it).
    pub origin: [i64; 3],
}

impl Header {
    /// A header of `version` for voxels of `datatype` with the extents `shape`, x first: distances 1, no scaling, no
    /// spatial transforms.
    ///
    /// # Errors
    /// [`NiftiError::Unstorable`] where the shape has no or more than 7 axes, or an extent that the version cannot
    /// hold.
    pub fn new(version: Version, datatype: Datatype, shape: &[usize]) -> Result<Self, NiftiError> {
        let mut header = Self { version, is_pair: version == Version::Analyze, ..Self::empty() };
        header.set_shape(shape)?;
        header.datatype = i32::from(datatype.code());
        header.bitpix = datatype.bytes() as i32 * 8;
        header.vox_offset = if header.is_pair { 0.0 } else { version.least_vox_offset() as f64 };
        Ok(header)
    }

    /// This header with other extents, x first.
    ///
    /// NIfTI-1 holds extents of 32767 at most. As FreeSurfer and nibabel do, a vector that is longer is stored as -1
    /// with its length in `glmin`, and FreeSurfer's surface of 163842 vertices as 27307 x 1 x 6.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_shape(mut self, shape: &[usize]) -> Result<Self, NiftiError> {
        self.set_shape(shape)?;
        Ok(self)
    }

    pub(crate) fn set_shape(&mut self, shape: &[usize]) -> Result<(), NiftiError> {
        let n_axes = shape.len() as i64;
        if !(1..=7).contains(&n_axes) {
            return Err(NiftiError::Unstorable { field: "dim[0]", got: n_axes, need: "1 to 7" });
        }
        let is_long = self.version == Version::Nifti2;
        let mut dim = [1; 8];
        dim[0] = n_axes;
        for (dim, &extent) in dim[1..].iter_mut().zip(shape) {
            *dim = i64::try_from(extent).unwrap_or(i64::MAX);
        }
        // Left by a vector that was there before.
        let mut glmin = if self.dim[1] == -1 { 0 } else { self.glmin };
        if self.version == Version::Nifti1 && n_axes >= 3 && dim[2..4] == [1, 1] {
            if dim[1] == check::SURFACE_VERTICES {
                dim[1..4].copy_from_slice(&check::SURFACE);
            } else if let Some(length) = i32::try_from(dim[1]).ok().filter(|&length| length > i32::from(i16::MAX)) {
                (dim[1], glmin) = (-1, length);
            }
        }
        if let Some(&got) = dim[1..].iter().find(|&&extent| !is_long && extent > i64::from(i16::MAX)) {
            return Err(NiftiError::Unstorable { field: "dim", got, need: "at most 32767; NIfTI-2 holds more" });
        }
        (self.dim, self.glmin) = (dim, glmin);
        Ok(())
    }

    fn empty() -> Self {
        Self {
            version: Version::Nifti1,
            endian: Endian::Little,
            is_pair: false,
            dim_info: 0,
            dim: [0; 8],
            intent_p1: 0.0,
            intent_p2: 0.0,
            intent_p3: 0.0,
            intent_code: 0,
            datatype: 0,
            bitpix: 0,
            slice_start: 0,
            slice_end: 0,
            slice_code: 0,
            slice_duration: 0.0,
            toffset: 0.0,
            pixdim: [1.0; 8],
            vox_offset: 0.0,
            scl_slope: 0.0,
            scl_inter: 0.0,
            cal_max: 0.0,
            cal_min: 0.0,
            xyzt_units: 0,
            glmax: 0,
            glmin: 0,
            descrip: [0; 80],
            aux_file: [0; 24],
            intent_name: [0; 16],
            qform_code: 0,
            sform_code: 0,
            quatern_b: 0.0,
            quatern_c: 0.0,
            quatern_d: 0.0,
            qoffset_x: 0.0,
            qoffset_y: 0.0,
            qoffset_z: 0.0,
            srow_x: [0.0; 4],
            srow_y: [0.0; 4],
            srow_z: [0.0; 4],
            origin: [0; 3],
        }
    }

    /// Reads a header from the beginning of a file; version and byte order are detected. Returns it with its harmless
    /// faults corrected, and lists them; see [`Warning`].
    ///
    /// # Errors
    /// [`NiftiError::NotNifti`], [`NiftiError::Truncated`], [`NiftiError::BadScale`], or [`NiftiError::Field`] for a
    /// field that leaves position, number or type of the voxels in doubt.
    pub fn parse(bytes: &[u8]) -> Result<(Self, Vec<Warning>), NiftiError> {
        let (version, endian, is_pair) = check::sniff(bytes)?;
        let mut header = Self { version, endian, is_pair, ..Self::empty() };
        versions::layout(version, &mut header, &mut Read { bytes, endian });
        let warnings = check::repair(&mut header, bytes)?;
        Ok((header, warnings))
    }

    /// The header's bytes, `sizeof_hdr` of them, in its own version and byte order.
    ///
    /// # Errors
    /// [`NiftiError::Unstorable`] where a field exceeds the version's width.
    pub fn encode(&self) -> Result<Vec<u8>, NiftiError> {
        let mut bytes = vec![0; self.version.header_bytes()];
        let mut write = Write { bytes: &mut bytes, endian: self.endian, fault: None };
        versions::layout(self.version, &mut self.clone(), &mut write);
        match write.fault {
            Some(fault) => Err(fault),
            None => Ok(bytes),
        }
    }

    /// Type of the voxels.
    ///
    /// # Errors
    /// [`NiftiError::Field`] for a code that this crate does not know.
    pub fn datatype(&self) -> Result<Datatype, NiftiError> {
        check::datatype(self)
    }

    /// Extents, x first, `dim[0]` of them; FreeSurfer's vectors have their true length.
    ///
    /// # Errors
    /// [`NiftiError::Field`] for extents below 1, [`NiftiError::TooLarge`] for more voxels than an address space has.
    pub fn shape(&self) -> Result<Vec<usize>, NiftiError> {
        check::shape(self)
    }

    /// Factor and intercept of the stored values; `None` where they are not scaled (slope 0 or not finite).
    ///
    /// ANALYZE files without a slope are scaled from `glmin..glmax` to `cal_min..cal_max`, as SPM2 does.
    ///
    /// # Errors
    /// [`NiftiError::BadScale`] for a usable slope with an intercept that is not finite.
    pub fn scale(&self) -> Result<Option<Scale>, NiftiError> {
        check::scale(self)
    }

    /// `descrip` as text.
    pub fn description(&self) -> String {
        text(&self.descrip)
    }
}

/// The text of a field that is padded with zeros.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// value = slope * stored + inter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Scale {
    /// Factor; finite, not 0.
    pub slope: f64,
    /// Intercept; finite.
    pub inter: f64,
}

impl Scale {
    /// Values as they are stored.
    pub const NONE: Scale = Scale { slope: 1.0, inter: 0.0 };
}
