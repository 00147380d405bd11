//! What the pairs of processes prove about time. Noise is never called slower or faster.

use record::stats;

use super::Pair;

/// Error rate of a family of tests, and of an interval.
const ALPHA: f64 = 0.05;

/// The exact signed-rank interval of a ratio, 95 %, from logarithms; `None` if there are too few.
pub(super) fn interval(logs: &[f64]) -> Option<String> {
    let interval = stats::signed_rank_interval(logs, 1.0 - ALPHA)?;
    Some(format!("{:.3} .. {:.3}", interval.low.exp(), interval.high.exp()))
}

/// What all pairs of some cases together say.
pub(super) fn pooled(pairs: &[&Pair]) -> String {
    let logs: Vec<f64> = pairs.iter().flat_map(|pair| pair.logs.iter().copied()).collect();
    let (n, cases) = (logs.len(), count(pairs.len()));
    let Some(interval) = stats::signed_rank_interval(&logs, 1.0 - ALPHA) else {
        return format!("{n} pairs of {cases} are too few to say anything.");
    };
    let (low, high) = (interval.low.exp(), interval.high.exp());
    let says = match (low > 1.0, high < 1.0) {
        (true, _) => "opt is faster",
        (_, true) => "opt is slower",
        _ => "no difference is proven",
    };
    format!("{says}; full takes {low:.3} to {high:.3} times as long as opt (95 %, {n} pairs of {cases}).")
}

/// The cases in which opt is proven to be slower: a one-sided exact test of each, corrected for their number (Holm).
pub(super) fn slower(pairs: &[Pair]) -> Vec<&Pair> {
    proven(pairs, |log| -log)
}

/// What is proven about single cases.
pub(super) fn single_cases(pairs: &[Pair]) -> String {
    let names = |of: Vec<&Pair>| of.iter().map(|pair| pair.label()).collect::<Vec<_>>().join(", ");
    let (slower, faster) = (slower(pairs), proven(pairs, |log| log));
    let (all, cases) = (pairs.len(), count(pairs.len()));
    if !slower.is_empty() || !faster.is_empty() {
        let say = |word: &str, of: Vec<&Pair>| match of.len() {
            0 => format!("{word} in none"),
            n => format!("{word} in {n} ({})", names(of)),
        };
        return format!("of {cases}, opt is proven {} and {}.", say("slower", slower), say("faster", faster));
    }
    let most = pairs.iter().map(|pair| pair.logs.len()).max().unwrap_or(0);
    let why = match stats::can_fire(most, all, ALPHA) {
        true => String::new(),
        false => format!("; with {most} pairs a case, corrected for {cases}, nothing could be"),
    };
    format!("opt is proven neither slower nor faster in any single one of {cases}{why}.")
}

fn count(cases: usize) -> String {
    if cases == 1 { "1 case".to_owned() } else { format!("{cases} cases") }
}

fn proven(pairs: &[Pair], toward: impl Fn(f64) -> f64) -> Vec<&Pair> {
    let p = |pair: &Pair| {
        let logs: Vec<f64> = pair.logs.iter().map(|log| toward(*log)).collect();
        stats::signed_rank_greater(&logs, 0.0).unwrap_or(1.0)
    };
    let adjusted = stats::holm(&pairs.iter().map(p).collect::<Vec<_>>());
    pairs.iter().zip(adjusted).filter(|(_, p)| *p < ALPHA).map(|(pair, _)| pair).collect()
}

#[cfg(test)]
mod tests {
    use super::super::pairs::Figures;
    use super::*;

    fn pair(case: &str, logs: &[f64]) -> Pair {
        let figures = Figures {
            seconds: 1.0,
            frames_per_s: 1.0,
            peak: 1.0,
            kept: 1.0,
            weights: 1.0,
            transient: 1.0,
            model_error: 0.0,
        };
        Pair {
            dims: "toy".into(),
            case: case.into(),
            alias: None,
            batch: 1,
            frames: 4,
            pixels: 112,
            full: figures,
            opt: figures,
            logs: logs.to_vec(),
            has_equal_output: true,
        }
    }

    /// Six pairs whose median is below 1, as half of all unchanged cases have.
    const NOISE: [f64; 6] = [-0.05, 0.04, -0.03, 0.02, -0.02, 0.01];

    #[test]
    fn noise_is_not_called_slower() {
        let pairs = [pair("a", &NOISE), pair("b", &NOISE.map(|log| log - 0.005))];
        assert!(pairs.iter().all(|pair| pair.speedup() < 1.0) && slower(&pairs).is_empty());
        let text = single_cases(&pairs);
        assert!(text.starts_with("opt is proven neither slower nor faster in any single one of 2 cases"), "{text}");
        let text = pooled(&pairs.iter().collect::<Vec<_>>());
        assert!(text.starts_with("no difference is proven; full takes 0.9"), "{text}");
        assert!(text.contains("12 pairs of 2 cases"), "{text}");
    }

    #[test]
    fn a_difference_that_is_proven_is_said_with_its_direction() {
        let slow: Vec<f64> = (0..8).map(|i| -0.1 - 0.001 * f64::from(i)).collect();
        let pairs = [pair("a", &NOISE), pair("b", &slow)];
        assert_eq!(slower(&pairs).iter().map(|pair| pair.case.as_str()).collect::<Vec<_>>(), ["b"]);
        assert_eq!(single_cases(&pairs), "of 2 cases, opt is proven slower in 1 (b) and faster in none.");
        assert!(pooled(&[&pairs[1]]).starts_with("opt is slower; full takes 0.89"), "{}", pooled(&[&pairs[1]]));
        let fast = pair("c", &slow.iter().map(|log| -log).collect::<Vec<_>>());
        assert!(pooled(&[&fast]).starts_with("opt is faster; full takes 1.10"), "{}", pooled(&[&fast]));
    }

    #[test]
    fn too_few_pairs_say_nothing() {
        let few = pair("a", &[-1.0, -1.1, -1.2]);
        assert_eq!(interval(&few.logs), None);
        assert_eq!(pooled(&[&few]), "3 pairs of 1 case are too few to say anything.");
        assert!(single_cases(&[few]).contains("with 3 pairs a case, corrected for 1 case, nothing could be"));
    }
}
