//! Names, shapes and types of the tensors of RWKV-7 in llama.cpp's architecture `rwkv7` (`src/llama-arch.cpp`,
//! `src/models/rwkv7.cpp` and the converter in ggml-org/llama.cpp).

use std::{fmt, str::FromStr};

use anyhow::{Error, anyhow};
use quant::GgmlType;

/// The size of a published model, or a tiny one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(usize);

/// Name; layers, channels; ranks of decay and in-context rate, value residual, gate.
const SIZES: [(&str, [u64; 5]); 6] = [
    ("tiny", [2, 256, 32, 32, 32]),
    ("0.19b", [12, 768, 64, 32, 128]),
    ("0.45b", [24, 1024, 64, 32, 160]),
    ("1.5b", [24, 2048, 96, 64, 256]),
    ("2.9b", [32, 2560, 96, 64, 320]),
    ("7.2b", [32, 4096, 128, 96, 480]),
];

impl FromStr for Size {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = SIZES.iter().position(|(known, _)| *known == name);
        let known = SIZES.map(|(known, _)| known).join(", ");
        found.map(Self).ok_or_else(|| anyhow!("no size {name:?}; there are {known}"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(SIZES[self.0].0)
    }
}

impl Size {
    pub(super) fn shape(self, tokens: u64) -> Shape {
        let [layers, channels, decay_rank, value_rank, gate_rank] = SIZES[self.0].1;
        Shape { layers, channels, tokens, decay_rank, iclr_rank: decay_rank, value_rank, gate_rank }
    }
}

/// The extents of a model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) layers: u64,
    pub(super) channels: u64,
    pub(super) tokens: u64,
    pub(super) decay_rank: u64,
    pub(super) iclr_rank: u64,
    pub(super) value_rank: u64,
    pub(super) gate_rank: u64,
}

/// The role of a tensor, which determines its type and its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Embedding,
    /// The output matrix after the last layer.
    Head,
    NormWeight,
    NormBias,
    /// Interpolation weights of the previous token, between 0 and 1.
    Lerp,
    /// w0: offset of the decay.
    Decay,
    /// a0 and v0.
    Offset,
    /// w1 and w2, which the converter stores as f32.
    DecayLora(Side),
    /// a1, a2, v1, v2, g1, g2.
    Lora(Side),
    /// k_k: near 0.85.
    KeyNorm,
    /// k_a: near 1.
    KeyRate,
    /// r_k: small.
    Bonus,
    /// Projection whose output is an input of the recurrence.
    Projection,
    /// Projection whose output is added to the residual stream.
    Residual,
}

/// Whether a low-rank matrix projects down to the rank or up from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Down,
    Up,
}

/// A tensor to be generated.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    pub(super) name: String,
    /// The name that seeds its values: its own, except for the unused copies in layer 0.
    pub(super) drawn_as: String,
    pub(super) dims: Vec<u64>,
    pub(super) role: Role,
}

impl Declared {
    pub(super) fn elements(&self) -> usize {
        self.dims.iter().product::<u64>() as usize
    }
}

/// Types of the tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Recipe {
    #[value(name = "F32")]
    F32,
    #[value(name = "F16")]
    F16,
    #[value(name = "Q8_0")]
    EightBits,
    #[value(name = "Q4_K_M")]
    FourBits,
}

impl Recipe {
    /// The type of a tensor. The head has more bits than the layers. Low-rank matrices stay f16; those of the decay,
    /// vectors and interpolation weights stay f32. llama.cpp's rule `use_more_bits` applies only to tensor names that
    /// RWKV does not have.
    pub(super) fn ty(self, role: Role) -> GgmlType {
        let matrix = matches!(role, Role::Embedding | Role::Head | Role::Projection | Role::Residual);
        match self {
            Recipe::FourBits if role == Role::Head => GgmlType::Q6_K,
            Recipe::FourBits if matrix => GgmlType::Q4_K,
            Recipe::EightBits if matrix => GgmlType::Q8_0,
            Recipe::F16 if matrix => GgmlType::F16,
            Recipe::F16 | Recipe::EightBits | Recipe::FourBits if matches!(role, Role::Lora(_)) => GgmlType::F16,
            _ => GgmlType::F32,
        }
    }

    /// `general.file_type`.
    pub(crate) fn file_type(self) -> u32 {
        match self {
            Recipe::F32 => 0,
            Recipe::F16 => 1,
            Recipe::EightBits => 7,
            Recipe::FourBits => 15,
        }
    }
}

impl Shape {
    pub(super) fn feed_forward(&self) -> u64 {
        4 * self.channels
    }

    /// All tensors, in the order of the converter: 6, plus 28 for each layer.
    pub(super) fn tensors(&self) -> Vec<Declared> {
        let c = self.channels;
        let global = |name: &str, dims: &[u64], role| Declared {
            name: name.to_owned(),
            drawn_as: name.to_owned(),
            dims: dims.to_vec(),
            role,
        };
        let mut tensors = vec![
            global("token_embd.weight", &[c, self.tokens], Role::Embedding),
            global("token_embd_norm.weight", &[c], Role::NormWeight),
            global("token_embd_norm.bias", &[c], Role::NormBias),
        ];
        tensors.extend((0..self.layers).flat_map(|layer| self.layer(layer)));
        tensors.extend([
            global("output_norm.weight", &[c], Role::NormWeight),
            global("output_norm.bias", &[c], Role::NormBias),
            global("output.weight", &[c, self.tokens], Role::Head),
        ]);
        tensors
    }

