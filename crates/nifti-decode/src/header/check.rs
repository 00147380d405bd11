//! The rules of a header: what is an error, and what is corrected with a warning.

use super::{Datatype, Endian, Header, Scale, Version, Warning, versions::magic};
use crate::{Affine, Got, NiftiError, affine};

/// Vertices of FreeSurfer's finest surface, and the extents that stand for them where 16 bits hold no more.
pub(super) const SURFACE_VERTICES: i64 = 163_842;
pub(super) const SURFACE: [i64; 3] = [27_307, 1, 6];

/// Distances in `pixdim` and in the sform that differ by less than this share are the same, rounded or written in few
/// digits.
const SPACING_TOLERANCE: f64 = 1e-3;

/// Version, byte order and whether it is a pair, from a file's first bytes.
pub(super) fn sniff(bytes: &[u8]) -> Result<(Version, Endian, bool), NiftiError> {
    let Some(first) = bytes.first_chunk::<4>() else {
        return Err(NiftiError::Truncated { what: "header", offset: 0, got: bytes.len() as u64, need: 348 });
    };
    let orders = [(Endian::Little, i32::from_le_bytes(*first)), (Endian::Big, i32::from_be_bytes(*first))];
    let Some((endian, size)) = orders.into_iter().find(|(_, size)| matches!(size, 348 | 540)) else {
        return Err(NiftiError::NotNifti { first: *first });
    };
    let need = size as u64;
    if (bytes.len() as u64) < need {
        return Err(NiftiError::Truncated { what: "header", offset: 0, got: bytes.len() as u64, need });
    }
    let (version, at) = if size == 540 { (Version::Nifti2, 4) } else { (Version::Nifti1, 344) };
    let stored = &bytes[at..at + 4];
    let is_pair = [false, true].into_iter().find(|&is_pair| stored == &magic(version, is_pair)[..4]);
    match (is_pair, version) {
        (Some(is_pair), _) => Ok((version, endian, is_pair)),
        (None, Version::Nifti1) => Ok((Version::Analyze, endian, true)),
        (None, _) => {
            let got = Got::Text([stored[0], stored[1], stored[2], stored[3]]);
            Err(NiftiError::Field { field: "magic", offset: at as u64, got, need: "\"n+2\" or \"ni2\"" })
        }
    }
}

/// Byte of a field: NIfTI-1's and ANALYZE's, or NIfTI-2's.
fn at(header: &Header, shared: u64, nifti2: u64) -> u64 {
    if header.version == Version::Nifti2 { nifti2 } else { shared }
}

fn axis_at(header: &Header, axis: usize) -> u64 {
    let (start, bytes) = if header.version == Version::Nifti2 { (16, 8) } else { (40, 2) };
    start + bytes * axis as u64
}

/// Refuses faults that leave the voxels in doubt; corrects the others and lists them.
pub(super) fn repair(header: &mut Header, bytes: &[u8]) -> Result<Vec<Warning>, NiftiError> {
    let mut warnings = Vec::new();
    line_endings(header, bytes, &mut warnings)?;
    repair_extents(header, &mut warnings);
    shape(header)?;
    let need = datatype(header)?.bytes() as i32 * 8;
    if header.bitpix != need {
        warnings.push(Warning::Bitpix { got: header.bitpix, need });
    }
    repair_offset(header, &mut warnings)?;
    repair_pixdim(header, &mut warnings);
    scale(header)?;
    if header.version != Version::Analyze {
        repair_scale(header, &mut warnings);
        for (field, code) in [("qform_code", &mut header.qform_code), ("sform_code", &mut header.sform_code)] {
            if !(0..=5).contains(code) {
                warnings.push(Warning::XformCode { field, got: *code });
                *code = 0;
            }
        }
        check_transforms(header, &mut warnings);
    }
    Ok(warnings)
}

fn line_endings(header: &Header, bytes: &[u8], warnings: &mut Vec<Warning>) -> Result<(), NiftiError> {
    if header.version != Version::Nifti2 {
        return Ok(());
    }
    match bytes.get(8..12) {
        Some(b"\r\n\x1a\n") => {}
        Some([0, 0, 0, 0]) => warnings.push(Warning::NoLineEndings),
        stored => {
            let got = stored.and_then(|stored| stored.first_chunk().copied()).unwrap_or_default();
            let need = "\"\\r\\n\\x1a\\n\": the file was damaged by a transfer as text";
            return Err(NiftiError::Field { field: "magic", offset: 8, got: Got::Text(got), need });
        }
    }
    Ok(())
}

