//! Data of tensors in the byte order that kernels read.

use quant::{Endian, swap_bytes};

use crate::{Error, Gguf, Tensor};

impl<B: AsRef<[u8]>> Gguf<B> {
    /// Copies the data of a tensor to `out`, with its numbers little-endian whatever the order of the file: as [`quant`] reads
    /// them. Files that are little-endian already need no copy: [`data`](Self::data).
    ///
    /// # Errors
    /// [`Error::ForeignTensor`] if the tensor is of a larger file, [`Error::OutputLength`] if `out` is not as long as the data,
    /// [`Error::Unswappable`] for the data of a big-endian file if [`swap_bytes`] has no code for the type. `out` is then as it was.
    pub fn read_data(&self, tensor: &Tensor<'_>, out: &mut [u8]) -> Result<(), Error> {
        let data = self.data(tensor)?;
        if out.len() != data.len() {
            return Err(Error::OutputLength { got: out.len() as u64, need: data.len() as u64 });
        }
        let ty = tensor.ty;
        if self.endian() == Endian::Big {
            // Of no bytes: whether it can be done, before anything is written.
            swap_bytes(ty, &mut []).map_err(|_| Error::Unswappable { ty })?;
        }
        out.copy_from_slice(data);
        match self.endian() {
            Endian::Little => Ok(()),
            Endian::Big => swap_bytes(ty, out).map_err(|_| Error::Unswappable { ty }),
        }
    }
}
