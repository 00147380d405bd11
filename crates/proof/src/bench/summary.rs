//! The table that a person reads after the last bench: rivals on one case below each other.

use std::fmt::Write;

use record::{Align, BenchRow, IMPOSSIBLE_SHARE, Proof, Table, Unit, stats};

use super::rates;

/// One measured bench.
pub(super) struct Line {
    pub(super) row: BenchRow,
    /// Median time of an iteration.
    pub(super) seconds: f64,
}

/// All measured benches, by group and case in the order of their declaration. Empty where nothing was measured.
pub(super) fn text(lines: &[Line], left_out: usize) -> String {
    let mut text = String::new();
    let mut groups: Vec<&str> = Vec::new();
    for line in lines {
        if !groups.contains(&&*line.row.group) {
            groups.push(&line.row.group);
        }
    }
    for group in groups {
        let of_group: Vec<&Line> = lines.iter().filter(|line| line.row.group == group).collect();
        let _ = write!(text, "\n{group}\n{}", table(&of_group));
    }
    let ceilings = ceilings(lines);
    text.push_str(if ceilings.is_empty() { "" } else { "\n" });
    for (name, unit, median) in ceilings {
        let _ = writeln!(text, "ceiling {name}: {}", unit.show(median));
    }
    if left_out > 0 {
        let _ = writeln!(
            text,
            "\nNot run: {left_out} benches of cases beyond tier 1. A filter selects them; `-- .` runs all."
        );
    }
    text
}

/// Why the figures cannot be true: the rows whose rate exceeds the best burst of their ceiling.
pub(super) fn impossible(lines: &[Line]) -> Option<String> {
    let shares = lines.iter().filter_map(|line| Some((line.row.id(), line.row.impossible_share()?)));
    let found: Vec<String> = shares.map(|(id, share)| format!("{id} ({:.0} %)", 100.0 * share)).collect();
    (!found.is_empty()).then(|| {
        let limit = 100.0 * IMPOSSIBLE_SHARE;
        format!(
            "more than {limit:.0} % of the ceiling's best burst: {}. The work is not done, or the ceiling is wrong, or \
             something else ran while the ceiling was measured: run it again alone",
            found.join(", ")
        )
    })
}

fn table(lines: &[&Line]) -> Table {
    let left = ["case", "kernel"].map(|name| (name, Align::Left));
    let right = ["time", "vs best", "rate", "of ceiling"].map(|name| (name, Align::Right));
    let rest = ["proof", "what ran"].map(|name| (name, Align::Left));
    let mut table = Table::new(left.into_iter().chain(right).chain(rest));
    let mut previous = None;
    for (line, best) in by_case(lines) {
        let row = &line.row;
        let function = row.function.as_deref().unwrap_or_default();
        let rate = rates::amount(&row.work, row.ceiling.as_ref().map(|ceiling| ceiling.unit));
        table.row([
            if previous == Some(function) { String::new() } else { function.to_owned() },
            row.value.clone().unwrap_or_default(),
            Unit::Seconds.show(line.seconds),
            best.map_or_else(|| "-".to_owned(), |best| format!("{:.2}", line.seconds / best)),
            rate.map_or_else(|| "-".to_owned(), |(amount, unit)| unit.show(amount / line.seconds)),
            share(row),
            row.proof.as_ref().map_or_else(|| "-".to_owned(), figures),
            ran(row),
        ]);
        previous = Some(function);
    }
    table
}

/// The lines of each case together, cases in the order of declaration, the fastest kernel first; beside each the best
/// time of the case, if it has several kernels.
fn by_case<'a>(lines: &[&'a Line]) -> Vec<(&'a Line, Option<f64>)> {
    let mut cases: Vec<Vec<&Line>> = Vec::new();
    for &line in lines {
        match cases.iter_mut().find(|case| case[0].row.function == line.row.function) {
            Some(case) => case.push(line),
            None => cases.push(vec![line]),
        }
    }
    for case in &mut cases {
        case.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    }
    let with_best = |case: Vec<&'a Line>| {
        let best = (case.len() > 1).then(|| case[0].seconds);
        case.into_iter().map(move |line| (line, best))
    };
    cases.into_iter().flat_map(with_best).collect()
}

fn share(row: &BenchRow) -> String {
    let mark = if row.impossible_share().is_some() { " impossible" } else { "" };
    row.share_of_ceiling().map_or_else(|| "-".to_owned(), |share| format!("{:.1} %{mark}", 100.0 * share))
}

/// How far the output was from what was expected, in units of what is allowed.
fn figures(proof: &Proof) -> String {
    match proof.error {
        Some(0.0) => "exact".to_owned(),
        Some(error) if proof.tolerance > 0.0 => format!("{:.1} % of tolerance", 100.0 * error / proof.tolerance),
        _ => proof.method.clone(),
    }
}

/// What the kernel reported, without what the id says already.
fn ran(row: &BenchRow) -> String {
    let of = |key: &str| row.ran.get(key).map(String::as_str).filter(|text| !text.is_empty());
    let kernel = of("kernel").filter(|kernel| Some(*kernel) != row.value.as_deref());
    let threads = of("threads").map(|threads| format!("t{threads}"));
    let words = [kernel, of("isa"), of("path"), of("tile"), threads.as_deref()];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Every ceiling that was measured, with the median over its benches.
fn ceilings(lines: &[Line]) -> Vec<(&str, Unit, f64)> {
    let mut found: Vec<(&str, Unit, Vec<f64>)> = Vec::new();
    for ceiling in lines.iter().filter_map(|line| line.row.ceiling.as_ref()) {
        match found.iter_mut().find(|(name, ..)| *name == ceiling.name) {
            Some((.., rates)) => rates.push(ceiling.bursts_per_s),
            None => found.push((&ceiling.name, ceiling.unit, vec![ceiling.bursts_per_s])),
        }
    }
    found.into_iter().filter_map(|(name, unit, rates)| Some((name, unit, stats::median(&rates)?))).collect()
}
