//! Measures two sides alternately.
//!
//! The smallest unit that statistics may count is a **block**: four fresh processes of one benchmark in the order
//! ABBA or BAAB, decided by a coin. A straight drift of the machine's speed cancels inside a block, and what does not
//! cancel is as likely to help one side as the other. A hundred iterations inside one process count as one sample.

mod block;
mod links;
mod pair;
mod random;
mod sample;
mod stage;

pub use block::{Block, Disturbance, Norm};
pub use links::Links;
pub use pair::{BenchPair, Side, Variant};
pub use random::Random;
pub use sample::{Sample, Sampler, Trouble, TroubleKind};
pub use stage::{Limits, Series, Stage, layouts, run_block, run_stage};
