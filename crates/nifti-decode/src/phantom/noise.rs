//! Seeded randomness.

/// splitmix64 (Steele, Lea, Flood 2014): any seed is good, and neighboring seeds are independent.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// One of several independent streams of a seed.
    pub(super) fn stream(seed: u64, stream: u64) -> Self {
        Self(Self(seed).bits() ^ Self(stream.wrapping_add(0x5851_f42d_4c95_7f2d)).bits())
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in 0 < u < 1.
    fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) * (1.0 / (1_u64 << 53) as f64)
    }

    /// Normally distributed, by Box and Muller.
    pub(super) fn normal(&mut self) -> f32 {
        let radius = (-2.0 * self.unit().ln()).sqrt();
        (radius * (std::f64::consts::TAU * self.unit()).cos()) as f32
    }
}

/// Normally distributed values at a nanosecond each: drawn from a table of 65 536, four to a random number.
#[derive(Debug)]
pub(super) struct Normals(Vec<f32>);

impl Normals {
    const BITS: u32 = 16;

    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::stream(seed, 0x6e6f_7261);
        Self((0..1 << Self::BITS).map(|_| random.normal()).collect())
    }

    /// Four values.
    pub(super) fn draw(&self, random: &mut Random) -> [f32; 4] {
        let bits = random.bits();
        [0, 16, 32, 48].map(|shift| self.0[(bits >> shift) as u16 as usize])
    }
}
