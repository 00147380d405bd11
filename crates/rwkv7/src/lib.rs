#![doc = include_str!("../README.md")]

mod config;
mod error;
mod forward;
mod heads;
mod matrix;
mod mix;
mod model;
pub mod quality;
pub mod reference;
mod sampling;
mod state;
mod team;
mod vocabulary;

pub use config::Config;
pub use error::{ModelError, RunError, StateError, VocabularyError};
pub use forward::{CHUNK, Forward};
pub use model::Model;
pub use op::Threads;
pub use sampling::{Sampler, greedy};
pub use state::State;
pub use vocabulary::Vocabulary;

/// The tensors of a [`Model`], for programs that compute with them elsewhere, such as on a GPU.
pub mod weights {
    pub use crate::{
        matrix::Matrix,
        model::{ChannelMix, Layer, LowRank, Norm, TimeMix, Vector},
    };
}
