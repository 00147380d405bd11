//! The dimensions of a model, from the keys of its file.

use gguf::Metadata;

use crate::error::ModelError;

/// Largest extent of anything: products of two stay far below what a number holds.
const MOST: u64 = 1 << 24;

/// Dimensions of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Config {
    /// Layers.
    pub layers: usize,
    /// Channels of a token between layers: C.
    pub channels: usize,
    /// Channels of a head: N. The heads are C / N.
    pub head_size: usize,
    /// Channels of the hidden layer of the channel mix.
    pub feed_forward: usize,
    /// Rank of the matrices of the decay.
    pub decay_rank: usize,
    /// Rank of the matrices of the in-context learning rate.
    pub rate_rank: usize,
    /// Rank of the matrices that mix in the first layer's values.
    pub value_rank: usize,
    /// Rank of the matrices of the gate; 0 for a model without one.
    pub gate_rank: usize,
    /// Added to variances by the layer norms.
    pub epsilon: f32,
}

impl Config {
    /// Reads the keys of the architecture `rwkv7` as llama.cpp's converter writes them.
    pub(crate) fn from_metadata(metadata: Metadata<'_>) -> Result<Self, ModelError> {
        let architecture = metadata.get("general.architecture").and_then(|value| value.as_str());
        if architecture != Some("rwkv7") {
            return Err(ModelError::Architecture { found: architecture.unwrap_or("missing").to_owned() });
        }
        let optional = |name: &str| -> Result<Option<usize>, ModelError> {
            let key = format!("rwkv7.{name}");
            let Some(value) = metadata.get(&key) else { return Ok(None) };
            let Some(value) = value.as_u64() else { return Err(ModelError::Key { key, wanted: "whole number" }) };
            if value > MOST {
                return Err(ModelError::KeyValue { key, value, reason: "it is too large" });
            }
            Ok(Some(value as usize))
        };
        let required = |name: &str| -> Result<usize, ModelError> {
            match optional(name)? {
                Some(0) => Err(ModelError::KeyValue {
                    key: format!("rwkv7.{name}"),
                    value: 0,
                    reason: "it must be at least 1",
                }),
                Some(value) => Ok(value),
                None => Err(ModelError::Key { key: format!("rwkv7.{name}"), wanted: "whole number" }),
            }
        };
        let config = Self {
            layers: required("block_count")?,
            channels: required("embedding_length")?,
            head_size: required("wkv.head_size")?,
            feed_forward: required("feed_forward_length")?,
            decay_rank: required("attention.decay_lora_rank")?,
            rate_rank: required("attention.iclr_lora_rank")?,
            value_rank: required("attention.value_residual_mix_lora_rank")?,
            gate_rank: optional("attention.gate_lora_rank")?.unwrap_or(0),
            epsilon: {
                let key = "rwkv7.attention.layer_norm_epsilon";
                let epsilon = metadata.get(key).and_then(|value| value.as_f64());
                let epsilon = epsilon.filter(|epsilon| (0.0..1.0).contains(epsilon));
                epsilon.ok_or_else(|| ModelError::Key { key: key.to_owned(), wanted: "number from 0 to 1" })? as f32
            },
        };
        if !config.channels.is_multiple_of(config.head_size) {
            return Err(ModelError::KeyValue {
                key: "rwkv7.wkv.head_size".to_owned(),
                value: config.head_size as u64,
                reason: "it does not divide the channels",
            });
        }
        if let Some(shifts) = optional("token_shift_count")?.filter(|shifts| *shifts != 2) {
            return Err(ModelError::KeyValue {
                key: "rwkv7.token_shift_count".to_owned(),
                value: shifts as u64,
                reason: "it must be 2",
            });
        }
        Ok(config)
    }

    /// Heads of a layer.
    pub fn heads(&self) -> usize {
        self.channels / self.head_size
    }
}
