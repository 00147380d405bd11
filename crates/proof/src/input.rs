//! Seeded inputs: asymmetric, of realistic spread, without zeros, and the same bits on every machine.
//!
//! Constant, symmetric or zero inputs hide transposed reads and skipped blocks, and a compiler may fold them away.
//! These are close to normal, as weights and activations are. They are made from integers only: no `ln` or `cos`, whose
//! last bit differs between C libraries, so that one input hash stands for one input everywhere.

use op::random::SplitMix64;
pub use op::random::{Random, normal};

/// Hash of numbers in this order: 16 hexadecimal digits. Bit patterns count: -0.0 and 0.0 differ.
pub fn hash(inputs: &[&[f32]]) -> String {
    let mut hash = Hash::default();
    for input in inputs {
        hash.f32s(input);
    }
    hash.finish()
}

/// A 64-bit hash of whatever an input is made of, independent of byte order and word size. Against accidents, not
/// attackers.
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
        format!("{:016x}", SplitMix64::new(self.0).bits())
    }

    fn word(&mut self, word: u64) {
        // Multiplication carries upwards only; the shift brings the high bits back down.
        let mixed = (self.0 ^ word).wrapping_mul(0xd6e8_feb8_6659_fd93);
        self.0 = (mixed ^ (mixed >> 32)).wrapping_add(0x2545_f491_4f6c_dd1d);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded hashes stand for these bits; a change of the generator or of the hash must not pass unnoticed.
    #[test]
    fn the_same_hash_everywhere() {
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
