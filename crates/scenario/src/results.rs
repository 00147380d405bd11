//! Rows by cell: medians over processes, paired ratios, shares of ceilings.

use std::collections::BTreeMap;

use record::{CellRecord, Direction, Metric, Output, Proof, Unit, stats, unequal};

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
    /// Seeds of the order of the processes: several, if the run was interrupted.
    pub seeds: Vec<u64>,
    /// Begin of the first process, UTC.
    pub began: &'a str,
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

/// The rows whose outputs break a promise of the matrix (`[[same]]`), by place, each with the reason.
pub fn disagreements(matrix: &Matrix, rows: &[Row]) -> BTreeMap<usize, String> {
    let output = |(place, row): (usize, &Row)| {
        let hash = row.record.proof.as_ref()?.output_hash.clone()?;
        let promise = matrix.same_output(&row.record.cell.parse().ok()?)?.to_string();
        let name = format!("`{}`, process {},", row.record.cell, row.run);
        Some(Output { place, promise, hash, name })
    };
    let measured = rows.iter().enumerate().filter(|(_, row)| row.is_measured());
    unequal(&measured.filter_map(output).collect::<Vec<_>>())
}

impl<'a> Results<'a> {
    /// Sorts rows by cell, in the order of the matrix. Cells that the matrix no longer has come last. Numbers of
    /// [`disagreements`] do not count.
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
        let disagreements = disagreements(matrix, rows);
        let cells = order.iter().filter_map(|cell| CellResult::of(cell, rows, &disagreements)).collect();
        let mut seeds: Vec<u64> = Vec::new();
        for row in rows {
            if !seeds.contains(&row.made.seed) {
                seeds.push(row.made.seed);
            }
        }
        let began = rows.iter().map(|row| row.began.as_str()).min().unwrap_or_default();
        Ok(Self { matrix, made, seeds, began, cells })
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
    fn of(text: &str, rows: &'a [Row], disagreements: &BTreeMap<usize, String>) -> Option<Self> {
        let cell: Cell = text.parse().ok()?;
        let mut result = Self { cell, records: Vec::new(), faults: Vec::new() };
        for (place, row) in rows.iter().enumerate().filter(|(_, row)| row.record.cell == text) {
            match row.record.fault().or_else(|| disagreements.get(&place).map(String::as_str)) {
                Some(fault) => result.faults.push(format!("process {}: {fault}", row.run)),
                None => result.records.push((row.run, &row.record)),
            }
        }
        result.records.sort_by_key(|(run, _)| *run);
        (!result.records.is_empty() || !result.faults.is_empty()).then_some(result)
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

    /// Logarithms of this cell's metric over `other`'s, of each pair of processes with the same run. In logarithms a
    /// ratio and its reciprocal are treated alike; those of several cells may be pooled for
    /// [`record::stats::signed_rank_interval`].
    pub fn log_ratios(&self, other: &Self, name: &str) -> Vec<f64> {
        let of = |run: u32| other.records.iter().find(|(theirs, _)| *theirs == run);
        let pairs =
            self.records.iter().filter_map(|(run, record)| Some((record.value(name)?, of(*run)?.1.value(name)?)));
        pairs.map(|(own, theirs)| (own / theirs).ln()).filter(|log| log.is_finite()).collect()
    }

    /// This cell's metric over `other`'s: the median of the ratios of processes with the same run, with its interval.
    /// `None` if no pair measured both.
    pub fn ratio(&self, other: &Self, name: &str) -> Option<Metric> {
        let logs = self.log_ratios(other, name);
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

    /// The hash of the output, if all processes report the same one.
    pub fn output_hash(&self) -> Option<&'a str> {
        let hash = |record: &'a CellRecord| record.proof.as_ref()?.output_hash.as_deref();
        let (_, first) = self.records.first()?;
        hash(first).filter(|first| self.records.iter().all(|(_, record)| hash(record) == Some(*first)))
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
