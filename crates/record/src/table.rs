//! Markdown tables of fixed width: the same text reads well in a terminal and renders on a forge.

use std::fmt;

/// Alignment of a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Align {
    /// Text.
    #[default]
    Left,
    /// Numbers.
    Right,
}

/// A table under construction; `Display` renders it.
///
/// ```
/// use record::{Align, Table};
/// let mut table = Table::new([("id", Align::Left), ("time", Align::Right)]);
/// table.row(["gemm", "1.234 ms"]);
/// assert_eq!(table.to_string(), "\
/// | id   |     time |
/// | :--- | -------: |
/// | gemm | 1.234 ms |
/// ");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows. The headers are escaped like cells.
    pub fn new<S: Into<String>>(columns: impl IntoIterator<Item = (S, Align)>) -> Self {
        Self {
            columns: columns.into_iter().map(|(name, align)| (escape(&name.into()), align)).collect(),
            rows: Vec::new(),
        }
    }

    /// Appends a row. Cells may contain `|` and line ends: the former are escaped, the latter become spaces. Missing
    /// cells stay empty; cells beyond the last column open columns without a header, so that nothing is lost.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) -> &mut Self {
        let cells: Vec<String> = cells.into_iter().map(|cell| escape(&cell.into())).collect();
        while self.columns.len() < cells.len() {
            self.columns.push((String::new(), Align::Left));
        }
        self.rows.push(cells);
        self
    }

    /// Whether no row was appended.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width_of = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
            // 4: the shortest ruler `:---` that every Markdown dialect takes.
            cells.chain([self.columns[at].0.chars().count(), 4]).max().unwrap_or(4)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width_of).collect();
        self.line(f, &widths, |at| &self.columns[at].0)?;
        for (&width, (_, align)) in widths.iter().zip(&self.columns) {
            let dashes = "-".repeat(width - 1);
            match align {
                Align::Left => write!(f, "| :{dashes} ")?,
                Align::Right => write!(f, "| {dashes}: ")?,
            }
        }
        f.write_str(if widths.is_empty() { "" } else { "|\n" })?;
        self.rows.iter().try_for_each(|row| self.line(f, &widths, |at| row.get(at).map_or("", String::as_str)))
    }
}

impl Table {
    fn line<'a>(&self, f: &mut fmt::Formatter<'_>, widths: &[usize], cell: impl Fn(usize) -> &'a str) -> fmt::Result {
        for (at, (&width, (_, align))) in widths.iter().zip(&self.columns).enumerate() {
            match align {
                Align::Left => write!(f, "| {:<width$} ", cell(at))?,
                Align::Right => write!(f, "| {:>width$} ", cell(at))?,
            }
        }
        f.write_str(if widths.is_empty() { "" } else { "|\n" })
    }
}

fn escape(cell: &str) -> String {
    cell.trim().replace("\r\n", " ").replace(['\n', '\r'], " ").replace('|', "\\|")
}
