//! What a comparison found, in one sentence.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::Entry;
use super::metrics::{Change, MEMORY};
use super::row::{Row, percent};
use crate::judge::Verdict;

/// Verdicts in the order in which a reader wants to hear of them.
const ORDER: [Verdict; 10] = [
    Verdict::Slower,
    Verdict::Faster,
    Verdict::Same,
    Verdict::Inconclusive,
    Verdict::NotFlagged,
    Verdict::Invalid,
    Verdict::Timeout,
    Verdict::Gone,
    Verdict::New,
    Verdict::Skipped,
];

/// What the entry found, without a full stop.
pub(super) fn sentence(entry: &Entry) -> String {
    let rows = &entry.rows;
    let n = rows.len();
    if entry.base.is_none() {
        let recorded = rows.iter().filter(|row| row.verdict == Verdict::New).count();
        let failed = if recorded < n { format!("; {} gave no number", n - recorded) } else { String::new() };
        return format!("Recorded {}; later entries are compared with it{failed}", count(recorded, "benchmark"));
    }
    let groups: Vec<(Verdict, Vec<&Row>)> = ORDER
        .into_iter()
        .map(|verdict| (verdict, rows.iter().filter(|row| row.verdict == verdict).collect::<Vec<_>>()))
        .filter(|(_, rows)| !rows.is_empty())
        .collect();
    let text = match groups.as_slice() {
        [] => "No benchmark was compared".to_owned(),
        [(Verdict::NotFlagged, _)] if n > 1 => format!("None of {n} benchmarks moved enough to be flagged"),
        [(verdict, rows)] if n == 1 => format!("The benchmark is {}{}", word(*verdict), effects(rows)),
        [(verdict, rows)] => format!("All {n} benchmarks are {}{}", word(*verdict), effects(rows)),
        _ => {
            let part =
                |(verdict, rows): &(Verdict, Vec<&Row>)| format!("{} {}{}", rows.len(), word(*verdict), effects(rows));
            let parts: Vec<String> = groups.iter().map(part).collect();
            format!("{n} benchmarks: {}", parts.join(", "))
        }
    };
    format!("{text}{}", beside_time(rows))
}

/// "6 benchmarks", "1 benchmark".
pub fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

fn word(verdict: Verdict) -> String {
    match verdict {
        Verdict::Same => "the same".to_owned(),
        Verdict::Timeout => "timed out".to_owned(),
        other => other.to_string().to_lowercase(),
    }
}

/// " (+12.7 %)" or " (-63.3 % .. -47.7 %)", for verdicts that claim a change; with a word on accepted ones.
fn effects(rows: &[&Row]) -> String {
    let claims = |row: &&&Row| matches!(row.verdict, Verdict::Slower | Verdict::Faster);
    let mut effects: Vec<f64> = rows.iter().filter(claims).filter_map(|row| row.effect).collect();
    effects.sort_by(f64::total_cmp);
    let accepted = rows.iter().filter(|row| row.accepted.is_some()).count();
    let range = match effects.as_slice() {
        [] => String::new(),
        [one] => percent(*one),
        [low, .., high] => format!("{} .. {}", percent(*low), percent(*high)),
    };
    let accepted = match accepted {
        0 => String::new(),
        n if n == rows.len() => "accepted".to_owned(),
        n => format!("{n} accepted"),
    };
    let parts: Vec<String> = [range, accepted].into_iter().filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

/// What grew beside time and can fail a gate: "; 1 takes more memory; 2 take more instructions".
fn beside_time(rows: &[Row]) -> String {
    let name = |change: &Change| {
        let is_memory = MEMORY.contains(&change.name.as_str());
        if is_memory { "memory".to_owned() } else { change.name.trim_end_matches("_bytes").to_owned() }
    };
    let mut grown: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows {
        let failing = row.metrics.iter().filter(|change| change.worse && change.gates);
        for name in failing.map(name).collect::<BTreeSet<_>>() {
            *grown.entry(name).or_default() += 1;
        }
    }
    let part = |(name, n): (String, usize)| format!("; {n} {} more {name}", if n == 1 { "takes" } else { "take" });
    grown.into_iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example_entry;

    #[test]
    fn the_sentence_counts_verdicts_and_shows_their_range() {
        let mut entry = example_entry();
        assert_eq!(sentence(&entry), "4 benchmarks: 1 slower (+12.7 %), 1 faster (-18.1 %), 1 the same, 1 invalid");
        entry.rows[0].accepted = Some("known".into());
        entry.rows.truncate(1);
        assert_eq!(sentence(&entry), "The benchmark is slower (+12.7 %, accepted)");
        entry.rows.push(Row { effect: Some(0.5), accepted: None, ..entry.rows[0].clone() });
        assert_eq!(sentence(&entry), "All 2 benchmarks are slower (+12.7 % .. +50.0 %, 1 accepted)");
        entry.rows.iter_mut().for_each(|row| row.verdict = Verdict::NotFlagged);
        assert_eq!(sentence(&entry), "None of 2 benchmarks moved enough to be flagged");
        entry.rows.clear();
        assert_eq!(sentence(&entry), "No benchmark was compared");
    }

    #[test]
    fn a_first_entry_says_what_it_is_for() {
        let mut entry = example_entry();
        entry.base = None;
        entry.rows.iter_mut().take(3).for_each(|row| row.verdict = Verdict::New);
        assert_eq!(sentence(&entry), "Recorded 3 benchmarks; later entries are compared with it; 1 gave no number");
    }
}
