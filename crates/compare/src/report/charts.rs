//! Entries as figures.

use chart::{History, HistoryPoint, HistoryRow, IntervalRow, Intervals, Mark};

use super::entry::Entry;
use super::label::{Labels, plain};
use super::log_entry::moved;
use super::row::Row;
use super::sentence::sentence;
use crate::judge::Verdict;

/// Shape of a verdict.
fn mark(verdict: Verdict) -> Mark {
    match verdict {
        Verdict::Slower => Mark::Worse,
        Verdict::Faster => Mark::Better,
        Verdict::Same => Mark::Even,
        Verdict::Inconclusive | Verdict::NotFlagged | Verdict::New => Mark::Open,
        Verdict::Invalid | Verdict::Timeout | Verdict::Gone | Verdict::Skipped => Mark::Missing,
    }
}

/// Indices of all rows, those first that a reader must see.
pub(super) fn order(entry: &Entry) -> Vec<usize> {
    let mut order = moved(entry);
    order.extend((0..entry.rows.len()).filter(|at| !order.contains(at)).collect::<Vec<_>>());
    order
}

/// The comparison: intervals and blocks of every row. `None` for an entry that compares nothing.
pub fn comparison(entry: &Entry) -> Option<String> {
    let base = entry.base.as_ref()?;
    let labels = Labels::of(&entry.rows);
    let row = |at: usize| {
        let row = &entry.rows[at];
        IntervalRow {
            label: labels.labels[at].clone(),
            full: plain(&row.id),
            estimate: row.effect,
            interval: row.ci,
            blocks: row.blocks.iter().map(|block| block.exp_m1()).collect(),
            margin: row.margin,
            mark: mark(row.verdict),
            verdict: format!("{}{}", row.verdict, if row.accepted.is_some() { " (accepted)" } else { "" }),
        }
    };
    let below = if labels.prefix.is_empty() { String::new() } else { format!("   below {}", labels.prefix) };
    let short = |label: &str| chart::shorten(&plain(label), 60);
    let figure = Intervals {
        title: chart::shorten(&sentence(entry), 100),
        subtitle: format!("{} → {}{below}", short(&base.label), short(&entry.head.label)),
        axis: "change of time, after relative to before".to_owned(),
        rows: order(entry).into_iter().map(row).collect(),
    };
    Some(figure.svg())
}

/// What the entries of one title and machine class measured, oldest first. `None` if there are fewer than two.
pub fn history(entries: &[&Entry]) -> Option<String> {
    let last = entries.last().filter(|_| entries.len() > 1)?;
    let labels = Labels::of(&last.rows);
    let point = |row: &Row, first: bool| {
        let figures = row.head.as_ref()?;
        // A first entry says NEW of everything: that is where the line begins, not an open question.
        let mark = if first { Mark::Even } else { mark(row.verdict) };
        Some(HistoryPoint { value: figures.time, shown: figures.shown_time(), mark })
    };
    let rows = last.rows.iter().zip(&labels.labels).map(|(row, label)| {
        let of = |entry: &&Entry| {
            let found = entry.rows.iter().find(|other| other.id == row.id)?;
            point(found, entry.base.is_none())
        };
        HistoryRow { label: label.clone(), full: plain(&row.id), points: entries.iter().map(of).collect() }
    });
    let figure = History {
        title: chart::shorten(&format!("History of \"{}\"", plain(&last.title)), 100),
        subtitle: format!("machine class {}", plain(&last.machine_class)),
        entries: entries.iter().map(|entry| format!("{} {}", entry.at, plain(&entry.change))).collect(),
        rows: rows.filter(|row| row.points.iter().flatten().count() > 0).collect(),
    };
    Some(figure.svg())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::golden::full;

    #[test]
    fn a_comparison_shows_every_row_and_the_moved_ones_first() {
        let entry = full();
        let svg = comparison(&entry).unwrap();
        let place = |id: &str| svg.find(&format!("<title>{id}")).unwrap();
        assert!(
            place("slow|er") < place("broken") && place("broken") < place("faster") && place("faster") < place("same")
        );
        assert_eq!(svg.matches("class=\"point\"").count(), 3 * 12 + 1, "twelve blocks of three rows, and the legend");
        assert_eq!(comparison(&Entry { base: None, ..full() }), None);
    }

    #[test]
    fn a_history_has_one_point_for_each_entry_that_has_the_benchmark() {
        let (mut first, second) = (full(), full());
        first.base = None;
        first.rows.remove(1);
        let svg = history(&[&first, &second]).unwrap();
        assert!(svg.contains("slow|er: 1.127 µs (2026-01-31 12:34:56 a change)"), "{svg}");
        assert_eq!(svg.matches("<title>faster: ").count(), 1);
        assert_eq!(history(&[&second]), None);
    }
}
