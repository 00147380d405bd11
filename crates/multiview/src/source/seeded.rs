//! Numbers from a seed, the same on every machine.

use op::random::{Random, SplitMix64};

use super::{Role, TensorSource, TensorSpec};
use crate::error::WeightsError;

/// Weights from a seed. Each tensor has a stream of its own, given by its name, so that the order of reading does not
/// matter.
///
/// Matrices have the variance that keeps activations near 1. Factors of residual branches are near 0.25, not VGGT's
/// initial 0.01: with 0.01 a block could be wrong without being seen in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seeded(pub u64);

impl Seeded {
    fn stream(self, name: &str) -> Random {
        Random::new(op::fnv1a(name.as_bytes()) ^ SplitMix64::new(self.0).bits())
    }
}

impl TensorSource for Seeded {
    fn read(&self, tensor: &TensorSpec) -> Result<Vec<f32>, WeightsError> {
        let mut random = self.stream(&tensor.name);
        let (mean, deviation) = match tensor.role {
            Role::Linear { inputs } => (0.0, 1.0 / (inputs as f32).sqrt()),
            Role::Bias => (0.0, 0.1),
            Role::NormFactor => (1.0, 0.2),
            Role::BranchFactor => (0.25, 0.05),
            Role::Tokens => (0.0, 1.0),
        };
        let mut numbers = reserved(tensor.len())?;
        numbers.extend((0..tensor.len()).map(|_| mean + deviation * random.normal()));
        Ok(numbers)
    }
}

/// An empty vector with room for `len` numbers.
pub(super) fn reserved(len: usize) -> Result<Vec<f32>, WeightsError> {
    let mut numbers = Vec::new();
    let refused = WeightsError::OutOfMemory { bytes: len.saturating_mul(size_of::<f32>()) };
    numbers.try_reserve_exact(len).map_err(|_| refused)?;
    Ok(numbers)
}

/// Fills `values` with image number `index` of a seed: noise on a gradient that differs from image to image, in [0, 1).
/// Channels come first, as in 3 x height x width.
pub fn image(seed: u64, index: usize, values: &mut [f32]) {
    let mut random = Random::new(seed ^ (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let step = 0.5 / values.len().max(1) as f32;
    for (i, value) in values.iter_mut().enumerate() {
        *value = i as f32 * step + 0.49 * (random.bits() >> 40) as f32 / (1 << 24) as f32;
    }
}
