//! The files of models, made where the cases are: a model of several cases is written once.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ::gguf::{File, Options, Tensor};
use ::quant::GgmlType;
use anyhow::{Context, Result};
use op::random::SplitMix64;

use super::cases::{Model, Weights};
use crate::commands::gguf::{
    map,
    synth::{self, Recipe, Synthetic},
};
use crate::commands::rwkv7::rewrite;

/// The trained model, from where this program runs: the root of the repository, or of a pack.
pub(super) const TRAINED: &str = "models/rwkv7-small";

const SEED: u64 = 1;

/// Makes `model.gguf` in the directory of a case, as a further name of a file that stands beside this directory.
pub(super) fn make(model: Model, dir: &Path) -> Result<()> {
    let shared = dir.with_file_name("models");
    fs::create_dir_all(&shared).with_context(|| format!("failed to make {}", shared.display()))?;
    let path = shared.join(file_name(model));
    if !path.exists() {
        write(model, &path)?;
    }
    let link = dir.join("model.gguf");
    fs::hard_link(&path, &link).with_context(|| format!("failed to make {}", link.display()))
}

fn file_name(model: Model) -> String {
    format!("{}.gguf", model.name())
}

fn write(Model { weights, ty }: Model, path: &Path) -> Result<()> {
    let (size, tokens) = match weights {
        Weights::Published(size) => (size, synth::full()),
        Weights::Pieces => ("tiny", pieces()),
        Weights::Trained => {
            let committed = Path::new(TRAINED).join("rwkv7-small-q4_k_m.gguf");
            if ty == Recipe::FourBits {
                let copied =
                    fs::copy(&committed, path).with_context(|| format!("failed to copy {}", committed.display()));
                return copied.map(drop);
            }
            return convert(&map(&committed, Options::default())?, ty, path);
        }
    };
    Synthetic { size: size.parse()?, recipe: ty, seed: SEED, tokens: &tokens }.write(path).map(drop)
}

/// Writes the numbers of a model in other types: all as F32, or those of its blocks as F16 or Q8_0.
fn convert(file: &File, recipe: Recipe, path: &Path) -> Result<()> {
    let ty = |tensor: &Tensor<'_>| match recipe {
        Recipe::F32 => GgmlType::F32,
        _ if tensor.ty.block_len() == 1 => tensor.ty,
        Recipe::EightBits => GgmlType::Q8_0,
        _ => GgmlType::F16,
    };
    rewrite(file, path, (recipe.file_type(), &ty), &|_| ())
}

/// A vocabulary with tokens that begin alike, of up to 24 bytes, many of them no characters. Its tokens of one byte are
/// complete: without one, llama.cpp does not end on a text that has it.
fn pieces() -> Vec<String> {
    const PARTS: [&[u8]; 12] = [
        b"a",
        b"b",
        b"ab",
        b" ",
        b"\n",
        b"\\",
        b"'",
        "\u{e4}".as_bytes(),
        "\u{1f642}".as_bytes(),
        b"\0",
        b"\xff",
        b"\xc3",
    ];
    let mut random = SplitMix64::new(SEED);
    let mut known: Vec<Vec<u8>> = PARTS.map(<[u8]>::to_vec).to_vec();
    let mut tokens = BTreeSet::new();
    while tokens.len() < 4000 {
        // A third of them extend others, past what is a token itself.
        let mut token = if random.below(3) == 0 { known[random.below(known.len())].clone() } else { Vec::new() };
        for _ in 0..1 + random.below(4) {
            token.extend(PARTS[random.below(PARTS.len())]);
        }
        if (2..=24).contains(&token.len()) && tokens.insert(token.clone()) {
            known.push(token);
        }
    }
    synth::bytes().into_iter().chain(tokens.iter().map(|token| synth::spelling(token))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_model_has_a_file() {
        let models = [("0.19b", Recipe::F32), ("0.45b", Recipe::F32), ("0.45b", Recipe::F16)];
        let names = models.map(|(size, ty)| file_name(Model { weights: Weights::Published(size), ty }));
        assert_eq!(names, ["0.19b-F32.gguf", "0.45b-F32.gguf", "0.45b-F16.gguf"]);
    }

    #[test]
    fn pieces_are_distinct_and_begin_alike() {
        let pieces = pieces();
        assert_eq!(pieces.len(), 257 + 4000);
        assert_eq!(pieces.iter().collect::<BTreeSet<_>>().len(), pieces.len());
        let extends = |token: &&String| {
            pieces.iter().any(|other| other.len() > 4 && token.len() > other.len() && token.starts_with(other))
        };
        assert!(pieces.iter().filter(extends).count() > 500);
    }
}
