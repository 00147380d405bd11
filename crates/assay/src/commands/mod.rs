//! Daily tools, one module a format; and the scenarios.

pub(crate) mod cells;
pub(crate) mod gguf;
pub(crate) mod nifti;
pub(crate) mod npy;
pub(crate) mod rwkv7;
