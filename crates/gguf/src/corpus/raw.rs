//! Files built field by field, so that any field can be wrong.

use crate::ValueType;

/// The fields of a little-endian file. Counts are the real ones unless they are given.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) version: u32,
    pub(super) n_tensors: Option<i64>,
    pub(super) n_keys: Option<i64>,
    /// Keys with types and values.
    pub(super) pairs: Vec<Vec<u8>>,
    /// Entries of the tensor table.
    pub(super) infos: Vec<Vec<u8>>,
    /// Alignment to which the header is padded if there are entries.
    pub(super) alignment: usize,
    /// Bytes of the data section.
    pub(super) data_bytes: usize,
}

impl Default for Raw {
    fn default() -> Self {
        let (pairs, infos) = (Vec::new(), Vec::new());
        Self { version: 3, n_tensors: None, n_keys: None, pairs, infos, alignment: 32, data_bytes: 0 }
    }
}

impl Raw {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.n_tensors.unwrap_or(self.infos.len() as i64).to_le_bytes());
        bytes.extend(self.n_keys.unwrap_or(self.pairs.len() as i64).to_le_bytes());
        self.pairs.iter().chain(&self.infos).for_each(|part| bytes.extend(part));
        if !self.infos.is_empty() {
            bytes.resize(bytes.len().next_multiple_of(self.alignment), 0);
        }
        // Zeros are finite in every type.
        bytes.resize(bytes.len() + self.data_bytes, 0);
        bytes
    }

    /// A file with these pairs and no tensor.
    pub(super) fn of_pairs(pairs: Vec<Vec<u8>>) -> Vec<u8> {
        Self { pairs, ..Self::default() }.bytes()
    }

    /// A file with these entries and `data_bytes` bytes of data.
    pub(super) fn of_infos(infos: Vec<Vec<u8>>, data_bytes: usize) -> Vec<u8> {
        Self { infos, data_bytes, ..Self::default() }.bytes()
    }
}

pub(super) fn string(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes()[..], bytes].concat()
}

pub(super) fn pair(key: &str, ty: i32, value: &[u8]) -> Vec<u8> {
    [&string(key.as_bytes())[..], &ty.to_le_bytes(), value].concat()
}

/// The element type and the length of an array.
pub(super) fn array(elements: i32, len: u64) -> Vec<u8> {
    [&elements.to_le_bytes()[..], &len.to_le_bytes()].concat()
}

pub(super) fn array_pair(elements: i32, len: u64, bytes: &[u8]) -> Vec<u8> {
    pair("a", ValueType::Array as i32, &[&array(elements, len)[..], bytes].concat())
}

/// An entry of the tensor table.
pub(super) fn info(name: &str, dims: &[i64], ty: i32, offset: u64) -> Vec<u8> {
    let mut bytes = string(name.as_bytes());
    bytes.extend((dims.len() as u32).to_le_bytes());
    dims.iter().for_each(|dim| bytes.extend(dim.to_le_bytes()));
    bytes.extend(ty.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes
}
