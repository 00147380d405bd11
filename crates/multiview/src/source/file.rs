//! Weights in the safetensors format: read, and written.

use std::borrow::Cow;

use safetensors::{Dtype, SafeTensors, View, serialize};

use super::{TensorSource, TensorSpec, read, seeded::reserved, tensors};
use crate::{config::Config, error::WeightsError};

/// Weights in the bytes of a safetensors file. Tensors of f32, f16 and bf16 are read; others that the file has are
/// ignored.
#[derive(Debug)]
pub struct SafetensorsFile<'a>(SafeTensors<'a>);

impl<'a> SafetensorsFile<'a> {
    /// Checks the header of a file.
    ///
    /// # Errors
    /// [`WeightsError::Format`] if the bytes are not a safetensors file.
    pub fn new(bytes: &'a [u8]) -> Result<Self, WeightsError> {
        SafeTensors::deserialize(bytes).map(Self).map_err(|error| WeightsError::Format { why: error.to_string() })
    }
}

impl TensorSource for SafetensorsFile<'_> {
    fn read(&self, tensor: &TensorSpec) -> Result<Vec<f32>, WeightsError> {
        let name = || tensor.name.clone();
        let found = self.0.tensor(&tensor.name).map_err(|_| WeightsError::Missing { name: name() })?;
        if found.shape() != tensor.extents {
            let (got, need) = (found.shape().to_vec(), tensor.extents.clone());
            return Err(WeightsError::Extents { name: name(), got, need });
        }
        let bytes = found.data();
        let mut numbers = reserved(tensor.len())?;
        let pairs = || bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
        match found.dtype() {
            Dtype::F32 => {
                numbers
                    .extend(bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])));
            }
            Dtype::F16 => numbers.extend(pairs().map(|pair| half::f16::from_le_bytes(pair).to_f32())),
            Dtype::BF16 => numbers.extend(pairs().map(|pair| half::bf16::from_le_bytes(pair).to_f32())),
            other => return Err(WeightsError::Element { name: name(), element: format!("{other:?}") }),
        }
        match numbers.iter().position(|number| !number.is_finite()) {
            Some(index) => Err(WeightsError::NotFinite { name: name(), index }),
            None => Ok(numbers),
        }
    }
}

/// All tensors of a source as the bytes of a safetensors file, in f32.
///
/// # Errors
/// As the source, and [`WeightsError::Length`] if it gives another number of elements.
pub fn to_safetensors(config: &Config, source: &impl TensorSource) -> Result<Vec<u8>, WeightsError> {
    let encoded = |tensor: TensorSpec| -> Result<(String, Floats), WeightsError> {
        let bytes = read(source, &tensor)?.into_iter().flat_map(f32::to_le_bytes).collect();
        Ok((tensor.name, Floats { extents: tensor.extents, bytes }))
    };
    let all: Vec<_> = tensors(config)?.into_iter().map(encoded).collect::<Result<_, _>>()?;
    serialize(all, None).map_err(|error| WeightsError::Format { why: error.to_string() })
}

/// A tensor of f32 to write.
struct Floats {
    extents: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for Floats {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.extents
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}
