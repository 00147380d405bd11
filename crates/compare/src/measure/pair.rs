//! One benchmark on two sides: the pair that is compared.

use std::fmt;

use record::bench_row::SourceLine;
use serde::{Deserialize, Serialize};

use crate::bench::{CriterionVersion, Key};
use crate::build::Target;

/// A side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Side {
    /// The side before the change.
    Base,
    /// The side after the change.
    Head,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Base => "base",
            Side::Head => "head",
        })
    }
}

/// One side's program for a benchmark.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The program.
    pub target: Target,
    /// Version of criterion in that program.
    pub version: Option<CriterionVersion>,
    /// Offset that is added to every link seed, so that two variants with the same code never draw the same layout.
    pub seed_offset: u64,
    /// A slowdown that our glue injects, as `ID=+5%`; only self-tests set it.
    pub inject: Option<String>,
}

/// One benchmark on two sides.
#[derive(Clone, Debug)]
pub struct BenchPair {
    /// The benchmark.
    pub key: Key,
    /// Its tier on the head side.
    pub tier: u8,
    /// Where it is declared on the head side.
    pub source: Option<SourceLine>,
    /// Before.
    pub base: Variant,
    /// After.
    pub head: Variant,
    /// Whether it is a null control: the head against itself, for which any verdict is a false alarm.
    pub is_control: bool,
    /// Whether the process had one thread on both sides in the pilot; then a block's processes may share one processor.
    pub single_threaded: bool,
    /// Mean wall time of a process in the pilot; 0 before it. Seconds.
    pub process_s: f64,
}

impl BenchPair {
    /// The variant of a side.
    pub fn variant(&self, side: Side) -> &Variant {
        match side {
            Side::Base => &self.base,
            Side::Head => &self.head,
        }
    }
}
