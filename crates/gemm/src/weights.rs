//! B, the right factor: a matrix, or weights in another form.
//!
//! To add a form: a type for it beside [`PackedB`], [`QMatRef`] and [`Int8Weights`], a variant of `Source`, and the
//! lines that the compiler then asks for. Forms that are not matrices are never transposed. Packed weights go to the
//! blocked path, which asks them for panels (`algorithm/packed/panels.rs`); blocks have algorithms of their own
//! (`quantized.rs`), and so have integers with a scale for each column (`int8.rs`).

mod blocks;
mod int8;
mod packed_b;
mod rhs;

pub use blocks::QMatRef;
pub(crate) use int8::Int8Columns;
pub use int8::Int8Weights;
pub use packed_b::PackedB;
pub(crate) use packed_b::PanelShape;
pub use rhs::{Rhs, RhsBatch};
pub(crate) use rhs::{RightOperand, Source};