    fn layer(&self, layer: u64) -> Vec<Declared> {
        let (c, f) = (self.channels, self.feed_forward());
        let (w, a, g) = (self.decay_rank, self.iclr_rank, self.gate_rank);
        // Layer 0 has no earlier layer whose value it could mix in: its v0, v1 and v2 are unused copies of a0, a1 and
        // a2.
        let v = if layer == 0 { a } else { self.value_rank };
        let (down, up) = (Role::Lora(Side::Down), Role::Lora(Side::Up));
        let norm =
            |name: &'static str| [(name, "weight", vec![c], Role::NormWeight), (name, "bias", vec![c], Role::NormBias)];
        let weight = |name: &'static str, dims: &[u64], role| (name, "weight", dims.to_vec(), role);
        let mut parts = Vec::with_capacity(28);
        parts.extend(norm("attn_norm"));
        parts.extend(norm("attn_norm_2"));
        parts.extend([
            weight("time_mix_lerp_fused", &[c, 1, 1, 6], Role::Lerp),
            weight("time_mix_w0", &[c], Role::Decay),
            weight("time_mix_w1", &[c, w], Role::DecayLora(Side::Down)),
            weight("time_mix_w2", &[w, c], Role::DecayLora(Side::Up)),
            weight("time_mix_a0", &[c], Role::Offset),
            weight("time_mix_a1", &[c, a], down),
            weight("time_mix_a2", &[a, c], up),
            weight("time_mix_v0", &[c], Role::Offset),
            weight("time_mix_v1", &[c, v], down),
            weight("time_mix_v2", &[v, c], up),
            weight("time_mix_g1", &[c, g], down),
            weight("time_mix_g2", &[g, c], up),
            weight("time_mix_k_k", &[c], Role::KeyNorm),
            weight("time_mix_k_a", &[c], Role::KeyRate),
            weight("time_mix_r_k", &[c], Role::Bonus),
            weight("time_mix_receptance", &[c, c], Role::Projection),
            weight("time_mix_key", &[c, c], Role::Projection),
            weight("time_mix_value", &[c, c], Role::Projection),
            weight("time_mix_output", &[c, c], Role::Residual),
        ]);
        parts.extend(norm("time_mix_ln"));
        parts.extend([
            weight("channel_mix_lerp_k", &[c, 1, 1], Role::Lerp),
            weight("channel_mix_key", &[c, f], Role::Projection),
            weight("channel_mix_value", &[f, c], Role::Residual),
        ]);
        let declared = parts.into_iter().map(|(name, kind, dims, role)| {
            let drawn_as = if layer == 0 { name.replace("time_mix_v", "time_mix_a") } else { name.to_owned() };
            let drawn_as = if name == "time_mix_value" { name.to_owned() } else { drawn_as };
            let full = |name: &str| format!("blk.{layer}.{name}.{kind}");
            Declared { name: full(name), drawn_as: full(&drawn_as), dims, role }
        });
        declared.collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;
    use crate::commands::gguf::file_type;

    /// Parameters (10^9) and sizes (GB) of the published models, with 65536 tokens.
    #[test]
    fn sizes_are_those_of_the_published_models() {
        for (name, tensors, parameters, gigabytes) in [
            ("0.19b", 342, 0.191, 0.131),
            ("0.45b", 678, 0.452, 0.302),
            ("1.5b", 678, 1.527, 0.989),
            ("2.9b", 902, 2.946, 1.874),
            ("7.2b", 902, 7.197, 4.51),
        ] {
            let all = name.parse::<Size>().unwrap().shape(65_536).tensors();
            let elements: usize = all.iter().map(Declared::elements).sum();
            let bytes: usize =
                all.iter().map(|t| Recipe::FourBits.ty(t.role).row_bytes(t.elements()).expect("whole blocks")).sum();
            assert_eq!(all.len(), tensors, "{name}");
            assert!((elements as f64 / 1e9 / parameters - 1.0).abs() < 3e-3, "{name}: {elements}");
            assert!((bytes as f64 / 1e9 / gigabytes - 1.0).abs() < 0.01, "{name}: {bytes}");
        }
    }

    #[test]
    fn recipes_have_the_file_types_of_their_names() {
        for &recipe in Recipe::value_variants() {
            let name = recipe.to_possible_value().expect("no recipe is hidden").get_name().to_owned();
            assert_eq!(file_type::name(recipe.file_type().into()), Some(name));
        }
    }

    #[test]
    fn the_unused_values_of_layer_0_are_copies() {
        let tensors = "tiny".parse::<Size>().unwrap().shape(257).tensors();
        let drawn = |name: &str| tensors.iter().find(|t| t.name == name).map(|t| t.drawn_as.clone()).unwrap();
        assert_eq!(drawn("blk.0.time_mix_v1.weight"), "blk.0.time_mix_a1.weight");
        assert_eq!(drawn("blk.1.time_mix_v1.weight"), "blk.1.time_mix_v1.weight");
        assert_eq!(drawn("blk.0.time_mix_value.weight"), "blk.0.time_mix_value.weight");
    }
}
