//! Seeded random numbers.

use op::random::SplitMix64;

/// splitmix64, with the distributions that phantoms need.
#[derive(Debug, Clone)]
pub(super) struct Random(SplitMix64);

impl Random {
    /// One of several independent streams of a seed.
    pub(super) fn stream(seed: u64, stream: u64) -> Self {
        let first = |seed| SplitMix64::new(seed).bits();
        Self(SplitMix64::new(first(seed) ^ first(stream.wrapping_add(0x5851_f42d_4c95_7f2d))))
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0.bits()
    }

    /// Uniform in 0 < u < 1.
    fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) * (1.0 / (1_u64 << 53) as f64)
    }

    /// Normally distributed, by the Box-Muller method.
    pub(super) fn normal(&mut self) -> f32 {
        let radius = (-2.0 * self.unit().ln()).sqrt();
        (radius * (std::f64::consts::TAU * self.unit()).cos()) as f32
    }
}

/// Normally distributed values from a table of 65 536, four per random number. Each takes about a nanosecond.
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
