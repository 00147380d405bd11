//! Daily tools, one module a format.

pub(crate) mod nifti;
