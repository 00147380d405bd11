//! Goals, and in how many rows each is met.

use anyhow::Result;
use record::{Align, Table};

use crate::row::{Outcome, Row};
use crate::suite::{Goal, Suite, pattern};

/// A figure of one row with its interval.
struct Figure {
    value: f64,
    low: f64,
    high: f64,
    /// Peer, case and threads.
    place: String,
}

/// A line for each goal: the number of rows in which it is met, missed or unproven, and the worst row.
pub(crate) fn table(suite: &Suite, rows: &[Row]) -> Result<String> {
    let columns = ["at least", "met", "open", "missed"];
    let head = [("goal", Align::Left)].into_iter().chain(columns.map(|name| (name, Align::Right)));
    let mut table = Table::new(head.chain([("worst", Align::Left)]));
    for goal in &suite.goals {
        let wanted = goal.ratio.or(goal.share).or(goal.scaling).unwrap_or_default();
        let figures = figures(goal, suite, rows)?;
        let count = |is_so: &dyn Fn(&Figure) -> bool| figures.iter().filter(|figure| is_so(figure)).count().to_string();
        let worst = figures.iter().min_by(|a, b| a.value.total_cmp(&b.value));
        table.row([
            goal.says.clone(),
            format!("{wanted:.2}"),
            count(&|figure| figure.low >= wanted),
            count(&|figure| figure.low < wanted && figure.high >= wanted),
            count(&|figure| figure.high < wanted),
            worst.map_or("-".to_owned(), |worst| format!("{:.2}: {}", worst.value, worst.place)),
        ]);
    }
    Ok(table.to_string())
}

fn figures(goal: &Goal, suite: &Suite, rows: &[Row]) -> Result<Vec<Figure>> {
    let cases = pattern(&goal.cases)?;
    let is_wanted = |row: &&Row| cases.is_match(&row.case) && goal.threads.is_none_or(|threads| row.threads == threads);
    let rows: Vec<&Row> = rows.iter().filter(is_wanted).collect();
    if goal.ratio.is_some() {
        let is_own = |name: &str| suite.peers.iter().any(|peer| peer.name == name && peer.is_ours());
        let is_compared = |row: &&&Row| match goal.peers.is_empty() {
            true => !is_own(&row.peer),
            false => goal.peers.contains(&row.peer),
        };
        return Ok(rows.iter().filter(is_compared).filter_map(|row| ratio(row)).collect());
    }
    // Each case once; every peer has a row of it.
    let mut seen: Vec<&Row> = Vec::new();
    for &row in &rows {
        if !seen.iter().any(|known| (&known.case, known.threads) == (&row.case, row.threads)) {
            seen.push(row);
        }
    }
    let exactly = |value: f64, row: &Row| Figure { value, low: value, high: value, place: place(row) };
    if goal.share.is_some() {
        return Ok(seen.iter().filter_map(|row| Some(exactly(row.share?, row))).collect());
    }
    if !goal.peers.is_empty() {
        // Our speedup by threads divided by the peer's.
        let compared = || rows.iter().filter(|row| goal.peers.contains(&row.peer));
        let gain = |row: &&Row| {
            let (many, one) = (ratio(row)?, ratio(compared().find(|one| is_single_of(one, row))?)?);
            Some(Figure { value: many.value / one.value, low: many.low / one.high, high: many.high / one.low, ..many })
        };
        return Ok(compared().filter(|row| row.threads > 1).copied().filter_map(|row| gain(&row)).collect());
    }
    let single = |row: &Row| seen.iter().find(|other| other.case == row.case && other.threads == 1)?.share;
    let scaling = |row: &&Row| Some(exactly(row.share? / single(row)?, row));
    Ok(seen.iter().filter(|row| row.threads > 1).filter_map(scaling).collect())
}

/// Whether `one` is the single-threaded row of the same case and peer as `many`.
fn is_single_of(one: &Row, many: &Row) -> bool {
    one.threads == 1 && (&one.case, &one.peer) == (&many.case, &many.peer)
}

fn ratio(row: &Row) -> Option<Figure> {
    let Outcome::Timed { ratio, low, high, .. } = row.outcome else { return None };
    Some(Figure { value: ratio, low, high, place: format!("{}, {}", row.peer, place(row)) })
}

fn place(row: &Row) -> String {
    format!("{} with {} thread{}", row.case, row.threads, if row.threads == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceiling::Ceiling;
    use crate::suite::Suite;

    fn suite() -> Suite {
        toml::from_str(
            r#"
            title = "Sums"
            threads = [1, 2]
            peer = [{ name = "other", dir = "other", command = ["x"] }, { name = "ours too", own = { a = 1 } }]
            case = [{ id = "small", params = {} }, { id = "large", params = {} }]
            goal = [
                { says = "ahead of all", cases = ".", ratio = 1.1 },
                { says = "as fast as we can", cases = ".", ratio = 1.0, peers = ["ours too"] },
                { says = "near the ceiling", cases = "large", threads = 1, share = 0.9 },
                { says = "twice with two", cases = ".", scaling = 0.95 },
                { says = "gain beside the other's", cases = "small", scaling = 0.8, peers = ["other"] },
            ]"#,
        )
        .unwrap()
    }

    fn row(case: &str, threads: usize, peer: &str, ratio: f64, share: Option<f64>) -> Row {
        Row {
            case: case.to_owned(),
            threads,
            peer: peer.to_owned(),
            version: String::new(),
            ran: String::new(),
            ours_ran: String::new(),
            ours_s: None,
            share,
            ceiling: Ceiling::Fma,
            prepare_s: None,
            outcome: Outcome::Timed { ratio, low: ratio - 0.05, high: ratio + 0.05, sets: 7, peer_s: 1.0 },
            made: String::new(),
        }
    }

    #[test]
    fn goals_are_met_open_or_missed() {
        let rows = [
            row("small", 1, "other", 1.3, Some(0.8)),
            row("small", 2, "other", 1.12, Some(0.6)),
            row("large", 1, "other", 0.9, Some(0.95)),
            row("large", 1, "ours too", 1.2, Some(0.95)),
            Row { outcome: Outcome::Unavailable { why: String::new() }, ..row("large", 2, "other", 1.0, None) },
        ];
        let text = table(&suite(), &rows).unwrap();
        let cells = |line: usize| -> Vec<String> {
            text.lines().nth(line + 2).unwrap().split('|').map(|cell| cell.trim().to_owned()).collect()
        };
        assert_eq!(cells(0)[2..7], ["1.10", "1", "1", "1", "0.90: other, large with 1 thread"], "{text}");
        assert_eq!(cells(1)[2..6], ["1.00", "1", "0", "0"], "{text}");
        assert_eq!(cells(2)[2..6], ["0.90", "1", "0", "0"], "{text}");
        assert_eq!(cells(3)[2..7], ["0.95", "0", "0", "1", "0.75: small with 2 threads"], "{text}");
        // 1.12 / 1.3, and as it may be by both intervals: 1.07 / 1.35 to 1.17 / 1.25.
        assert_eq!(cells(4)[2..7], ["0.80", "0", "1", "0", "0.86: other, small with 2 threads"], "{text}");
    }
}
