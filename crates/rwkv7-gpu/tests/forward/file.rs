//! Files of small models with random weights.

use gguf::{File, Options, Value, Writer};
use op::random::SplitMix64;
use quant::GgmlType;

pub(crate) const VOCABULARY: usize = 97;
pub(crate) const LAYERS: usize = 2;

/// What is special about a file.
#[derive(Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) matrices: GgmlType,
    /// Of the matrices with a low rank, but for those of the decay, which are F32 as in every file.
    pub(crate) low: GgmlType,
    pub(crate) has_gate: bool,
    pub(crate) channels: usize,
    pub(crate) head_size: usize,
    pub(crate) rank: usize,
}

pub(crate) const PLAIN: Recipe =
    Recipe { matrices: GgmlType::F32, low: GgmlType::F32, has_gate: true, channels: 256, head_size: 64, rank: 32 };

/// A tensor: name, dimensions, type, mean and spread of its numbers.
type Declared = (String, Vec<usize>, GgmlType, [f32; 2]);

/// Tensors with numbers in a range in which states neither explode nor vanish.
fn tensors(recipe: Recipe) -> Vec<Declared> {
    let Recipe { matrices, low, channels: c, rank, .. } = recipe;
    let f = 2 * c;
    let mut all: Vec<Declared> = Vec::new();
    let mut add = |name: String, dims: &[usize], ty, mean, spread| {
        all.push((name, dims.to_vec(), ty, [mean, spread]));
    };
    let f32 = GgmlType::F32;
    add("token_embd.weight".into(), &[c, VOCABULARY], matrices, 0.0, 0.5);
    add("output.weight".into(), &[c, VOCABULARY], matrices, 0.0, 0.1);
    let mut norms = vec!["token_embd_norm".to_owned(), "output_norm".to_owned()];
    for layer in 0..LAYERS {
        let named = |name: &str| format!("blk.{layer}.{name}");
        norms.extend(["attn_norm", "attn_norm_2", "time_mix_ln"].map(named));
        add(named("time_mix_lerp_fused.weight"), &[c, 1, 1, 6], f32, 0.5, 0.3);
        add(named("channel_mix_lerp_k.weight"), &[c, 1, 1], f32, 0.5, 0.3);
        for (letter, mean) in [('w', -2.0), ('a', 0.0), ('v', 0.0), ('g', 0.0)] {
            let name = |nth: u32| named(&format!("time_mix_{letter}{nth}.weight"));
            // A rank of its own, so that nothing works by chance.
            let rank = if letter == 'g' { 2 * rank } else { rank };
            let ty = if letter == 'w' { f32 } else { low };
            if letter != 'g' {
                add(name(0), &[c], f32, mean, 1.0);
            }
            if letter != 'g' || recipe.has_gate {
                add(name(1), &[c, rank], ty, 0.0, 0.06);
                add(name(2), &[rank, c], ty, 0.0, 0.15);
            }
        }
        for (name, mean, spread) in [("k_k", 0.85, 0.1), ("k_a", 1.0, 0.1), ("r_k", 0.0, 0.2)] {
            add(named(&format!("time_mix_{name}.weight")), &[c], f32, mean, spread);
        }
        for name in ["receptance", "key", "value", "output"] {
            add(named(&format!("time_mix_{name}.weight")), &[c, c], matrices, 0.0, 0.06);
        }
        add(named("channel_mix_key.weight"), &[c, f], matrices, 0.0, 0.06);
        add(named("channel_mix_value.weight"), &[f, c], matrices, 0.0, 0.04);
    }
    for name in norms {
        add(format!("{name}.weight"), &[c], f32, 1.0, 0.1);
        add(format!("{name}.bias"), &[c], f32, 0.0, 0.1);
    }
    all
}

/// A file after a recipe.
pub(crate) fn file(recipe: Recipe) -> File {
    let mut writer = Writer::new();
    writer.key("general.architecture", Value::from("rwkv7"));
    for (name, value) in [
        ("block_count", LAYERS),
        ("embedding_length", recipe.channels),
        ("feed_forward_length", 2 * recipe.channels),
        ("wkv.head_size", recipe.head_size),
        ("attention.decay_lora_rank", recipe.rank),
        ("attention.iclr_lora_rank", recipe.rank),
        ("attention.value_residual_mix_lora_rank", recipe.rank),
        ("attention.gate_lora_rank", if recipe.has_gate { 2 * recipe.rank } else { 0 }),
    ] {
        writer.key(format!("rwkv7.{name}"), Value::U32(value as u32));
    }
    writer.key("rwkv7.attention.layer_norm_epsilon", Value::F32(1e-5));
    let tensors = tensors(recipe);
    for (name, dims, ty, _) in &tensors {
        let dims: Vec<u64> = dims.iter().map(|&extent| extent as u64).collect();
        writer.tensor(name, &dims, *ty);
    }
    let mut next = tensors.iter().zip(1..);
    let bytes = writer.to_bytes(|_, out| {
        let ((_, dims, ty, [mean, spread]), seed) = next.next().unwrap();
        let mut random = SplitMix64::new(seed);
        let mut number = || (random.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0;
        let numbers: Vec<f32> = (0..dims.iter().product()).map(|_| mean + spread * 1.7 * number()).collect();
        let mut bytes = vec![0; ty.row_bytes(numbers.len()).unwrap()];
        quant::quantize(*ty, &numbers, &mut bytes).unwrap();
        out.write_all(&bytes)
    });
    File::from_bytes(bytes.unwrap(), "model.gguf", Options::default()).unwrap()
}

/// Tokens of a text without a pattern.
pub(crate) fn tokens(len: usize) -> Vec<u32> {
    (0..len as u32).map(|i| (i * i + 7 * i) % VOCABULARY as u32).collect()
}
