//! Choosing the next token from logits.

use op::random::SplitMix64;

/// Chooses tokens by their probabilities, from a seed.
#[derive(Debug, Clone)]
pub struct Sampler {
    temperature: f32,
    top_p: f32,
    random: SplitMix64,
}

impl Sampler {
    /// Probabilities are e^(logit / temperature). Only the most probable tokens that together reach `top_p` are chosen
    /// from; 1 leaves out nothing. A temperature of 0, or anything that is no positive number, is [`greedy`].
    pub fn new(temperature: f32, top_p: f32, seed: u64) -> Self {
        Self { temperature, top_p, random: SplitMix64::new(seed) }
    }

    /// Whether it is [`greedy`], by its temperature.
    pub fn is_greedy(&self) -> bool {
        !(self.temperature > 0.0 && self.temperature.is_finite())
    }

    /// The next token.
    pub fn choose(&mut self, logits: &[f32]) -> u32 {
        let best = greedy(logits);
        let Some(&largest) = logits.get(best as usize) else { return best };
        if self.is_greedy() || !largest.is_finite() {
            return best;
        }
        let weight = |logit: f32| f64::from((logit - largest) / self.temperature).exp();
        let finite = logits.iter().zip(0..).filter(|(logit, _)| logit.is_finite());
        let mut tokens: Vec<(f64, u32)> = finite.map(|(&logit, token)| (weight(logit), token)).collect();
        tokens.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let total: f64 = tokens.iter().map(|(weight, _)| weight).sum();
        let mut kept = 0.0;
        let enough = total * f64::from(self.top_p.clamp(0.0, 1.0));
        let count = tokens.iter().take_while(|(weight, _)| {
            let is_needed = kept < enough;
            kept += weight;
            is_needed
        });
        let count = count.count().max(1);
        let tokens = &tokens[..count];
        let total: f64 = tokens.iter().map(|(weight, _)| weight).sum();
        // 53 bits of a word are a number from 0 to 1, without 1.
        let mut at = (self.random.bits() >> 11) as f64 / (1_u64 << 53) as f64 * total;
        for &(weight, token) in tokens {
            at -= weight;
            if at < 0.0 {
                return token;
            }
        }
        tokens[count - 1].1
    }
}

/// The token with the largest logit, the first of equal ones; 0 if there is none that is a number.
pub fn greedy(logits: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, &logit) in (0..).zip(logits) {
        if logit > best.1 {
            best = (token, logit);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_logit_wins_and_the_first_of_equals() {
        assert_eq!(greedy(&[1.0, 3.0, f32::NAN, 3.0]), 1);
        assert_eq!(greedy(&[f32::NAN, f32::NEG_INFINITY]), 0);
        assert_eq!(Sampler::new(0.0, 1.0, 1).choose(&[0.0, 2.0, 1.0]), 1);
        assert_eq!(Sampler::new(f32::NAN, 1.0, 1).choose(&[0.0, 2.0, 1.0]), 1);
    }

    #[test]
    fn tokens_come_as_often_as_their_probability_says() {
        let logits = [0.0, 2.0_f32.ln(), f32::NEG_INFINITY, 5.0_f32.ln()];
        let mut sampler = Sampler::new(1.0, 1.0, 7);
        let mut counts = [0.0_f64; 4];
        for _ in 0..8000 {
            counts[sampler.choose(&logits) as usize] += 1.0 / 8000.0;
        }
        for (count, expected) in counts.into_iter().zip([0.125, 0.25, 0.0, 0.625]) {
            // Five standard deviations.
            assert!((count - expected).abs() < 0.028, "{counts:?}");
        }
        let mut only = Sampler::new(1.0, 0.6, 7);
        assert!((0..200).all(|_| only.choose(&logits) == 3), "the most probable token reaches the limit alone");
        let mut two = Sampler::new(1.0, 0.7, 7);
        assert!((0..200).all(|_| [1, 3].contains(&two.choose(&logits))));
    }
}
