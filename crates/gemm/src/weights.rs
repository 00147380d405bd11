//! B, the right factor: a matrix, or weights in another form.
//!
//! To add a form: a type for it beside [`PackedB`] and [`QMatRef`], a variant of `Source`, and the lines that the
//! compiler then asks for. Forms that are not matrices are never transposed. Packed weights go to the blocked path,
//! which asks them for panels (`algorithm/packed/panels.rs`); blocks have algorithms of their own (`quantized.rs`).

mod blocks;
mod packed_b;
mod rhs;

pub use blocks::QMatRef;
pub use packed_b::PackedB;
pub(crate) use packed_b::PanelShape;
pub use rhs::{Rhs, RhsBatch};
pub(crate) use rhs::{RightOperand, Source};
