//! What bounds the rate of a case on this machine.

use machine::ceiling::{Dot8Loop, TileLoop, TileNumbers};
use machine::isa::Isa;
use serde::{Deserialize, Serialize};

/// What bounds the rate of a case.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ceiling {
    /// Nothing that is measured here.
    #[default]
    None,
    /// Multiply-adds on registers; our side reports the operations of a case.
    Fma,
    /// Products of bytes on registers, where a loop of them is written for this machine; our side reports the
    /// operations of a case.
    Dot8,
    /// Products of bf16 in tile registers, where this machine has them, else as [`Fma`](Self::Fma).
    Tiles,
    /// Reads from memory; our side reports the bytes that a case moves. For operands that no cache holds.
    Memory,
    /// Reads of as many bytes as a case moves, again and again, as the case is timed; our side reports them.
    Reads,
}

impl Ceiling {
    /// What stands for it on this machine.
    pub(crate) fn here(self) -> Self {
        match self {
            Self::Tiles if TileLoop::new(TileNumbers::Bf16, 1).is_err() => Self::Fma,
            Self::Dot8 if Dot8Loop::new(Isa::best(), 1).is_err() => Self::None,
            other => other,
        }
    }

    /// Name beside a share in a table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Fma => "FMA",
            Self::Dot8 => "dots",
            Self::Tiles => "tiles",
            Self::Memory | Self::Reads => "reads",
        }
    }

    /// In words, with the name.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Fma => "multiply-adds on registers (FMA)",
            Self::Dot8 => "products of bytes on registers (dots)",
            Self::Tiles => "products of bf16 in tile registers (tiles)",
            Self::Memory => "reads from memory (reads)",
            Self::Reads => "reads of as many bytes again and again (reads)",
        }
    }
}
