//! SplitMix64 (Steele, Lea and Flood 2014): draws that depend on the seed alone, so that a stopped run can go on.

/// A stream of draws.
pub struct Random(u64);

impl Random {
    /// The stream that these numbers name.
    pub fn new(names: &[u64]) -> Self {
        names.iter().fold(Self(0), |random, name| Self(Self(random.0 ^ name).bits()))
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not 0. The bias is below 2^-32 for the small `n` here.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// Fisher and Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        (1..items.len()).rev().for_each(|at| items.swap(at, self.below(at + 1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_those_of_the_published_generator() {
        let mut random = Random(1_234_567);
        assert_eq!([random.bits(), random.bits()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn a_shuffle_keeps_every_item_and_its_names_matter() {
        let shuffled = |names: &[u64]| {
            let mut items: Vec<usize> = (0..20).collect();
            Random::new(names).shuffle(&mut items);
            items
        };
        let mut sorted = shuffled(&[1, 2]);
        assert_ne!(sorted, shuffled(&[2, 1]));
        assert_eq!(sorted, shuffled(&[1, 2]));
        sorted.sort_unstable();
        assert_eq!(sorted, (0..20).collect::<Vec<_>>());
    }
}
