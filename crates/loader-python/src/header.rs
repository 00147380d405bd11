//! Headers as dictionaries, fields named as in nifti1.h.

use nifti_decode::{Endian, Header, Version};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict},
};

/// Text without the zeros that it is padded with.
fn text<'py>(py: Python<'py>, field: &[u8]) -> Bound<'py, PyBytes> {
    let end = field.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    PyBytes::new(py, &field[..end])
}

/// Puts fields of one kind into a dictionary.
macro_rules! fields {
    ($dict:ident, $header:ident: $($field:ident)*) => { $( $dict.set_item(stringify!($field), $header.$field)?; )* };
}

/// All fields of `header`.
pub(crate) fn dictionary<'py>(py: Python<'py>, header: &Header) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let version = match header.version {
        Version::Nifti1 => "nifti1",
        Version::Nifti2 => "nifti2",
        Version::Analyze => "analyze",
    };
    dict.set_item("version", version)?;
    dict.set_item("endian", header.endian.name())?;
    dict.set_item("sizeof_hdr", header.version.header_bytes())?;
    fields!(dict, header: is_pair dim_info dim intent_p1 intent_p2 intent_p3 intent_code datatype bitpix);
    fields!(dict, header: slice_start slice_end slice_code slice_duration toffset pixdim vox_offset);
    fields!(dict, header: scl_slope scl_inter cal_max cal_min xyzt_units glmax glmin qform_code sform_code);
    fields!(dict, header: quatern_b quatern_c quatern_d qoffset_x qoffset_y qoffset_z srow_x srow_y srow_z origin);
    dict.set_item("descrip", text(py, &header.descrip))?;
    dict.set_item("aux_file", text(py, &header.aux_file))?;
    dict.set_item("intent_name", text(py, &header.intent_name))?;
    Ok(dict)
}

/// The bytes of `header` in this machine's order, as other libraries parse them.
pub(crate) fn encoded(header: &Header) -> Result<Vec<u8>, nifti_decode::NiftiError> {
    Header { endian: Endian::NATIVE, ..header.clone() }.encode()
}
