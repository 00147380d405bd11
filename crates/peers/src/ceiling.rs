//! What bounds the rate of a case on this machine.

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
    /// Products of bf16 in tile registers, where this machine has them, else as [`Fma`](Self::Fma).
    Tiles,
    /// Reads from memory; our side reports the bytes that a case moves.
    Memory,
}

impl Ceiling {
    /// What stands for it on this machine.
    pub(crate) fn here(self) -> Self {
        let has_tiles = || machine::ceiling::TileLoop::new(1).is_ok();
        if self == Self::Tiles && !has_tiles() { Self::Fma } else { self }
    }

    /// Name beside a share in a table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Fma => "FMA",
            Self::Tiles => "tiles",
            Self::Memory => "reads",
        }
    }

    /// In words, with the name.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Fma => "multiply-adds on registers (FMA)",
            Self::Tiles => "products of bf16 in tile registers (tiles)",
            Self::Memory => "reads from memory (reads)",
        }
    }
}
