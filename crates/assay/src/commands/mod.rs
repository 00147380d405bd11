//! Daily tools, one module a format.

pub(crate) mod gguf;
pub(crate) mod nifti;