fn repair_extents(header: &mut Header, warnings: &mut Vec<Warning>) {
    let n_axes = header.dim[0].clamp(0, 7) as usize;
    for axis in 4..=n_axes {
        if header.dim[axis] == 0 {
            warnings.push(Warning::ZeroExtent { axis });
            header.dim[axis] = 1;
        }
    }
}

pub(super) fn shape(header: &Header) -> Result<Vec<usize>, NiftiError> {
    let fault = |axis: usize, need| {
        let field = ["dim[0]", "dim[1]", "dim[2]", "dim[3]", "dim[4]", "dim[5]", "dim[6]", "dim[7]"][axis];
        NiftiError::Field { field, offset: axis_at(header, axis), got: Got::Int(header.dim[axis]), need }
    };
    if !(1..=7).contains(&header.dim[0]) {
        return Err(fault(0, "1 to 7"));
    }
    let n_axes = header.dim[0] as usize;
    let mut dim = header.dim;
    // FreeSurfer's extents that 16 bits do not hold, whatever axes follow: nibabel's rule.
    if header.version == Version::Nifti1 && n_axes >= 3 {
        if dim[1..4] == [-1, 1, 1] {
            let Some(length) = Some(header.glmin).filter(|&length| length > 0) else {
                let (got, need) =
                    (Got::Int(header.glmin.into()), "a vector's length, at least 1, because dim[1] is -1");
                return Err(NiftiError::Field { field: "glmin", offset: 144, got, need });
            };
            dim[1] = length.into();
        } else if dim[1..4] == SURFACE {
            dim[1..4].copy_from_slice(&[SURFACE_VERTICES, 1, 1]);
        }
    }
    let mut voxels = 1_u64;
    for (axis, &extent) in (1..).zip(&dim[1..=n_axes]) {
        let extent = u64::try_from(extent).ok().filter(|&extent| extent > 0);
        let Some(extent) = extent else { return Err(fault(axis, "at least 1")) };
        voxels = voxels.saturating_mul(extent);
    }
    // 32 bytes is the widest voxel; the product in bytes must fit an address space.
    let limit = isize::MAX as u64 / 32;
    if voxels > limit {
        return Err(NiftiError::TooLarge { what: "dim", got: voxels.saturating_mul(32), limit: isize::MAX as u64 });
    }
    Ok(dim[1..=n_axes].iter().map(|&extent| extent as usize).collect())
}

pub(super) fn datatype(header: &Header) -> Result<Datatype, NiftiError> {
    Datatype::from_code(header.datatype.into()).ok_or(NiftiError::Field {
        field: "datatype",
        offset: at(header, 70, 12),
        got: Got::Int(header.datatype.into()),
        need: "a code of nifti1.h other than 0, 1 and 255",
    })
}

fn repair_offset(header: &mut Header, warnings: &mut Vec<Warning>) -> Result<(), NiftiError> {
    let got = header.vox_offset;
    let fault =
        |need| NiftiError::Field { field: "vox_offset", offset: at(header, 108, 168), got: Got::Float(got), need };
    // Above 2^53 f64 skips whole numbers, and no file is that long.
    if !(got.fract() == 0.0 && (0.0..=9e15).contains(&got)) {
        return Err(fault("a whole number of at least 0"));
    }
    let least = header.version.least_vox_offset();
    if !header.is_pair {
        if got == 0.0 {
            warnings.push(Warning::ZeroVoxOffset { used: least });
            header.vox_offset = least as f64;
        } else if got < least as f64 {
            return Err(fault(if least == 352 { "0 or at least 352" } else { "0 or at least 544" }));
        }
    }
    if got % 16.0 != 0.0 {
        warnings.push(Warning::UnalignedVoxOffset { got: got as u64 });
    }
    Ok(())
}

fn repair_pixdim(header: &mut Header, warnings: &mut Vec<Warning>) {
    let spatial = (header.dim[0] as usize).min(3);
    for axis in 1..=3 {
        let got = header.pixdim[axis];
        if got.is_finite() && got > 0.0 {
            continue;
        }
        if axis <= spatial {
            warnings.push(Warning::Pixdim { axis, got });
        }
        header.pixdim[axis] = if got.is_finite() && got != 0.0 { got.abs() } else { 1.0 };
    }
    let got = header.pixdim[0];
    if header.version != Version::Analyze && got.abs() != 1.0 {
        warnings.push(Warning::Qfac { got });
        header.pixdim[0] = 1.0;
    }
}

