//! Whether two runs computed the same, and whether that says anything.
//!
//! A hash of greedy tokens is not enough: a prompt of random tokens drives a model into a short cycle, and then the
//! same few tokens come from right and from broken code. So a golden text that ends in a cycle is refused
//! ([`cycle`]), and logits are compared as well ([`Difference`]).

use op::fnv1a;

/// Longest period that counts as a cycle.
pub const LONGEST_PERIOD: usize = 8;

/// The period of the cycle in which tokens end: the smallest one, up to [`LONGEST_PERIOD`], of which at least three
/// repetitions stand at the end and cover at least eight tokens.
pub fn cycle(tokens: &[u32]) -> Option<usize> {
    (1..=LONGEST_PERIOD).find(|&period| {
        let len = (3 * period).max(8);
        tokens.len() >= len && {
            let tail = &tokens[tokens.len() - len..];
            tail[period..] == tail[..len - period]
        }
    })
}

/// A hash of tokens and of logits, which are first rounded to eight bits of their mantissa: results that differ by
/// rounding alone nearly always have the same hash.
pub fn hash(tokens: &[u32], logits: &[f32]) -> u64 {
    let tokens = tokens.iter().flat_map(|token| token.to_le_bytes());
    let rounded = logits.iter().flat_map(|logit| ((logit.to_bits().wrapping_add(0x8000) >> 16) as u16).to_le_bytes());
    fnv1a(&tokens.chain(rounded).collect::<Vec<u8>>())
}

/// The fold that `JoelTankard/web-rwkv-gguf` logs as its quality hash: h <- 31 h + token.
pub fn folded(tokens: &[u32]) -> u64 {
    tokens.iter().fold(0, |hash: u64, &token| hash.wrapping_mul(31).wrapping_add(token.into()))
}

/// How far logits are from others, position by position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Largest difference of two logits.
    pub largest: f64,
    /// Root mean square of the differences, over that of the expected logits.
    pub relative: f64,
    /// Largest divergence of a position's probabilities from the expected ones, in nats (Kullback-Leibler).
    pub divergence: f64,
    /// Positions whose most probable token is the expected one.
    pub agreeing: usize,
    /// Positions compared.
    pub positions: usize,
}

impl Difference {
    /// Compares positions x vocabulary logits. `None` if the lengths differ or are not whole positions.
    pub fn new(found: &[f32], expected: &[f32], vocabulary: usize) -> Option<Self> {
        if vocabulary == 0 || found.len() != expected.len() || !found.len().is_multiple_of(vocabulary) {
            return None;
        }
        let (mut squares, mut of_expected) = (0.0, 0.0);
        let mut result = Self { largest: 0.0, relative: 0.0, divergence: 0.0, agreeing: 0, positions: 0 };
        for (found, expected) in found.chunks_exact(vocabulary).zip(expected.chunks_exact(vocabulary)) {
            for (&found, &expected) in found.iter().zip(expected) {
                let (found, expected) = (f64::from(found), f64::from(expected));
                let distance = (found - expected).abs();
                result.largest = larger(result.largest, distance);
                squares += distance * distance;
                of_expected += expected * expected;
            }
            result.divergence = larger(result.divergence, divergence(found, expected));
            result.agreeing += usize::from(crate::sampling::greedy(found) == crate::sampling::greedy(expected));
            result.positions += 1;
        }
        result.relative = (squares / of_expected).sqrt();
        if squares == 0.0 {
            result.relative = 0.0;
        }
        Some(result)
    }
}

/// The larger of two; NaN if one is.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || a >= b { a } else { b }
}

/// Sum of p ln(p / q) with the expected probabilities p.
fn divergence(found: &[f32], expected: &[f32]) -> f64 {
    let log_sum = |logits: &[f32]| {
        let largest = logits.iter().fold(f64::NEG_INFINITY, |largest, &logit| largest.max(logit.into()));
        largest + logits.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum::<f64>().ln()
    };
    let (of_found, of_expected) = (log_sum(found), log_sum(expected));
    let pairs = found.iter().zip(expected);
    let terms = pairs.map(|(&found, &expected)| {
        let (q, p) = (f64::from(found) - of_found, f64::from(expected) - of_expected);
        p.exp() * (p - q)
    });
    terms.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_results_that_were_logged_as_good_are_cycles() {
        // What `JoelTankard/web-rwkv-gguf` logged for three different code paths, and for a broken one.
        let period_4 = [33, 3319, 153, 129].repeat(8);
        let period_1 = vec![2361; 32];
        assert_eq!((folded(&period_4), cycle(&period_4)), (0x3895_ad4a_dd71_cff0, Some(4)));
        assert_eq!((folded(&period_1), cycle(&period_1)), (0x4382_8725_9638_b200, Some(1)));
    }

    #[test]
    fn a_text_is_no_cycle() {
        let text: Vec<u32> = (0..64).map(|i| i * i % 61).collect();
        assert_eq!(cycle(&text), None);
        let tail = [&text[..], &[1, 2, 3, 4, 5, 6, 7, 8].repeat(3)].concat();
        assert_eq!(cycle(&tail), Some(8));
        assert_eq!(cycle(&[5; 7]), None, "too few to tell");
        assert_eq!(cycle(&[1, 2, 1, 2, 1, 2, 1, 2, 3]), None, "it ended");
    }

    #[test]
    fn differences_are_what_they_say() {
        let expected = [0.0, 1.0, 2.0, 3.0, 2.0, 1.0];
        let same = Difference::new(&expected, &expected, 3).unwrap();
        assert_eq!(
            (same.largest, same.relative, same.divergence, same.agreeing, same.positions),
            (0.0, 0.0, 0.0, 2, 2)
        );
        let found = [0.0, 1.0, 0.5, 3.0, 2.0, 1.0];
        let other = Difference::new(&found, &expected, 3).unwrap();
        assert_eq!((other.largest, other.agreeing), (1.5, 1));
        assert!(other.divergence > 0.1 && (other.relative - (2.25_f64 / 19.0).sqrt()).abs() < 1e-12);
        let broken = Difference::new(&[f32::NAN; 6], &expected, 3).unwrap();
        assert!(broken.largest.is_nan() && broken.relative.is_nan() && broken.divergence.is_nan());
        assert_eq!(Difference::new(&found, &expected, 4), None);
        assert_ne!(hash(&[1], &expected), hash(&[1], &found));
        assert_eq!(hash(&[1], &[1.0]), hash(&[1], &[1.000_01]));
        assert_ne!(hash(&[1], &[1.0]), hash(&[2], &[1.0]));
    }
}
