//! What the two sides of a comparison are.
//!
//! On both sides a function that no timed code calls has another length. It is inlined into the set-up of a benchmark,
//! which lies before the kernels, so the programs differ and their kernels lie elsewhere, as after any change to other
//! code. In a comparison with slowdowns, some benchmarks of the head also
//! repeat their kernel more often than 100 times: 105 times for a slowdown of 5 %.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// Repeats of a benchmark that is not slowed down; one of them is one percent.
const REPEATS: u32 = 100;
/// Most lines of the function that nobody calls while timing; each is about 18 bytes of code.
const MOST_LINES: usize = 64;

/// The ids of the benchmarks, in the order of `subject/src/kernels.rs`.
pub const IDS: [&str; 20] = [
    "hash_bytes",
    "sum_floats",
    "dot_product",
    "prefix_sums",
    "sort_numbers",
    "binary_search",
    "count_words",
    "collect_words",
    "parse_numbers",
    "format_numbers",
    "upper_case",
    "checksum_bits",
    "count_ones",
    "multiply_tiles",
    "stencil",
    "histogram",
    "chase_indices",
    "tree_lookups",
    "table_lookups",
    "run_lengths",
];

/// Whether slowdowns are put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// No benchmark changes.
    Unchanged,
    /// Some benchmarks become slower.
    Slowed,
}

impl Kind {
    /// The kind's name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Unchanged => "unchanged",
            Kind::Slowed => "slowed",
        }
    }
}

/// A side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Before.
    Base,
    /// After.
    Head,
}

/// The two sides of one comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// Whether slowdowns are put in.
    pub kind: Kind,
    /// Which of the comparisons of this kind.
    pub number: u32,
    /// Slowdowns of the head in percent, by id of the benchmark.
    pub slowdowns: BTreeMap<&'static str, u32>,
    unrelated: [Vec<(u64, u32)>; 2],
}

impl Pair {
    /// Draws a pair. `slowed` benchmarks get the sizes in turns, in percent.
    pub fn draw(seed: u64, kind: Kind, number: u32, slowed: usize, sizes: &[u32]) -> Self {
        let mut random = Random::new(&[seed, kind as u64, number.into()]);
        let mut ids = IDS;
        random.shuffle(&mut ids);
        let slowed = if kind == Kind::Slowed { slowed } else { 0 };
        let slowdowns = ids.into_iter().zip(sizes.iter().copied().cycle()).take(slowed).collect();
        let unrelated = std::array::from_fn(|_| {
            let lines = 1 + random.below(MOST_LINES);
            (0..lines).map(|_| (random.bits() | 1, 1 + random.below(63) as u32)).collect()
        });
        Self { kind, number, slowdowns, unrelated }
    }

    /// `src/work.rs` of a side.
    pub fn work(&self, side: Side) -> String {
        let slowdown = |id| self.slowdowns.get(id).filter(|_| side == Side::Head).copied().unwrap_or(0);
        let repeats: Vec<String> = IDS.iter().map(|id| (REPEATS + slowdown(id)).to_string()).collect();
        format!(
            "//! How often each benchmark runs its kernel in an iteration.\n\n\
             pub(crate) const REPEATS: [u32; {}] = [{}];\n",
            IDS.len(),
            repeats.join(", ")
        )
    }

    /// `src/unrelated.rs` of a side.
    pub fn unrelated(&self, side: Side) -> String {
        let lines = &self.unrelated[usize::from(side == Side::Head)];
        let lines: String = lines
            .iter()
            .map(|(factor, bits)| format!("    x = x.wrapping_mul({factor:#x}).rotate_left({bits});\n"))
            .collect();
        format!(
            "//! Code that no benchmark runs while it is timed.\n\n/// Changes `x`.\n#[inline(always)]\n\
             pub fn step(mut x: u64) -> u64 {{\n{lines}    x\n}}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [u32; 3] = [5, 8, 10];

    #[test]
    fn unchanged_pairs_differ_in_unrelated_code_alone() {
        let pair = Pair::draw(1, Kind::Unchanged, 3, 6, &SIZES);
        assert_eq!(pair.work(Side::Base), pair.work(Side::Head));
        assert_ne!(pair.unrelated(Side::Base), pair.unrelated(Side::Head));
        assert_eq!(pair, Pair::draw(1, Kind::Unchanged, 3, 6, &SIZES), "a run can go on");
        assert_ne!(pair.unrelated(Side::Base), Pair::draw(1, Kind::Unchanged, 4, 6, &SIZES).unrelated(Side::Base));
    }

    #[test]
    fn slowdowns_are_more_repeats_on_the_head_alone() {
        let pair = Pair::draw(1, Kind::Slowed, 0, 6, &SIZES);
        assert_eq!(pair.slowdowns.len(), 6);
        let repeats = |side| pair.work(side).split_once("= [").map(|(_, rest)| rest.replace(['[', ']', ';'], ""));
        let counted =
            |side, value: &str| repeats(side).unwrap().split(',').filter(|repeat| repeat.trim() == value).count();
        assert_eq!(counted(Side::Base, "100"), 20);
        assert_eq!(["100", "105", "108", "110"].map(|value| counted(Side::Head, value)), [14, 2, 2, 2]);
    }

    #[test]
    fn ids_are_those_of_the_kernels() {
        let kernels = include_str!("../subject/src/kernels.rs");
        let listed: Vec<&str> = kernels
            .lines()
            .filter_map(|line| line.strip_prefix("    (\"")?.split_once('"').map(|(id, _)| id))
            .collect();
        assert_eq!(listed, IDS);
    }
}
