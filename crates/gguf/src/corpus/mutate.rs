//! Files that nobody would write: those of the corpus, changed at random places. The same seed gives the same file everywhere.

use super::{Case, cases};

/// Values that lengths and counts break at.
const TELLING: [u64; 16] = [
    0,
    1,
    0x7f,
    0xff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 30,
    (1 << 30) + 1,
    1 << 32,
    1 << 61,
    1 << 62,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
];

/// Makes files.
#[derive(Debug)]
pub struct Mutator {
    cases: Vec<Case>,
}

impl Default for Mutator {
    fn default() -> Self {
        Self { cases: cases() }
    }
}

impl Mutator {
    /// The file of a seed, put into `bytes`: one of the corpus with one to eight changes.
    pub fn fill(&self, seed: u64, bytes: &mut Vec<u8>) {
        let mut random = Random(seed);
        bytes.clear();
        bytes.extend(&self.cases[random.below(self.cases.len())].bytes);
        for _ in 0..=random.below(8) {
            self.change(&mut random, bytes);
        }
    }

    fn change(&self, random: &mut Random, bytes: &mut Vec<u8>) {
        let at = random.below(bytes.len() + 1);
        let rest = bytes.len() - at;
        match random.below(8) {
            0 if rest > 0 => bytes[at] ^= 1 << random.below(8),
            1 if rest > 0 => bytes[at] = random.next() as u8,
            2 | 3 => {
                let value = TELLING[random.below(TELLING.len())].to_le_bytes();
                let len = [1, 2, 4, 8][random.below(4)].min(rest);
                bytes[at..at + len].copy_from_slice(&value[..len]);
            }
            // A length that is wrong by little.
            4 if rest >= 8 => {
                let word = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default());
                let changed = word.wrapping_add(random.below(9) as u64).wrapping_sub(4);
                bytes[at..at + 8].copy_from_slice(&changed.to_le_bytes());
            }
            5 => bytes.truncate(at),
            6 => {
                let len = random.below(65).min(rest);
                let copy = bytes[at..at + len].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            _ => {
                let other = &self.cases[random.below(self.cases.len())].bytes;
                let from = random.below(other.len() + 1);
                let len = random.below(129).min(other.len() - from);
                bytes.splice(at..at + len.min(rest), other[from..from + len].iter().copied());
            }
        }
    }
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number below `n`; 0 for n = 0.
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}
