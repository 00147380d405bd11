//! One head against several bases: a line per benchmark, a column per base.

use record::{Align, Table};

use super::entry::Entry;
use super::figures::Figures;
use super::label::{Labels, plain};
use super::row::Row;

/// Longest name of a base in a column's heading.
const NAME: usize = 24;

/// One benchmark against every base.
pub(super) struct Line<'a> {
    /// Short name.
    pub(super) label: String,
    /// The head's time, from the first comparison that has one.
    pub(super) after: Option<String>,
    /// What each comparison found; `None` if it does not have the benchmark.
    pub(super) rows: Vec<Option<&'a Row>>,
}

/// Names of the bases, for headings.
pub(super) fn names(comparisons: &[Entry]) -> Vec<String> {
    let name = |entry: &Entry| chart::shorten(&plain(entry.base.as_ref().map_or("", |base| base.name())), NAME);
    comparisons.iter().map(name).collect()
}

/// Every benchmark that at least one comparison has, in the order of their rows, and what their labels leave out.
pub(super) fn lines(comparisons: &[Entry]) -> (Vec<Line<'_>>, String) {
    let mut all: Vec<Row> = Vec::new();
    for row in comparisons.iter().flat_map(|entry| &entry.rows) {
        if !all.iter().any(|known| known.id == row.id) {
            all.push(row.clone());
        }
    }
    let labels = Labels::of(&all);
    let of = |entry: &'_ Entry, id: &str| entry.rows.iter().position(|row| row.id == id);
    let line = |(row, label): (&Row, &String)| {
        let rows: Vec<Option<&Row>> =
            comparisons.iter().map(|entry| of(entry, &row.id).map(|at| &entry.rows[at])).collect();
        let after = rows.iter().flatten().find_map(|row| row.head.as_ref()).map(Figures::shown_time);
        Line { label: label.clone(), after, rows }
    };
    (all.iter().zip(&labels.labels).map(line).collect(), labels.prefix)
}

/// "SLOWER +12.5 % (+11.9 % .. +13.0 %)", or only the verdict.
pub(super) fn cell(row: Option<&Row>) -> String {
    let Some(row) = row else { return "-".to_owned() };
    let mark = if row.accepted.is_some() { " (accepted)" } else { "" };
    match (row.effect, row.ci) {
        (Some(_), Some(_)) => format!("{}{mark} {} ({})", row.verdict, row.shown_effect(), row.shown_interval()),
        (Some(_), None) => format!("{}{mark} {}", row.verdict, row.shown_effect()),
        _ => format!("{}{mark}", row.verdict),
    }
}

/// The table of a terminal.
pub(super) fn table(comparisons: &[Entry]) -> (Table, String) {
    let mut columns = vec![("benchmark".to_owned(), Align::Left), ("after".to_owned(), Align::Right)];
    columns.extend(names(comparisons).into_iter().map(|name| (format!("against {name}"), Align::Left)));
    let mut table = Table::new(columns);
    let (lines, prefix) = lines(comparisons);
    for line in lines {
        let mut cells = vec![line.label, line.after.unwrap_or_else(|| "-".to_owned())];
        cells.extend(line.rows.into_iter().map(cell));
        table.row(cells);
    }
    (table, prefix)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::entry::Against;
    use super::super::golden::full;
    use super::*;
    use crate::report::{html, json, text};

    /// An entry against two bases, of which the second lacks a benchmark and has one that is gone.
    pub(crate) fn two_bases() -> Entry {
        let mut entry = full();
        let mut base = entry.base.clone().unwrap();
        base.label = "v1.0 (cccccccccc older)".into();
        let mut rows = entry.rows.clone();
        rows.remove(1);
        rows[0].effect = Some(0.5);
        rows.push(Row { id: "gone".into(), verdict: crate::judge::Verdict::Gone, ..entry.rows[3].clone() });
        entry.rows.pop();
        entry.others.push(Against { base, rows });
        entry
    }

    #[test]
    fn every_benchmark_has_a_line_and_every_base_a_column() {
        let shown = text::terminal(&two_bases());
        let line =
            |start: &str| shown.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{shown}"));
        assert!(line("| benchmark").contains("against aaaaaaaaaa") && line("| benchmark").contains("against v1.0"));
        assert!(line("| slow").contains("SLOWER +12.7 %") && line("| slow").contains("SLOWER +50.0 %"), "{shown}");
        let last = |start: &str| line(start).trim_end_matches('|').rsplit('|').next().unwrap_or_default().trim();
        assert_eq!(last("| faster"), "-", "that base does not have it");
        assert!(line("| gone").contains("| -") && line("| gone").contains("GONE"), "{shown}");
        assert!(shown.contains("against v1.0 (cccccccccc older): 4 benchmarks"), "{shown}");
        assert!(shown.contains("GONE: gone"), "reasons of the second comparison are shown: {shown}");
    }

    #[test]
    fn the_first_base_decides_the_exit_code_and_all_are_in_the_data() {
        let entry = two_bases();
        assert_eq!(entry.exit(), crate::exit::Exit::Regression, "a benchmark that only another base has is gone there");
        let value = json(&entry);
        assert_eq!(value["others"][0]["base"]["label"], "v1.0 (cccccccccc older)");
        assert_eq!(value["others"][0]["rows"][3]["verdict"], "GONE");
        assert!(json(&full()).get("others").is_none(), "one base is as it was");
    }

    #[test]
    fn a_page_has_the_table_and_a_chart_for_each_base() {
        let page = html::page(&two_bases(), &[]);
        assert_eq!(page.matches("<svg ").count(), 2, "{page}");
        assert!(page.contains("<th>against v1.0</th>") && page.contains("Change of time against v1.0"), "{page}");
    }
}
