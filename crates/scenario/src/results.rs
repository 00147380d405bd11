//! Rows by cell: medians over processes, paired ratios, shares of ceilings.

use record::{CellRecord, Direction, Metric, Proof, Unit, stats};

use crate::cell::Cell;
use crate::matrix::{Level, Matrix};
use crate::row::{Provenance, Row};

/// The rows of one state of one scenario.
#[derive(Clone, Debug)]
pub struct Results<'a> {
    /// The matrix.
    pub matrix: &'a Matrix,
    /// Where the rows came from.
    pub made: &'a Provenance,
    cells: Vec<CellResult<'a>>,
}

/// Why rows are no results.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResultsError {
    /// There are none.
    #[error("there are no rows")]
    Empty,
    /// They are of different revisions, programs, matrices or machine classes.
    #[error("rows of {first} and of {other} cannot stand in one table")]
    Mixed {
        /// State of the first row.
        first: String,
        /// State of another.
        other: String,
    },
}

/// The processes of one cell.
#[derive(Clone, Debug)]
pub struct CellResult<'a> {
    /// The cell.
    pub cell: Cell,
    /// Run and record of the processes whose numbers count, by run.
    pub records: Vec<(u32, &'a CellRecord)>,
    /// Why the numbers of the others do not count.
    pub faults: Vec<String>,
}

impl<'a> Results<'a> {
    /// Sorts rows by cell, in the order of the matrix. Cells that the matrix no longer has come last.
    ///
    /// # Errors
    /// [`ResultsError`].
    pub fn new(matrix: &'a Matrix, rows: &'a [Row]) -> Result<Self, ResultsError> {
        let made = &rows.first().ok_or(ResultsError::Empty)?.made;
        if let Some(other) = rows.iter().find(|row| !row.made.is_same_state(made)) {
            let state = |made: &Provenance| format!("{} on {}", made.label, made.machine);
            return Err(ResultsError::Mixed { first: state(made), other: state(&other.made) });
        }
        let mut order: Vec<String> = Vec::new();
        let known = Level::ALL.into_iter().rev().flat_map(|level| matrix.level(level)).map(Cell::to_string);
        for cell in known.chain(rows.iter().map(|row| row.record.cell.clone())) {
            if !order.contains(&cell) {
                order.push(cell);
            }
        }
        let cells = order.iter().filter_map(|cell| CellResult::of(cell, rows)).collect();
        Ok(Self { matrix, made, cells })
    }

    /// Cells with at least one row, in the order of the matrix.
    pub fn cells(&self) -> &[CellResult<'a>] {
        &self.cells
    }

    /// A cell's rows.
    pub fn cell(&self, cell: &Cell) -> Option<&CellResult<'a>> {
        self.cells.iter().find(|result| result.cell == *cell)
    }

    /// A cell's rows, if at least one process has numbers that count.
    pub fn measured(&self, cell: &Cell) -> Option<&CellResult<'a>> {
        self.cell(cell).filter(|result| !result.records.is_empty())
    }

    /// The values of an axis that occur, in the order of the matrix.
    pub fn values(&self, axis: &str) -> Vec<&str> {
        let declared = self.matrix.axes().iter().find(|known| known.name == axis);
        let values = declared.into_iter().flat_map(|axis| &axis.values).map(String::as_str);
        values.filter(|value| self.cells.iter().any(|result| result.cell.get(axis) == Some(value))).collect()
    }
}

impl<'a> CellResult<'a> {
    fn of(text: &str, rows: &'a [Row]) -> Option<Self> {
        let cell: Cell = text.parse().ok()?;
        let own = || rows.iter().filter(|row| row.record.cell == text);
        let mut records: Vec<_> = own().filter(|row| row.is_measured()).map(|row| (row.run, &row.record)).collect();
        records.sort_by_key(|(run, _)| *run);
        let faults = own().filter_map(|row| Some(format!("process {}: {}", row.run, row.record.fault()?))).collect();
        own().next().map(|_| Self { cell, records, faults })
    }

    /// A metric over the processes: the median, with the 95 % signed-rank interval where there are enough of them, else
    /// with the smallest and the largest. `None` if no process measured it.
    pub fn metric(&self, name: &str) -> Option<Metric> {
        let first = self.records.iter().find_map(|(_, record)| record.metrics.iter().find(|m| m.name == name))?;
        let values: Vec<f64> = self.records.iter().filter_map(|(_, record)| record.value(name)).collect();
        summary(name, &values, first.unit, first.direction)
    }

    /// The median of a metric over the processes.
    pub fn median(&self, name: &str) -> Option<f64> {
        self.metric(name)?.value
    }

    /// This cell's metric over `other`'s: the median of the ratios of processes with the same run, with its interval.
    /// `None` if no pair measured both.
    pub fn ratio(&self, other: &Self, name: &str) -> Option<Metric> {
        let of = |run: u32| other.records.iter().find(|(theirs, _)| *theirs == run);
        let pairs =
            self.records.iter().filter_map(|(run, record)| Some((record.value(name)?, of(*run)?.1.value(name)?)));
        // Logs, so that a ratio and its reciprocal are treated alike.
        let logs: Vec<f64> = pairs.map(|(own, theirs)| (own / theirs).ln()).filter(|log| log.is_finite()).collect();
        let mut ratio = summary(name, &logs, Unit::Ratio, Direction::Neutral)?;
        for value in [&mut ratio.value, &mut ratio.low, &mut ratio.high] {
            *value = value.map(f64::exp);
        }
        Some(ratio)
    }

    /// The median of the paired shares of a metric's ceiling.
    pub fn share_of_ceiling(&self, name: &str) -> Option<f64> {
        let shares: Vec<f64> = self.records.iter().filter_map(|(_, record)| record.share_of_ceiling(name)).collect();
        stats::median(&shares)
    }

    /// What ran, where all processes say the same; several answers are joined by ` / `.
    pub fn ran(&self, key: &str) -> Option<String> {
        let mut answers: Vec<&str> = Vec::new();
        for (_, record) in &self.records {
            if let Some(answer) = record.ran.get(key).filter(|answer| !answers.contains(&answer.as_str())) {
                answers.push(answer);
            }
        }
        (!answers.is_empty()).then(|| answers.join(" / "))
    }

    /// The proof with the largest error; `None` if a process is unproved.
    pub fn proof(&self) -> Option<&'a Proof> {
        let proofs: Option<Vec<&Proof>> = self.records.iter().map(|(_, record)| record.proof.as_ref()).collect();
        proofs?.into_iter().max_by(|a, b| a.error.unwrap_or(f64::INFINITY).total_cmp(&b.error.unwrap_or(f64::INFINITY)))
    }
}

fn summary(name: &str, values: &[f64], unit: Unit, direction: Direction) -> Option<Metric> {
    let value = stats::median(values)?;
    let interval = stats::signed_rank_interval(values, 0.95).map(|interval| [interval.low, interval.high]);
    let extremes = || values.iter().fold([value; 2], |[low, high], x| [low.min(*x), high.max(*x)]);
    let [low, high] = interval.unwrap_or_else(extremes);
    let (low, high) = if values.len() > 1 { (Some(low), Some(high)) } else { (None, None) };
    Some(Metric { name: name.to_owned(), value: Some(value), unit, direction, n: values.len() as u64, low, high })
}
