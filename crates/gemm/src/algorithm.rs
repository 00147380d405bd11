//! The algorithms of a product: one file for each [`Path`](crate::Path).
//!
//! They take a problem that is checked, a grid of parts, and a workspace. Which one runs is decided in `plan`.

pub(crate) mod axpy;
pub(crate) mod direct;
pub(crate) mod dot;
pub(crate) mod packed;
mod rows;
pub(crate) mod scale;
pub(crate) mod strips;
