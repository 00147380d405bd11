//! What is wrong with a header but leaves no doubt about the voxels.

use std::fmt;

/// A fault that was read around. Each says what the field held; what was made of it stands with the variant.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// `bitpix` contradicts `datatype`, which wins.
    Bitpix {
        /// Stored bits per voxel.
        got: i32,
        /// Bits of the datatype.
        need: i32,
    },
    /// `vox_offset` is 0 in a single file; the voxels are taken from behind the extender.
    ZeroVoxOffset {
        /// Where they are taken from.
        used: u64,
    },
    /// `vox_offset` is no multiple of 16, as SPM wants it.
    UnalignedVoxOffset {
        /// Stored offset.
        got: u64,
    },
    /// An extent behind the third axis is 0 and counts as 1.
    ZeroExtent {
        /// Axis, 1 for x as in `dim`.
        axis: usize,
    },
    /// A distance of voxels is 0 or not finite (and counts as 1) or negative (and counts as its magnitude).
    Pixdim {
        /// Axis, 1 for x as in `pixdim`.
        axis: usize,
        /// Stored distance.
        got: f64,
    },
    /// `pixdim[0]` is neither -1 nor 1 and counts as 1.
    Qfac {
        /// Stored qfac.
        got: f64,
    },
    /// The slope is not finite; values are not scaled.
    Slope {
        /// Stored slope.
        got: f64,
    },
    /// An intercept without a usable slope; it is ignored.
    UnusedInter {
        /// Stored intercept.
        got: f64,
    },
    /// A transform code that nobody defined; it counts as 0, no transform.
    XformCode {
        /// `qform_code` or `sform_code`.
        field: &'static str,
        /// Stored code.
        got: i32,
    },
    /// A quaternion longer than 1: the qform is not used.
    Quaternion {
        /// Sum of the squares of b, c and d.
        got: f64,
    },
    /// The four bytes behind NIfTI-2's magic, which show damage by text-mode transfers, are all 0.
    NoLineEndings,
    /// An extension with an impossible size: it and what follows are not listed.
    Extension {
        /// Where it begins, in the header's file.
        offset: u64,
        /// Stored `esize`.
        got: i64,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bitpix { got, need } => {
                write!(f, "bitpix is {got}, but the datatype has {need} bits; the datatype wins")
            }
            Self::ZeroVoxOffset { used } => write!(f, "vox_offset is 0; voxels are read from byte {used}"),
            Self::UnalignedVoxOffset { got } => {
                write!(f, "vox_offset {got} is no multiple of 16; SPM refuses such files")
            }
            Self::ZeroExtent { axis } => write!(f, "dim[{axis}] is 0; read as 1"),
            Self::Pixdim { axis, got } => {
                write!(f, "pixdim[{axis}] is {got}; read as its magnitude, or as 1 if there is none")
            }
            Self::Qfac { got } => write!(f, "pixdim[0] (qfac) is {got}; read as 1"),
            Self::Slope { got } => write!(f, "scl_slope is {got}; values are not scaled"),
            Self::UnusedInter { got } => write!(f, "scl_inter is {got} without a usable scl_slope; ignored"),
            Self::XformCode { field, got } => write!(f, "{field} {got} is not defined; read as 0"),
            Self::Quaternion { got } => {
                write!(f, "quatern_b, c, d have squares that add up to {got} > 1; qform is not used")
            }
            Self::NoLineEndings => f.write_str("magic lacks the line endings that NIfTI-2 asks for"),
            Self::Extension { offset, got } => {
                write!(f, "extension at byte {offset} has esize {got}; it and what follows are skipped")
            }
        }
    }
}
