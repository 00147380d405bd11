//! The named cases of RWKV-7. The models are those of `assay gguf synth` and of `models/`, which this program knows and
//! the crate `rwkv7` does not.
//!
//! A name is `WEIGHTS-TYPE/WORK`: `0.45b-Q4_K_M/prefill-512`.

use op::{NamedCase, ParamError, Parameters, Params};

use crate::commands::gguf::synth::Recipe;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) weights: Weights,
    pub(super) ty: Recipe,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weights {
    /// Random ones in the shape of a published model, with 65536 tokens.
    Published(&'static str),
    /// Those of `models/rwkv7-small`, with a token for each byte.
    Trained,
    /// Random ones, with a vocabulary of many tokens that begin alike.
    Pieces,
}

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// So many tokens after a prompt, each the most probable one.
    Generate { prompt: usize, tokens: usize },
    /// So many tokens at once, and the logits of the last.
    Prefill { tokens: usize },
    /// From the path of the file to the logits of one token.
    Load,
    /// The logits of every token of a text, in batches.
    Logits { tokens: usize, batch: usize },
    /// The most probable tokens up to the end of the line, at most so many, after each of several prompts.
    Greedy { tokens: usize },
    /// The tokens of texts.
    Tokenize { texts: Texts, seed: usize },
}

/// Texts for a tokenizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Texts {
    /// Random bytes, characters and pieces of tokens.
    Fuzz,
    /// The spelling of a token that stands for no text.
    Control,
}

/// A model at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) model: Model,
    pub(super) work: Work,
}

const WEIGHTS: [(Weights, &str); 6] = [
    (Weights::Published("0.19b"), "0.19b"),
    (Weights::Published("0.45b"), "0.45b"),
    (Weights::Published("1.5b"), "1.5b"),
    (Weights::Published("tiny"), "tiny"),
    (Weights::Trained, "small"),
    (Weights::Pieces, "pieces"),
];
const TYPES: [(Recipe, &str); 4] =
    [(Recipe::F32, "F32"), (Recipe::F16, "F16"), (Recipe::EightBits, "Q8_0"), (Recipe::FourBits, "Q4_K_M")];
const TEXTS: [(Texts, &str); 2] = [(Texts::Fuzz, "fuzz"), (Texts::Control, "control")];

fn word<T: PartialEq>(words: &[(T, &'static str)], value: T) -> &'static str {
    words.iter().find(|(known, _)| *known == value).map_or("other", |(_, word)| word)
}

impl Model {
    pub(super) fn name(self) -> String {
        format!("{}-{}", word(&WEIGHTS, self.weights), word(&TYPES, self.ty))
    }
}

impl Parameters for Run {
    fn to_params(&self) -> Params {
        let Model { weights, ty } = self.model;
        let of_model = Params::new().with("weights", word(&WEIGHTS, weights)).with("type", word(&TYPES, ty));
        let work = |name: &str| of_model.clone().with("work", name);
        match self.work {
            Work::Generate { prompt, tokens } => work("generate").with("prompt", prompt).with("tokens", tokens),
            Work::Prefill { tokens } => work("prefill").with("tokens", tokens),
            Work::Load => work("load"),
            Work::Logits { tokens, batch } => work("logits").with("tokens", tokens).with("batch", batch),
            Work::Greedy { tokens } => work("greedy").with("tokens", tokens),
            Work::Tokenize { texts, seed } => work("tokenize").with("texts", word(&TEXTS, texts)).with("seed", seed),
        }
    }

    fn from_params(params: &Params) -> Result<Self, ParamError> {
        let number = |name: &str| params.number(name);
        let model = Model { weights: params.one_of("weights", WEIGHTS)?, ty: params.one_of("type", TYPES)? };
        let works = ["generate", "prefill", "load", "logits", "greedy", "tokenize"];
        let work = match params.one_of("work", works.map(|work| (work, work)))? {
            "generate" => Work::Generate { prompt: number("prompt")?, tokens: number("tokens")? },
            "prefill" => Work::Prefill { tokens: number("tokens")? },
            "logits" => Work::Logits { tokens: number("tokens")?, batch: number("batch")? },
            "greedy" => Work::Greedy { tokens: number("tokens")? },
            "tokenize" => Work::Tokenize { texts: params.one_of("texts", TEXTS)?, seed: number("seed")? },
            _ => Work::Load,
        };
        Ok(Self { model, work })
    }
}

/// All named cases: those of speed, on one and two threads, then those of agreement alone.
pub(super) fn cases() -> Vec<NamedCase<Run>> {
    use Recipe::{EightBits, F16, F32, FourBits};
    use Weights::{Pieces, Published, Trained};
    let case = |weights: Weights, ty: Recipe, work: Work, suffix: String| {
        let model = Model { weights, ty };
        NamedCase::computed(format!("{}/{suffix}", model.name()), Run { model, work }).tier(0)
    };
    let mut cases = Vec::new();
    for (weights, ty) in [
        (Published("0.19b"), FourBits),
        (Published("0.45b"), FourBits),
        (Published("0.45b"), EightBits),
        (Published("0.45b"), F16),
        (Published("1.5b"), FourBits),
        (Trained, FourBits),
    ] {
        let mut add = |work, suffix: &str| cases.push(case(weights, ty, work, suffix.to_owned()).threads(&[1, 2]));
        add(Work::Generate { prompt: 32, tokens: 64 }, "generate-64");
        add(Work::Prefill { tokens: 128 }, "prefill-128");
        add(Work::Prefill { tokens: 512 }, "prefill-512");
        add(Work::Load, "load");
    }
    let (tokens, seeds) = (512, 1..=3);
    for (weights, ty) in
        [(Trained, F32), (Trained, F16), (Trained, EightBits), (Trained, FourBits), (Published("tiny"), F32)]
    {
        for batch in [1, 7, 128] {
            cases.push(case(weights, ty, Work::Logits { tokens, batch }, format!("logits-by-{batch}")));
        }
    }
    cases.extend(
        [F32, F16, EightBits, FourBits].map(|ty| case(Trained, ty, Work::Greedy { tokens: 16 }, "greedy".to_owned())),
    );
    for weights in [Trained, Pieces] {
        let fuzz =
            |seed| case(weights, F32, Work::Tokenize { texts: Texts::Fuzz, seed }, format!("tokenize-seed{seed}"));
        cases.extend(seeds.clone().map(fuzz));
    }
    cases.push(case(Pieces, F32, Work::Tokenize { texts: Texts::Control, seed: 1 }, "tokenize-control".to_owned()));
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        let cases = cases();
        assert_eq!(op::check_table(&cases), Ok(()));
        assert_eq!(cases.len(), 6 * 4 + 5 * 3 + 4 + 2 * 3 + 1);
        assert_eq!(cases[6].name, "0.45b-Q4_K_M/prefill-512");
        assert!(Run::from_params(&cases[0].params.to_params().with("work", "train")).is_err());
    }
}
