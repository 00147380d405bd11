//! Many tests at once: Holm's adjustment, and whether a plan can reach significance at all.

/// Holm's step-down adjustment: adjusted p values in the order of the input. Rejecting where `adjusted <= alpha` keeps
/// the chance of any false rejection in the family at or below alpha, whatever the dependence between the tests.
///
/// An input that is not a probability (NaN, negative, above 1) becomes NaN, which no comparison accepts. It still
/// counts as a member of the family.
///
/// ```
/// let adjusted = record::stats::holm(&[0.01, 0.04, 0.03]);
/// assert_eq!(adjusted, [0.03, 0.06, 0.06]);
/// ```
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut adjusted = vec![f64::NAN; p.len()];
    let mut order: Vec<usize> = (0..p.len()).filter(|&i| (0.0..=1.0).contains(&p[i])).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut largest = 0.0_f64;
    for (step, &i) in order.iter().enumerate() {
        largest = largest.max(p[i] * (p.len() - step) as f64).min(1.0);
        adjusted[i] = largest;
    }
    adjusted
}

/// The smallest one-sided p that a signed-rank test of `n` blocks can give: 2⁻ⁿ, when all lie on one side.
pub fn smallest_p(n: usize) -> f64 {
    // Below 2⁻¹⁰⁷⁴ there is no f64: 0.
    0.5_f64.powi(n.min(1100) as i32)
}

/// Whether `n` blocks can ever be significant at `alpha` in a family of `family` tests under Holm. A plan for which
/// this is false must be refused: 8 blocks over 13 benches never fire at 5 %.
///
/// An empty family is treated as one test.
pub fn can_fire(n: usize, family: usize, alpha: f64) -> bool {
    // The same product that `holm` forms, so that the two cannot disagree by a rounding.
    smallest_p(n) * family.max(1) as f64 <= alpha
}
