#![doc = include_str!("../README.md")]

mod aggregator;
mod block;
pub mod cases;
mod config;
mod error;
mod kept;
mod memory;
mod norm;
mod pieces;
pub mod reference;
mod rope;
mod source;
mod tokens;
mod weights;
mod workspace;

pub use aggregator::Aggregator;
pub use config::{CAPTURES, Config, MLP_RATIO, PATCH, PATCH_VALUES, REGISTERS, SPECIAL, Shape};
pub use error::{ConfigError, RunError, WeightsError};
pub use kept::{Keep, Kept, Projected};
pub use memory::Memory;
pub use op::Threads;
pub use source::{Role, SafetensorsFile, Seeded, TensorSource, TensorSpec, image, tensors, to_safetensors};
pub use workspace::Workspace;
