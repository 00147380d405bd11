//! Random numbers that depend only on the seed, the tensor and the row, so that rows can be generated in any order.

use op::random::SplitMix64;

/// A stream of numbers.
#[derive(Clone, Debug)]
pub(super) struct Random(SplitMix64);

impl Random {
    /// The stream of a row.
    pub(super) fn of_row(seed: u64, name: &str, row: u64) -> Self {
        // The multiplications spread seed and row over all bits.
        let mut of_tensor = SplitMix64::new(op::fnv1a(name.as_bytes()) ^ seed.wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self(SplitMix64::new(of_tensor.bits() ^ row.wrapping_mul(0x2545_f491_4f6c_dd1d)))
    }

    /// Uniform in [0, 1), in steps of 2^-24.
    pub(super) fn uniform(&mut self) -> f32 {
        (self.0.bits() >> 40) as f32 / (1_u32 << 24) as f32
    }

    /// Nearly normal, with mean 0 and standard deviation 1: the scaled sum of four uniform 16-bit numbers.
    pub(super) fn normal(&mut self) -> f32 {
        const DEVIATION: f32 = 65_536.0 * 0.577_350_26;
        let bits = self.0.bits();
        let sum: u32 = (0..4).map(|i| (bits >> (16 * i)) as u32 & 0xffff).sum();
        (sum as f32 - 131_070.0) / DEVIATION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_depend_on_seed_tensor_and_row() {
        let first = |seed, name, row| Random::of_row(seed, name, row).0.bits();
        let base = first(1, "a", 0);
        assert_eq!(base, first(1, "a", 0));
        assert!([first(2, "a", 0), first(1, "b", 0), first(1, "a", 1)].iter().all(|other| *other != base));
    }

    #[test]
    fn normal_numbers_have_mean_0_and_deviation_1() {
        let mut random = Random::of_row(1, "t", 0);
        let x: Vec<f64> = (0..100_000).map(|_| f64::from(random.normal())).collect();
        let mean = x.iter().sum::<f64>() / 1e5;
        let variance = x.iter().map(|x| x * x).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }
}
