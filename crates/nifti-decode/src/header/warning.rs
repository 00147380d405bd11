//! Faults of a header that leave no doubt about the voxels.

use std::fmt;

use crate::{AffineSource, error::Short, form_name};

/// A fault that was corrected. Each names the field and its value; the variant says what is used instead.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// `bitpix` contradicts `datatype`, which is used.
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
    /// `vox_offset` is not a multiple of 16, which SPM asks for.
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
    /// A transform code that is not defined; it counts as 0, no transform.
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
    /// An offset of the qform that is not finite: the qform is not used.
    QformOffset {
        /// The first such offset.
        got: f64,
    },
    /// An sform that maps no volume, because its numbers are not finite or an axis is lost: it is not used. ITK falls
    /// back as we do; nibabel uses it as it stands.
    Sform {
        /// Stored `sform_code`.
        code: i32,
        /// Whether its numbers are finite.
        is_finite: bool,
        /// What the affine comes from instead.
        used: AffineSource,
    },
    /// The sform has another distance of voxels than `pixdim`; the sform is used.
    Spacing {
        /// Axis, 1 for x as in `pixdim`.
        axis: usize,
        /// Distance in `pixdim`.
        pixdim: f64,
        /// Length of the sform's column.
        sform: f64,
    },
    /// The sform and the qform, both of which are there, place a corner of the volume more than half a voxel apart. The
    /// sform is used; a program that prefers the qform sees the volume elsewhere.
    Transforms {
        /// Stored `sform_code`.
        sform_code: i32,
        /// Stored `qform_code`.
        qform_code: i32,
        /// The largest distance of a corner, in the header's unit of length.
        distance: f64,
    },
    /// The four bytes after NIfTI-2's magic, which reveal damage by text-mode transfers, are all 0.
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
        match *self {
            Self::Bitpix { got, need } => {
                write!(f, "bitpix is {got}, but the datatype has {need} bits; the datatype is used")
            }
            Self::ZeroVoxOffset { used } => write!(f, "vox_offset is 0; voxels are read from byte {used}"),
            Self::UnalignedVoxOffset { got } => {
                write!(f, "vox_offset {got} is not a multiple of 16; SPM refuses such files")
            }
            Self::ZeroExtent { axis } => write!(f, "dim[{axis}] is 0; read as 1"),
            Self::Pixdim { axis, got } => {
                let used = if got.is_finite() && got != 0.0 { got.abs() } else { 1.0 };
                write!(f, "pixdim[{axis}] is {}; read as {}", Short(got), Short(used))
            }
            Self::Qfac { got } => write!(f, "pixdim[0] (qfac) is {}; read as 1", Short(got)),
            Self::Slope { got } => write!(f, "scl_slope is {}; values are not scaled", Short(got)),
            Self::UnusedInter { got } => {
                write!(f, "scl_inter is {} without a usable scl_slope; ignored", Short(got))
            }
            Self::XformCode { field, got } => write!(f, "{field} {got} is not defined; read as 0"),
            Self::Quaternion { got } => {
                write!(f, "the squares of quatern_b, c, d add up to {} > 1; the qform is not used", Short(got))
            }
            Self::QformOffset { got } => {
                write!(f, "the offset of the qform (qoffset_x, y, z) has {}; the qform is not used", Short(got))
            }
            Self::Sform { code, is_finite, used } => {
                let fault = if is_finite { "map an axis to nothing" } else { "hold numbers that are not finite" };
                write!(f, "sform_code is {code}, but srow_x, y, z {fault}; used instead: {used}")
            }
            Self::Spacing { axis, pixdim, sform } => {
                let (pixdim, sform) = (Short(pixdim), Short(sform));
                write!(f, "pixdim[{axis}] is {pixdim}, but a step of the sform has length {sform}; the sform is used")
            }
            Self::Transforms { sform_code, qform_code, distance } => {
                let name = |code| form_name(code).unwrap_or("not defined");
                let (sform, qform, distance) = (name(sform_code), name(qform_code), Short(distance));
                write!(f, "sform ({sform}) and qform ({qform}) place a corner {distance} apart; the sform is used")
            }
            Self::NoLineEndings => f.write_str("magic lacks the line endings that NIfTI-2 asks for"),
            Self::Extension { offset, got } => {
                write!(f, "extension at byte {offset} has esize {got}; it and what follows are skipped")
            }
        }
    }
}
