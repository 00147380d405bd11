//! Seeded numbers, the same bits on every machine.
//!
//! [`SplitMix64`] is for streams of bits and for seeds; [`Random`] is for inputs of kernels. Both use integers only: no
//! `ln` or `cos`, whose last bit differs between C libraries, so that one input hash stands for one input everywhere.

/// splitmix64 (Steele, Lea, Flood 2014): 64 bits of state, every seed is good, and neighboring seeds are independent.
///
/// As an iterator it yields the same numbers as [`bits`](Self::bits), without end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// The sequence of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number in `0..n`; 0 for n = 0. The bias, below n · 2⁻⁶⁴, is of no consequence here.
    pub const fn below(&mut self, n: usize) -> usize {
        ((self.bits() as u128 * n as u128) >> 64) as usize
    }
}

impl Iterator for SplitMix64 {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        Some(self.bits())
    }
}

/// xoshiro256++ (Blackman and Vigna, 2019), its state filled by splitmix64: small, fast and reproducible.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// A stream of its own for each seed.
    pub fn new(seed: u64) -> Self {
        let mut seeds = SplitMix64::new(seed);
        Self { state: [(); 4].map(|()| seeds.bits()) }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A whole number in `0..n`; 0 for n = 0. The bias, below n · 2⁻⁶⁴, is of no consequence here.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// Uniform in [0, 1), with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Close to normal with mean 0 and standard deviation 1, never zero, |x| < 3.5: the sum of four uniform 16-bit
    /// numbers.
    pub fn normal(&mut self) -> f32 {
        let bits = self.bits();
        let sum: i32 = (0..4).map(|i| ((bits >> (16 * i)) & 0xffff) as i32).sum();
        // Twice the distance from the mean 2 · 65535, shifted by a half step: odd, so never zero.
        let centered = 2 * sum - 4 * 65_535 + 1;
        // Standard deviation of the sum: 65536 · √(4/12).
        const SCALE: f64 = 1.0 / (2.0 * 65_536.0 * 0.577_350_269_189_625_8);
        (f64::from(centered) * SCALE) as f32
    }
}

/// `len` values from [`Random::normal`].
pub fn normal(seed: u64, len: usize) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..len).map(|_| random.normal()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published outputs of splitmix64 for seed 1234567.
    #[test]
    fn splitmix64_as_published() {
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert!(SplitMix64::new(1_234_567).take(5).eq(published));
    }

    /// The published outputs of xoshiro256++ for the state 1, 2, 3, 4.
    #[test]
    fn xoshiro_as_published() {
        let mut random = Random { state: [1, 2, 3, 4] };
        let got = [(); 4].map(|()| random.bits());
        assert_eq!(got, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn numbers_below_a_bound_stay_below_it_and_reach_all() {
        let (mut seeds, mut random) = (SplitMix64::new(3), Random::new(3));
        let mut seen = [[false; 7]; 2];
        for _ in 0..1000 {
            seen[0][seeds.below(7)] = true;
            seen[1][random.below(7)] = true;
        }
        assert_eq!(seen, [[true; 7]; 2]);
        assert_eq!((seeds.below(0), random.below(0)), (0, 0));
    }

    #[test]
    fn values_look_normal_and_never_vanish() {
        let x = normal(7, 100_000);
        let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / 1e5;
        let variance = x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
        assert!(x.iter().all(|&v| v != 0.0 && v.abs() < 3.5));
        assert_ne!(x, normal(8, 100_000));
    }

    /// Recorded hashes stand for these bits; a change of the generator must not pass unnoticed.
    #[test]
    fn the_same_bits_everywhere() {
        let bits: Vec<u32> = normal(1, 3).iter().map(|v| v.to_bits()).collect();
        assert_eq!(bits, [1_068_877_238, 1_062_113_377, 3_192_097_724]);
    }
}
