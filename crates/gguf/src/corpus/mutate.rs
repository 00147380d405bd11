//! Random mutations of the files of the corpus, in both byte orders, and of its sets. The same seed gives the same file
//! on every machine.

use op::random::SplitMix64;

use super::{Set, distinct, sets, twin::big_endian};
use crate::Endian;

/// Values at which lengths and counts commonly overflow.
const BOUNDARIES: [u64; 16] = [
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

/// Makes mutated files.
#[derive(Debug)]
pub struct Mutator {
    /// The files of the corpus, then big-endian copies of those that are accepted.
    files: Vec<(Endian, Vec<u8>)>,
    sets: Vec<Set>,
}

impl Default for Mutator {
    fn default() -> Self {
        // The truncated files of the corpus are left out, because mutation produces them too.
        let little: Vec<_> = distinct().into_iter().map(|case| case.bytes).collect();
        let big: Vec<_> = little.iter().filter_map(|bytes| big_endian(bytes)).collect();
        let of = |endian| move |bytes| (endian, bytes);
        let files = little.into_iter().map(of(Endian::Little)).chain(big.into_iter().map(of(Endian::Big))).collect();
        Self { files, sets: sets() }
    }
}

impl Mutator {
    /// Writes the file of a seed to `bytes`: one of the corpus with one to eight changes. Returns the byte order of the
    /// original.
    pub fn fill(&self, seed: u64, bytes: &mut Vec<u8>) -> Endian {
        let mut random = SplitMix64::new(seed);
        bytes.clear();
        let (endian, original) = &self.files[random.below(self.files.len())];
        bytes.extend(original);
        for _ in 0..=random.below(8) {
            self.change(&mut random, bytes);
        }
        *endian
    }

    /// The set of a seed, its first file the one to open: one of the corpus with one to four changes to a part or to
    /// the order of the parts.
    pub fn set(&self, seed: u64) -> Vec<(String, Vec<u8>)> {
        let mut random = SplitMix64::new(seed);
        let mut files = self.sets[random.below(self.sets.len())].files.clone();
        for _ in 0..=random.below(4) {
            let (at, other) = (random.below(files.len()), random.below(files.len()));
            match random.below(8) {
                0 => files[at].1 = files[other].1.clone(),
                1 if at != other => {
                    let bytes = std::mem::take(&mut files[at].1);
                    files[at].1 = std::mem::replace(&mut files[other].1, bytes);
                }
                2 if files.len() > 1 => drop(files.remove(at)),
                _ => self.change(&mut random, &mut files[at].1),
            }
        }
        files
    }

    fn change(&self, random: &mut SplitMix64, bytes: &mut Vec<u8>) {
        let at = random.below(bytes.len() + 1);
        let rest = bytes.len() - at;
        match random.below(8) {
            0 if rest > 0 => bytes[at] ^= 1 << random.below(8),
            1 if rest > 0 => bytes[at] = random.bits() as u8,
            2 | 3 => {
                let value = BOUNDARIES[random.below(BOUNDARIES.len())];
                let len = [1, 2, 4, 8][random.below(4)].min(rest);
                if random.below(4) == 0 {
                    bytes[at..at + len].copy_from_slice(&value.to_be_bytes()[8 - len..]);
                } else {
                    bytes[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
                }
            }
            // A length that is off by up to 4.
            4 if rest >= 8 => {
                let word: [u8; 8] = bytes[at..at + 8].try_into().unwrap_or_default();
                let (by, is_big) = (random.below(9) as u64, random.below(4) == 0);
                let changed = |word: u64| word.wrapping_add(by).wrapping_sub(4);
                bytes[at..at + 8].copy_from_slice(&if is_big {
                    changed(u64::from_be_bytes(word)).to_be_bytes()
                } else {
                    changed(u64::from_le_bytes(word)).to_le_bytes()
                });
            }
            5 => bytes.truncate(at),
            6 => {
                let len = random.below(65).min(rest);
                let copy = bytes[at..at + len].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            _ => {
                let other = &self.files[random.below(self.files.len())].1;
                let from = random.below(other.len() + 1);
                let len = random.below(129).min(other.len() - from);
                bytes.splice(at..at + len.min(rest), other[from..from + len].iter().copied());
            }
        }
    }
}
