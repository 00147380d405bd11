//! Goals of the sweep, judged by its rows.

use super::{MIB, Pair, times};

/// The goals that rows of this run can judge.
pub(super) fn recommendations(pairs: &[Pair]) -> String {
    let mut text = String::new();
    let mut goal = |goal: &str, misses: Vec<String>, judged: usize| {
        text += &match (judged, misses.is_empty()) {
            (0, _) => format!("- {goal}: no case of this run can say.\n"),
            (_, true) => format!("- {goal}: met in all of {judged} cases.\n"),
            (_, false) => {
                format!("- {goal}: missed in {} of {judged} cases, so work on {}.\n", misses.len(), misses.join(", "))
            }
        };
    };
    let mut judge = |name: &str, applies: &dyn Fn(&Pair) -> bool, holds: &dyn Fn(&Pair) -> bool| {
        let judged: Vec<&Pair> = pairs.iter().filter(|pair| applies(pair)).collect();
        let misses = judged.iter().filter(|pair| !holds(pair)).map(|pair| pair.label()).collect();
        goal(name, misses, judged.len());
    };
    judge("Peak of opt at most that of full", &|_| true, &|pair| pair.opt.peak <= pair.full.peak);
    let slower: Vec<String> = times::slower(pairs).iter().map(|pair| pair.label()).collect();
    judge("Time of opt not proven to exceed that of full", &|_| true, &|pair| !slower.contains(&pair.label()));
    judge("Peak of opt at most 0.6 of full from 16 frames on", &|pair| pair.images() >= 16, &|pair| {
        pair.opt.peak <= 0.6 * pair.full.peak
    });
    judge("Peak of opt at most 0.35 of full from 64 frames on", &|pair| pair.images() >= 64, &|pair| {
        pair.opt.peak <= 0.35 * pair.full.peak
    });
    judge(
        "At most 260 MiB for 32 frames of 518px (toy)",
        &|pair| (pair.dims.as_str(), pair.images(), pair.pixels) == ("toy", 32, 518),
        &|pair| pair.opt.peak <= 260.0 * MIB,
    );
    text
}
