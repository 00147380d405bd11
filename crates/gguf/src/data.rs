//! Data of tensors in little-endian byte order, which kernels read.

use quant::{Endian, GgmlType, swap_bytes};
use serde::Serialize;
use thiserror::Error;

use crate::{
    Gguf, Tensor,
    error::{as_text, shown},
};

/// Why the data of a tensor cannot be read from a file that was opened. `tensor` is its name as text, see
/// [`shown`](crate::error::shown).
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "rule")]
#[non_exhaustive]
pub enum DataError {
    /// The file has become shorter since it was opened.
    #[error("the file had {need} bytes when it was opened and has {got} now")]
    Shrunk {
        /// Length now.
        got: u64,
        /// Length when it was opened.
        need: u64,
    },
    /// A tensor of another file.
    #[error(
        "the data of tensor {tensor:?} end at byte {need}, but this file has {got} bytes: the tensor is of another file"
    )]
    ForeignTensor {
        /// The tensor.
        tensor: String,
        /// Length of this file.
        got: u64,
        /// Where the tensor's data end.
        need: u64,
    },
    /// The output is not as long as the data.
    #[error("the output has {got} bytes, the data of tensor {tensor:?} {need}")]
    OutputLength {
        /// The tensor.
        tensor: String,
        /// Bytes of the output.
        got: u64,
        /// Bytes of the data.
        need: u64,
    },
    /// Data of a big-endian file, of a type whose bytes cannot be swapped.
    #[error("tensor {tensor:?} is of type {ty}, which cannot be converted from big-endian")]
    Unswappable {
        /// The tensor.
        tensor: String,
        /// Its type.
        #[serde(serialize_with = "as_text")]
        ty: GgmlType,
    },
}

impl<B: AsRef<[u8]>> Gguf<B> {
    /// Copies the data of a tensor to `out` as little-endian numbers, whatever the byte order of the file: the order in
    /// which [`quant`] reads them. [`data`](Self::data) reads a little-endian file without a copy.
    ///
    /// # Errors
    /// [`DataError::ForeignTensor`] if the tensor is of a larger file, [`DataError::OutputLength`] if `out` is not as
    /// long as the data, [`DataError::Unswappable`] for a big-endian file and a type that [`swap_bytes`] does not
    /// support. `out` is then unchanged.
    pub fn read_data(&self, tensor: &Tensor<'_>, out: &mut [u8]) -> Result<(), DataError> {
        let data = self.data(tensor)?;
        let name = || shown(tensor.name);
        if out.len() != data.len() {
            return Err(DataError::OutputLength { tensor: name(), got: out.len() as u64, need: data.len() as u64 });
        }
        let ty = tensor.ty;
        if self.endian() == Endian::Big {
            // No bytes: tells whether the type is supported before anything is written.
            swap_bytes(ty, &mut []).map_err(|_| DataError::Unswappable { tensor: name(), ty })?;
        }
        out.copy_from_slice(data);
        match self.endian() {
            Endian::Little => Ok(()),
            Endian::Big => swap_bytes(ty, out).map_err(|_| DataError::Unswappable { tensor: name(), ty }),
        }
    }
}
