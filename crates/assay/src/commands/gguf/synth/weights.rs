//! Values in the ranges of trained models, so that states neither explode nor vanish: the decay's offset from -6 to 1
//! over the channels, key normalization near 0.85, key rate near 1, matrices scaled by the inverse square root of their
//! inputs.

use std::io;

use quant::GgmlType;
use rayon::prelude::*;

use super::{
    random::Random,
    shape::{Declared, Role, Shape, Side},
};

/// Numbers that all threads together generate and quantize at a time.
const PIECE: usize = 4 << 20;

pub(super) struct Weights<'a> {
    pub(super) seed: u64,
    pub(super) shape: &'a Shape,
}

impl Weights<'_> {
    /// Generates the rows of a tensor, several at a time, and passes their bytes to `sink` in order.
    pub(super) fn write(
        &self,
        tensor: &Declared,
        ty: GgmlType,
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let len = tensor.dims[0] as usize;
        let row_bytes = ty.row_bytes(len).map_err(io::Error::other)?;
        let rows = tensor.elements() / len;
        let at_once = (PIECE / len).clamp(1, rows);
        let mut bytes = vec![0; at_once * row_bytes];
        for first in (0..rows).step_by(at_once) {
            let piece = &mut bytes[..at_once.min(rows - first) * row_bytes];
            piece.par_chunks_mut(row_bytes).enumerate().try_for_each(|(i, bytes)| {
                let row = self.row(tensor, (first + i) as u64, len);
                quant::quantize(ty, &row, bytes).map_err(io::Error::other)
            })?;
            sink(piece)?;
        }
        Ok(())
    }

    fn row(&self, tensor: &Declared, row: u64, len: usize) -> Vec<f32> {
        let mut random = Random::of_row(self.seed, &tensor.drawn_as, row);
        let inputs = (len as f32).sqrt();
        let depth = (2.0 * self.shape.layers as f32).sqrt();
        let mut around =
            |mean: f32, deviation: f32| -> Vec<f32> { (0..len).map(|_| mean + deviation * random.normal()).collect() };
        match tensor.role {
            Role::Embedding => around(0.0, 0.5),
            Role::Head | Role::Projection => around(0.0, 1.0 / inputs),
            Role::Residual => around(0.0, 1.0 / inputs / depth),
            Role::NormWeight => around(1.0, 0.05),
            Role::NormBias => around(0.0, 0.02),
            Role::Offset => around(0.0, 0.3),
            Role::DecayLora(Side::Down) | Role::Lora(Side::Down) => around(0.0, 0.5 / inputs),
            Role::DecayLora(Side::Up) | Role::Lora(Side::Up) => around(0.0, 0.3 / inputs),
            Role::KeyNorm => around(0.85, 0.03),
            Role::KeyRate => around(1.0, 0.02),
            Role::Bonus => around(0.0, 0.05),
            Role::Lerp => (0..len).map(|_| random.uniform()).collect(),
            Role::Decay => {
                let step = 7.0 / len.max(2) as f32;
                (0..len).map(|i| (-6.0 + step * i as f32 + 0.05 * random.normal()).clamp(-6.0, 1.0)).collect()
            }
        }
    }
}
