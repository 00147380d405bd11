//! B, the right factor: a matrix, or weights in another form.
//!
//! To add a form (quantized blocks, say): a type for it beside [`PackedB`], a variant of `Source`, and the lines that
//! the compiler then asks for. Forms that are not matrices are never transposed and never read in place: the route
//! sends them to the blocked path, which asks them for panels (`algorithm/packed/panels.rs`).

mod packed_b;
mod rhs;

pub use packed_b::PackedB;
pub(crate) use packed_b::PanelShape;
pub use rhs::{Rhs, RhsBatch};
pub(crate) use rhs::{RightOperand, Source};
