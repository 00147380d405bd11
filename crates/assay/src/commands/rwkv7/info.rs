//! `assay rwkv7 info`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use rwkv7::{State, Vocabulary};

use crate::print;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The model, a GGUF file of the architecture `rwkv7`
    model: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let file = super::open(&arguments.model)?;
    let model = super::model_of(&file, &arguments.model)?;
    let config = *model.config();
    let state_bytes = 4 * State::new(&config).len();
    let vocabulary = Vocabulary::from_metadata(file.metadata());
    if arguments.json {
        return print::json(&serde_json::json!({
            "layers": config.layers,
            "channels": config.channels,
            "head_size": config.head_size,
            "feed_forward": config.feed_forward,
            "ranks": {
                "decay": config.decay_rank,
                "rate": config.rate_rank,
                "value": config.value_rank,
                "gate": config.gate_rank,
            },
            "vocabulary": model.vocabulary(),
            "tokenizer": vocabulary.as_ref().map_or_else(|error| error.to_string(), |_| "rwkv".to_owned()),
            "bytes_per_token": model.bytes_per_token(),
            "state_bytes": state_bytes,
            "converted_bytes": model.converted_bytes(),
        }));
    }
    let mib = |bytes: usize| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    let tokenizer = match vocabulary {
        Ok(_) => "rwkv, every byte is a token".to_owned(),
        Err(error) => format!("none: {error}"),
    };
    print::lines([
        format!("layers             {}", config.layers),
        format!("channels           {} in {} heads of {}", config.channels, config.heads(), config.head_size),
        format!("feed-forward       {}", config.feed_forward),
        format!(
            "ranks              decay {}, rate {}, value {}, gate {}",
            config.decay_rank, config.rate_rank, config.value_rank, config.gate_rank
        ),
        format!("vocabulary         {} tokens", model.vocabulary()),
        format!("tokenizer          {tokenizer}"),
        format!("read for a token   {}", mib(model.bytes_per_token())),
        format!("state              {}", mib(state_bytes)),
        format!("converted to f32   {}", mib(model.converted_bytes())),
    ])
}
