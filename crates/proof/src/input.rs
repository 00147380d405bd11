//! Seeded inputs: asymmetric, of realistic spread, without zeros, and the same bits on every machine.
//!
//! Constant, symmetric or zero inputs hide transposed reads and skipped blocks, and a compiler may fold them away. These are
//! close to normal, as weights and activations are. They are made from integers only: no `ln` or `cos`, whose last bit differs
//! between C libraries, so that one input hash stands for one input everywhere.

/// xoshiro256++ (Blackman and Vigna, 2019), its state filled by splitmix64: small, fast and reproducible.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// A stream of its own for each seed.
    pub fn new(seed: u64) -> Self {
        let mut counter = seed;
        Self { state: [(); 4].map(|()| splitmix64(&mut counter)) }
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

    /// Close to normal with mean 0 and standard deviation 1, never zero, |x| < 3.5: the sum of four uniform 16-bit numbers.
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

/// Hash of numbers in this order: 16 hexadecimal digits. Bit patterns count: -0.0 and 0.0 differ.
pub fn hash(inputs: &[&[f32]]) -> String {
    let mut hash = Hash::default();
    for input in inputs {
        hash.f32s(input);
    }
    hash.finish()
}

/// A 64-bit hash of whatever an input is made of, independent of byte order and word size. Against accidents, not attackers.
#[derive(Clone, Debug)]
pub struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Hash {
    /// Adds numbers, and how many they are.
    pub fn f32s(&mut self, values: &[f32]) -> &mut Self {
        self.word(values.len() as u64);
        for pair in values.chunks(2) {
            let high = pair.get(1).map_or(0, |v| v.to_bits());
            self.word(u64::from(high) << 32 | u64::from(pair[0].to_bits()));
        }
        self
    }

    /// Adds bytes, and how many they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.word(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.word(u64::from_le_bytes(last));
        self
    }

    /// 16 hexadecimal digits.
    pub fn finish(&self) -> String {
        let mut state = self.0;
        format!("{:016x}", splitmix64(&mut state))
    }

    fn word(&mut self, word: u64) {
        // Multiplication carries upwards only; the shift brings the high bits back down.
        let mixed = (self.0 ^ word).wrapping_mul(0xd6e8_feb8_6659_fd93);
        self.0 = (mixed ^ (mixed >> 32)).wrapping_add(0x2545_f491_4f6c_dd1d);
    }
}

fn splitmix64(counter: &mut u64) -> u64 {
    *counter = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *counter;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published outputs of splitmix64 for seed 1234567.
    #[test]
    fn splitmix64_as_published() {
        let mut counter = 1_234_567;
        let got = [(); 5].map(|()| splitmix64(&mut counter));
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(got, published);
    }

    /// The published outputs of xoshiro256++ for the state 1, 2, 3, 4.
    #[test]
    fn xoshiro_as_published() {
        let mut random = Random { state: [1, 2, 3, 4] };
        let got = [(); 4].map(|()| random.bits());
        assert_eq!(got, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
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
        assert_eq!(hash(&[&normal(1, 1001)]), "a839894bb5bb5094");
    }

    #[test]
    fn hashes_see_order_length_and_sign() {
        let base = hash(&[&[1.0, 2.0, 3.0]]);
        assert_eq!(base.len(), 16);
        assert_eq!(base, hash(&[&[1.0, 2.0, 3.0]]));
        let others = [
            hash(&[&[2.0, 1.0, 3.0]]),
            hash(&[&[1.0, 2.0], &[3.0]]),
            hash(&[&[1.0, 2.0, -3.0]]),
            hash(&[&[1.0, 2.0, 3.0, 0.0]]),
            hash(&[]),
        ];
        assert!(others.iter().all(|other| *other != base));
        assert_ne!(hash(&[&[0.0]]), hash(&[&[-0.0]]));
        assert_ne!(Hash::default().bytes(b"ab").finish(), Hash::default().bytes(b"ab\0").finish());
    }
}
