//! Bench ids: `crate/op/type/shape/regime/tN/kernel`. The kernel is last, so that rivals on one case are neighbors.
//!
//! The ids come from the bench programs, which declare every bench in their rows whether or not it runs.

use std::collections::{BTreeMap, BTreeSet};

use record::BenchRow;

use super::Violation;

/// Criterion truncates directory names to this length.
const PART_BYTES: usize = 64;
/// Criterion truncates titles to this length.
const ID_BYTES: usize = 100;
/// A default comparison must fit into minutes.
const TIER_1: usize = 12;
const REGIMES: [&str; 2] = ["resident", "streamed"];

pub(super) fn check(rows: &[BenchRow]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut suites: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for row in rows.iter().filter(|row| seen.insert((source(row).0, row.id()))) {
        let (file, line) = source(row);
        let tier_1 = suites.entry(suite(&file)).or_default();
        if row.tier == 1 {
            tier_1.insert(row.id());
        }
        violations.extend(
            faults(row).into_iter().map(|fault| Violation::new(&file, line, format!("bench id {}: {fault}", row.id()))),
        );
    }
    for (suite, tier_1) in suites {
        let message = match tier_1.len() {
            0 => {
                "no bench is of tier 1, so a comparison would measure nothing: choose a dozen that represent the suite"
                    .to_owned()
            }
            n if n > TIER_1 => {
                format!("{n} benches are of tier 1, at most {TIER_1}: move the less important ones to tier 2")
            }
            _ => continue,
        };
        violations.push(Violation::new(suite, 1, message));
    }
    violations
}

fn source(row: &BenchRow) -> (String, usize) {
    row.source.as_ref().map_or_else(|| ("benches".to_owned(), 0), |source| (source.file.clone(), source.line as usize))
}

/// `benches/gemm.rs` and `benches/gemm/shapes.rs` are one suite.
fn suite(file: &str) -> String {
    let stem: Vec<&str> = file.trim_end_matches(".rs").split('/').take(2).collect();
    format!("{}.rs", stem.join("/"))
}

fn faults(row: &BenchRow) -> Vec<String> {
    let mut faults = Vec::new();
    let id = row.id();
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    let parts = [row.group.clone(), part(&row.function), part(&row.value)];
    if parts.clone().map(|part| part.split('/').count()) != [3, 3, 1] {
        let shown = parts.join(" + ");
        faults.push(format!("`{shown}` is not crate/op/type + shape/regime/tN + kernel"));
    } else {
        let words: Vec<&str> = id.split('/').collect();
        if !REGIMES.contains(&words[4]) {
            faults.push(format!("regime `{}` is not one of {}", words[4], REGIMES.join(", ")));
        }
        let threads = words[5].strip_prefix('t').filter(|n| !n.starts_with('0')).and_then(|n| n.parse::<u32>().ok());
        if threads.is_none() {
            faults.push(format!("`{}` is not a number of threads such as t1", words[5]));
        }
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let Some(word) = id.split('/').find(|word| word.is_empty() || !word.chars().all(is_plain)) {
        faults.push(format!("`{word}` has characters other than letters, digits, `.`, `_` and `-`"));
    }
    if id.len() > ID_BYTES || parts.iter().any(|part| part.len() > PART_BYTES) {
        faults.push(format!("criterion truncates ids above {ID_BYTES} bytes and parts above {PART_BYTES}: shorten it"));
    }
    if !(1..=3).contains(&row.tier) {
        faults.push(format!("tier {} is not 1, 2 or 3", row.tier));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::{SCHEMA, SourceLine, State, Work};

    fn row(group: &str, function: &str, value: &str, tier: u8) -> BenchRow {
        BenchRow {
            schema: SCHEMA,
            state: State::Declared,
            group: group.into(),
            function: Some(function.into()),
            value: Some(value.into()),
            tier,
            source: Some(SourceLine { file: "benches/gemm.rs".into(), line: 7 }),
            proof: None,
            ran: BTreeMap::new(),
            work: Work::default(),
            ceiling: None,
            rate_per_s: None,
            allocations: None,
            peak_rss_bytes: None,
        }
    }

    fn good(kernel: &str, tier: u8) -> BenchRow {
        row("gemm/gemm/f32", "m512-n512-k512/resident/t1", kernel, tier)
    }

    #[test]
    fn ids_in_the_form_pass() {
        assert_eq!(check(&[good("auto", 1), good("cpu-avx2", 2), good("auto", 1)]), []);
    }

    #[test]
    fn each_fault_is_caught_at_its_line() {
        for (bad, message) in [
            (row("gemm/f32", "m1/resident/t1", "auto", 1), "is not crate/op/type"),
            (row("gemm/gemm/f32", "m1/resident/t1/x", "auto", 1), "is not crate/op/type"),
            (row("gemm/gemm/f32", "m1/hot/t1", "auto", 1), "regime `hot`"),
            (row("gemm/gemm/f32", "m1/resident/2", "auto", 1), "`2` is not a number of threads"),
            (row("gemm/gemm/f32", "m1/resident/t0", "auto", 1), "`t0` is not a number of threads"),
            (row("gemm/gemm/f32", "m 1/resident/t1", "auto", 1), "`m 1` has characters"),
            (row("gemm/gemm/f32", &format!("m{}/resident/t1", "1".repeat(60)), "auto", 1), "shorten it"),
            (good("auto", 4), "tier 4"),
        ] {
            let found = check(&[good("x", 1), bad]);
            assert!(found.iter().any(|f| f.line == 7 && f.message.contains(message)), "{message}: {found:?}");
        }
    }

    #[test]
    fn a_suite_has_one_to_twelve_benches_of_tier_1() {
        let suite = |n: usize| (0..n).map(|i| good(&format!("k{i}"), 1)).collect::<Vec<_>>();
        assert_eq!(check(&suite(12)), []);
        assert!(check(&suite(13))[0].message.starts_with("13 benches are of tier 1"));
        assert!(check(&[good("auto", 2)])[0].message.starts_with("no bench is of tier 1"));
    }
}
