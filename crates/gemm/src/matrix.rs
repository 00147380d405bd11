//! Matrices in the caller's memory, to read and to write: typed views, views of any element type, and batches of them.

mod batch;
mod from_ndarray;
mod layout;
mod operand;
mod view;

pub use batch::{Batch, BatchMut};
pub use operand::{Input, Output};
pub use view::{MatMut, MatRef};
