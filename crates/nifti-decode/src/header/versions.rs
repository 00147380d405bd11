//! The layout of each version.

use super::{
    Header, Version,
    layout::{Codec, Width, Width::*},
};

/// Passes every field of `header`, in the layout of `version`, to `codec`.
pub(super) fn layout(version: Version, header: &mut Header, codec: &mut impl Codec) {
    let mut sizeof_hdr = version.header_bytes() as i64;
    codec.int("sizeof_hdr", 0, I32, &mut sizeof_hdr);
    match version {
        Version::Nifti1 => nifti1(header, codec),
        Version::Nifti2 => nifti2(header, codec),
        Version::Analyze => analyze(header, codec),
    }
}

/// The magic of a version.
pub(super) fn magic(version: Version, is_pair: bool) -> &'static [u8] {
    match (version, is_pair) {
        (Version::Nifti1, false) => b"n+1\0",
        (Version::Nifti1, true) => b"ni1\0",
        (Version::Nifti2, false) => b"n+2\0\r\n\x1a\n",
        (Version::Nifti2, true) => b"ni2\0\r\n\x1a\n",
        (Version::Analyze, _) => b"",
    }
}

fn ints(codec: &mut impl Codec, field: &'static str, at: usize, width: Width, values: &mut [i64]) {
    let bytes = if width == I64 { 8 } else { 2 };
    for (i, value) in values.iter_mut().enumerate() {
        codec.int(field, at + i * bytes, width, value);
    }
}

/// The fields that NIfTI-1 shares with ANALYZE.
fn shared(h: &mut Header, codec: &mut impl Codec) {
    ints(codec, "dim", 40, I16, &mut h.dim);
    codec.code("datatype", 70, I16, &mut h.datatype);
    codec.code("bitpix", 72, I16, &mut h.bitpix);
    codec.floats(76, F32, &mut h.pixdim);
    codec.float(108, F32, &mut h.vox_offset);
    codec.float(112, F32, &mut h.scl_slope);
    codec.float(116, F32, &mut h.scl_inter);
    codec.float(124, F32, &mut h.cal_max);
    codec.float(128, F32, &mut h.cal_min);
    codec.code("glmax", 140, I32, &mut h.glmax);
    codec.code("glmin", 144, I32, &mut h.glmin);
    codec.text(148, &mut h.descrip);
    codec.text(228, &mut h.aux_file);
}

fn nifti1(h: &mut Header, codec: &mut impl Codec) {
    shared(h, codec);
    codec.code("dim_info", 39, U8, &mut h.dim_info);
    codec.float(56, F32, &mut h.intent_p1);
    codec.float(60, F32, &mut h.intent_p2);
    codec.float(64, F32, &mut h.intent_p3);
    codec.code("intent_code", 68, I16, &mut h.intent_code);
    codec.int("slice_start", 74, I16, &mut h.slice_start);
    codec.int("slice_end", 120, I16, &mut h.slice_end);
    codec.code("slice_code", 122, U8, &mut h.slice_code);
    codec.code("xyzt_units", 123, U8, &mut h.xyzt_units);
    codec.float(132, F32, &mut h.slice_duration);
    codec.float(136, F32, &mut h.toffset);
    codec.code("qform_code", 252, I16, &mut h.qform_code);
    codec.code("sform_code", 254, I16, &mut h.sform_code);
    for (i, value) in quaternion(h).into_iter().enumerate() {
        codec.float(256 + 4 * i, F32, value);
    }
    codec.floats(280, F32, &mut h.srow_x);
    codec.floats(296, F32, &mut h.srow_y);
    codec.floats(312, F32, &mut h.srow_z);
    codec.text(328, &mut h.intent_name);
    codec.text(344, &mut magic(Version::Nifti1, h.is_pair).to_vec());
}

fn nifti2(h: &mut Header, codec: &mut impl Codec) {
    codec.text(4, &mut magic(Version::Nifti2, h.is_pair).to_vec());
    codec.code("datatype", 12, I16, &mut h.datatype);
    codec.code("bitpix", 14, I16, &mut h.bitpix);
    ints(codec, "dim", 16, I64, &mut h.dim);
    codec.float(80, F64, &mut h.intent_p1);
    codec.float(88, F64, &mut h.intent_p2);
    codec.float(96, F64, &mut h.intent_p3);
    codec.floats(104, F64, &mut h.pixdim);
    let mut vox_offset = h.vox_offset as i64;
    codec.int("vox_offset", 168, I64, &mut vox_offset);
    h.vox_offset = vox_offset as f64;
    codec.float(176, F64, &mut h.scl_slope);
    codec.float(184, F64, &mut h.scl_inter);
    codec.float(192, F64, &mut h.cal_max);
    codec.float(200, F64, &mut h.cal_min);
    codec.float(208, F64, &mut h.slice_duration);
    codec.float(216, F64, &mut h.toffset);
    codec.int("slice_start", 224, I64, &mut h.slice_start);
    codec.int("slice_end", 232, I64, &mut h.slice_end);
    codec.text(240, &mut h.descrip);
    codec.text(320, &mut h.aux_file);
    codec.code("qform_code", 344, I32, &mut h.qform_code);
    codec.code("sform_code", 348, I32, &mut h.sform_code);
    for (i, value) in quaternion(h).into_iter().enumerate() {
        codec.float(352 + 8 * i, F64, value);
    }
    codec.floats(400, F64, &mut h.srow_x);
    codec.floats(432, F64, &mut h.srow_y);
    codec.floats(464, F64, &mut h.srow_z);
    codec.code("slice_code", 496, I32, &mut h.slice_code);
    codec.code("xyzt_units", 500, I32, &mut h.xyzt_units);
    codec.code("intent_code", 504, I32, &mut h.intent_code);
    codec.text(508, &mut h.intent_name);
    codec.code("dim_info", 524, U8, &mut h.dim_info);
}

/// SPM keeps a slope, an intercept and an origin in fields that ANALYZE leaves unused. The origin begins at an odd
/// byte.
fn analyze(h: &mut Header, codec: &mut impl Codec) {
    shared(h, codec);
    ints(codec, "origin", 253, I16, &mut h.origin);
}

/// In their order in the file.
fn quaternion(h: &mut Header) -> [&mut f64; 6] {
    [&mut h.quatern_b, &mut h.quatern_c, &mut h.quatern_d, &mut h.qoffset_x, &mut h.qoffset_y, &mut h.qoffset_z]
}
