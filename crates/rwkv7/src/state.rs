//! What a model remembers of the tokens so far.

use op::fnv1a;

use crate::{config::Config, error::StateError};

/// Floats of the largest vector: rows of a head's state are that long at least, so that every load is of a whole
/// vector.
const PADDING: usize = simd::MAX_LANES;

const MAGIC: &[u8; 8] = b"rwkv7st1";

/// The state of a sequence: what later tokens need of earlier ones. Its size does not depend on their number.
///
/// A clone is a fork: both go on by themselves. [`to_bytes`](Self::to_bytes) and [`from_bytes`](Self::from_bytes) save
/// and restore it, with the same bits afterwards.
///
/// For each layer it holds the normalized input of the last token to the time mix and to the channel mix (C floats
/// each), and for each head a matrix of N x N floats: entry (j, i) is what key channel j holds of value channel i.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    dimensions: [u64; 3],
    padded: usize,
    layers: Vec<LayerState>,
}

/// The state of a layer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LayerState {
    /// The normalized input of the last token to the time mix.
    pub(crate) time: Vec<f32>,
    /// The same of the channel mix.
    pub(crate) channel: Vec<f32>,
    /// Heads x key channels x value channels; rows are padded with zeros.
    pub(crate) heads: Vec<f32>,
}

/// Floats of a row of a head's state.
pub(crate) fn padded(head_size: usize) -> usize {
    head_size.next_multiple_of(PADDING)
}

impl State {
    /// The state before the first token.
    pub fn new(config: &Config) -> Self {
        let padded = padded(config.head_size);
        let layer = LayerState {
            time: vec![0.0; config.channels],
            channel: vec![0.0; config.channels],
            heads: vec![0.0; config.channels * padded],
        };
        let dimensions = [config.layers, config.channels, config.head_size].map(|extent| extent as u64);
        Self { dimensions, padded, layers: vec![layer; config.layers] }
    }

    /// Forgets all tokens.
    pub fn reset(&mut self) {
        for layer in &mut self.layers {
            for floats in [&mut layer.time, &mut layer.channel, &mut layer.heads] {
                floats.fill(0.0);
            }
        }
    }

    /// Numbers that it holds.
    pub fn len(&self) -> usize {
        let [layers, channels, head_size] = self.dimensions.map(|extent| extent as usize);
        layers * channels * (2 + head_size)
    }

    /// Never: a model has a layer at least.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn layers(&mut self) -> &mut [LayerState] {
        &mut self.layers
    }

    /// Whether it is that of a model of these dimensions.
    pub fn belongs_to(&self, config: &Config) -> bool {
        self.dimensions == [config.layers, config.channels, config.head_size].map(|extent| extent as u64)
    }

    /// Its numbers, [`len`](Self::len) of them: for each layer the input of the time mix, that of the channel mix, and
    /// the matrices of all heads.
    pub fn floats(&self) -> impl Iterator<Item = f32> {
        let head_size = self.dimensions[2] as usize;
        self.layers.iter().flat_map(move |layer| {
            let heads = layer.heads.chunks_exact(self.padded).flat_map(move |row| &row[..head_size]);
            layer.time.iter().chain(&layer.channel).chain(heads).copied()
        })
    }

    /// A state from its [`floats`](Self::floats); `None` if they are not as many as a state of the model has.
    pub fn from_floats(config: &Config, floats: &[f32]) -> Option<Self> {
        let mut state = Self::new(config);
        if floats.len() != state.len() {
            return None;
        }
        state.fill(floats.iter().copied());
        Some(state)
    }

    /// Takes all numbers, of which there are enough.
    fn fill(&mut self, mut floats: impl Iterator<Item = f32>) {
        let head_size = self.dimensions[2] as usize;
        let mut take = |to: &mut [f32]| to.iter_mut().zip(&mut floats).for_each(|(to, from)| *to = from);
        for layer in &mut self.layers {
            take(&mut layer.time);
            take(&mut layer.channel);
            layer.heads.chunks_exact_mut(self.padded).for_each(|row| take(&mut row[..head_size]));
        }
    }

    /// The state as bytes, the same on every machine: a mark, the dimensions, all floats, a checksum.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length(self.dimensions).unwrap_or(0));
        bytes.extend(MAGIC);
        self.dimensions.iter().for_each(|extent| bytes.extend(extent.to_le_bytes()));
        self.floats().for_each(|x| bytes.extend(x.to_le_bytes()));
        bytes.extend(fnv1a(&bytes).to_le_bytes());
        bytes
    }

    /// A state from its bytes, for a model of these dimensions.
    ///
    /// # Errors
    /// [`StateError`] for bytes of anything else: another model, another length, a damaged state.
    pub fn from_bytes(config: &Config, bytes: &[u8]) -> Result<Self, StateError> {
        let mut state = Self::new(config);
        let Some((magic, rest)) = bytes.split_first_chunk() else { return Err(StateError::Magic) };
        if magic != MAGIC {
            return Err(StateError::Magic);
        }
        let wanted = length(state.dimensions).unwrap_or(usize::MAX);
        let wrong_length = StateError::Length { found: bytes.len(), wanted };
        let Some((extents, _)) = rest.split_first_chunk::<24>() else { return Err(wrong_length) };
        let mut found = [0; 3];
        for (extent, bytes) in found.iter_mut().zip(extents.as_chunks().0) {
            *extent = u64::from_le_bytes(*bytes);
        }
        if found != state.dimensions {
            return Err(StateError::Dimensions { found, wanted: state.dimensions });
        }
        if bytes.len() != wanted {
            return Err(wrong_length);
        }
        let Some((content, sum)) = bytes.split_last_chunk() else { return Err(wrong_length) };
        if fnv1a(content) != u64::from_le_bytes(*sum) {
            return Err(StateError::Damaged);
        }
        state.fill(content[MAGIC.len() + 24..].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        Ok(state)
    }
}

/// Bytes of a saved state.
fn length([layers, channels, head_size]: [u64; 3]) -> Option<usize> {
    let floats = layers.checked_mul(channels)?.checked_mul(head_size.checked_add(2)?)?;
    usize::try_from(floats.checked_mul(4)?.checked_add(8 + 24 + 8)?).ok()
}
