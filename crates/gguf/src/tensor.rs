//! The entries of the tensor table.

use quant::GgmlType;

use crate::{Field, Rule, cursor::Cursor};

/// Longest name, in bytes: one less than llama.cpp's buffer, which ends with a NUL.
const MAX_NAME_BYTES: u64 = 63;
const MAX_DIMENSIONS: u32 = 4;

/// Bytes of the smallest entry, which has an empty name and no dimensions: 8 + 4 + 4 + 8.
pub(crate) const SMALLEST_ENTRY: u64 = 24;

/// A tensor: its entry in the header, and where its data are in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tensor<'a> {
    /// Its name, as bytes: it may not be UTF-8.
    pub name: &'a [u8],
    /// Type of its elements.
    pub ty: GgmlType,
    dims: [u64; 4],
    n_dims: u32,
    start: u64,
    bytes: u64,
}

impl<'a> Tensor<'a> {
    /// The dimensions that the file gives, zero to four. The first one is contiguous in memory: the length of a row,
    /// which is the number of inputs of a weight matrix.
    pub fn dims(&self) -> &[u64] {
        &self.dims[..self.n_dims as usize]
    }

    /// Four dimensions; those that the file does not give are 1.
    pub fn ne(&self) -> [u64; 4] {
        self.dims
    }

    /// Number of elements, which was checked not to overflow.
    pub fn elements(&self) -> u64 {
        self.dims.iter().product()
    }

    /// Where the data begin, in bytes from the beginning of the file.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Bytes of the data, without padding.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The name as text; bytes that are not UTF-8 are replaced.
    pub fn name_lossy(&self) -> String {
        String::from_utf8_lossy(self.name).into_owned()
    }

    pub(crate) fn placed(self, start: u64) -> Self {
        Self { start, ..self }
    }

    /// Reads an entry and the offset of its data in the data section, and moves the cursor to the end of the entry.
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<(Self, u64), Rule> {
        let entry = cursor.offset();
        let name = cursor.string(Field::TensorName)?;
        if name.len() as u64 > MAX_NAME_BYTES {
            return Err(Rule::NameLength { offset: entry, got: name.len() as u64, most: MAX_NAME_BYTES });
        }
        let (dims, n_dims) = dimensions(cursor)?;
        let elements = elements(dims).ok_or(Rule::Elements { offset: entry, dims })?;
        let offset = cursor.offset();
        let id = cursor.u32(Field::TensorType)?;
        let ty = GgmlType::from_id(id).map_err(|_| Rule::TensorType { offset, got: id as i32 })?;
        let need = ty.block_len() as u64;
        if !dims[0].is_multiple_of(need) {
            return Err(Rule::RowLength { offset: entry, ty, got: dims[0], need });
        }
        let bytes = (elements / need).checked_mul(ty.block_bytes() as u64).ok_or(Rule::Size { offset: entry })?;
        let data = cursor.u64(Field::TensorOffset)?;
        Ok((Self { name, ty, dims, n_dims, start: 0, bytes }, data))
    }
}

fn dimensions(cursor: &mut Cursor<'_>) -> Result<([u64; 4], u32), Rule> {
    let offset = cursor.offset();
    let got = cursor.u32(Field::DimensionCount)?;
    if got > MAX_DIMENSIONS {
        return Err(Rule::Dimensions { offset, got, most: MAX_DIMENSIONS });
    }
    let mut dims = [1; 4];
    for dim in &mut dims[..got as usize] {
        let offset = cursor.offset();
        let got = cursor.u64(Field::Dimension)? as i64;
        *dim = u64::try_from(got).map_err(|_| Rule::NegativeDimension { offset, got })?;
    }
    Ok((dims, got))
}

/// The product of the dimensions, if it is below 2^63 at every step. As in llama.cpp, a dimension of 0 does not excuse
/// an overflow of the dimensions before it.
fn elements(dims: [u64; 4]) -> Option<u64> {
    let step = |product: u64, dim: u64| product.checked_mul(dim).filter(|&product| product <= i64::MAX as u64);
    dims.into_iter().try_fold(1, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn element_counts_stop_below_2_to_the_63() {
        let most = i64::MAX as u64;
        assert_eq!(elements([2, 3, 5, 7]), Some(210));
        assert_eq!(elements([most, 1, 1, 1]), Some(most));
        assert_eq!(elements([1 << 32, 1 << 31, 1, 1]), None);
        assert_eq!(elements([1 << 32, 1 << 32, 1, 1]), None);
        assert_eq!(elements([1 << 31, 1 << 31, 1, 1]), Some(1 << 62));
        assert_eq!(elements([1 << 31, 1 << 31, 2, 1]), None);
        assert_eq!(elements([1 << 31, 1 << 31, 0, 1 << 62]), Some(0));
        assert_eq!(elements([1 << 62, 1 << 62, 0, 1]), None);
    }
}