pub(super) fn scale(header: &Header) -> Result<Option<Scale>, NiftiError> {
    let (slope, inter) = (header.scl_slope, header.scl_inter);
    if slope != 0.0 && slope.is_finite() {
        return match header.version {
            Version::Analyze => Ok(Some(Scale { slope, inter: if inter.is_finite() { inter } else { 0.0 } })),
            _ if inter.is_finite() => Ok(Some(Scale { slope, inter })),
            _ => Err(NiftiError::BadScale { offset: at(header, 116, 184), slope, inter }),
        };
    }
    let stored = f64::from(header.glmax) - f64::from(header.glmin);
    let shown = header.cal_max - header.cal_min;
    if header.version == Version::Analyze && stored != 0.0 && shown != 0.0 && shown.is_finite() {
        let slope = shown / stored;
        return Ok(Some(Scale { slope, inter: header.cal_min - slope * f64::from(header.glmin) }));
    }
    Ok(None)
}

fn repair_scale(header: &Header, warnings: &mut Vec<Warning>) {
    if !header.scl_slope.is_finite() {
        warnings.push(Warning::Slope { got: header.scl_slope });
    }
    if (header.scl_slope == 0.0 || !header.scl_slope.is_finite()) && header.scl_inter != 0.0 {
        warnings.push(Warning::UnusedInter { got: header.scl_inter });
    }
}

/// Leaves out transforms that cannot be one, as ITK does: what remains is used. nibabel uses an sform as it stands.
fn check_transforms(header: &mut Header, warnings: &mut Vec<Warning>) {
    if header.qform_code > 0 {
        let offset = [header.qoffset_x, header.qoffset_y, header.qoffset_z];
        if affine::real_part(header).is_none() {
            let got = header.quatern_b.powi(2) + header.quatern_c.powi(2) + header.quatern_d.powi(2);
            warnings.push(Warning::Quaternion { got });
            header.qform_code = 0;
        } else if let Some(&got) = offset.iter().find(|offset| !offset.is_finite()) {
            warnings.push(Warning::QformOffset { got });
            header.qform_code = 0;
        }
    }
    if header.sform_code > 0 && !header.sform().is_invertible() {
        let is_finite = header.sform().0.as_flattened().iter().all(|value| value.is_finite());
        let code = std::mem::take(&mut header.sform_code);
        let (_, used) = Affine::of(header);
        warnings.push(Warning::Sform { code, is_finite, used });
    }
    if header.sform_code > 0 {
        let n_axes = header.dim[0].clamp(0, 3) as usize;
        for (axis, sform) in (1..=n_axes).zip(header.sform().spacing()) {
            let pixdim = header.pixdim[axis];
            if (sform - pixdim).abs() > SPACING_TOLERANCE * sform.max(pixdim) {
                warnings.push(Warning::Spacing { axis, pixdim, sform });
            }
        }
        compare_transforms(header, warnings);
    }
}

/// Warns where readers that take the qform place the volume elsewhere. Less than half a voxel is left to the rounding
/// of stored numbers: that of a quaternion near half a turn can move a corner by a tenth of a voxel.
fn compare_transforms(header: &Header, warnings: &mut Vec<Warning>) {
    let Some(qform) = affine::qform(header).filter(|_| header.qform_code > 0) else { return };
    let sform = header.sform();
    let last = [1, 2, 3].map(|axis| if axis as i64 <= header.dim[0] { (header.dim[axis] - 1) as f64 } else { 0.0 });
    let distance = |corner: u8| {
        let voxel = [0, 1, 2].map(|axis| if corner >> axis & 1 == 1 { last[axis] } else { 0.0 });
        let (a, b) = (sform.apply(voxel), qform.apply(voxel));
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    };
    let distance = (0..8).map(distance).fold(0.0, f64::max);
    let step = sform.spacing().into_iter().fold(f64::INFINITY, f64::min);
    if distance > step / 2.0 {
        let Header { sform_code, qform_code, .. } = *header;
        warnings.push(Warning::Transforms { sform_code, qform_code, distance });
    }
}
