//! The matrix of a scenario: its cells, at three levels, and what holds for each of them.
//!
//! ```toml
//! title = "Loading a GGUF file"     # heading of the report
//! primary = "load_s"                # the metric that a comparison judges
//! runs = 5                          # processes of each cell; [smoke] runs each once
//! limit_s = 60                      # time limit of one process
//!
//! [[axis]]                          # axes in the order in which a cell names them, with all their values
//! name = "access"
//! values = ["map", "read"]
//!
//! [[axis]]
//! name = "size_mib"
//! values = [4, 64, 1024]
//!
//! [smoke]                           # what CI runs: seconds
//! size_mib = [4]
//!
//! [default]                         # what `cargo xtask run` runs: minutes; may be left out, then it is [full]
//! size_mib = [4, 64]
//!
//! [full]                            # with --full; an axis that a level does not name has all its values
//!
//! [[rule]]                          # for the cells that match: exclude, limit_s or program; the last rule wins
//! when = { size_mib = 1024, access = "read" }
//! exclude = "it would read the disk for minutes"
//!
//! [[same]]                          # a promise: cells that differ only in these values give outputs of the same bits
//! axis = "access"
//! values = ["map", "read"]
//! ```
//!
//! A level is a product of values; `[[full]]`, written several times, is the union of several products. Values are
//! text; whole numbers may stand without quotes.

mod parse;
mod select;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cell::{Cell, CellError};

pub use parse::MatrixError;
pub use select::{SelectError, Setting};

/// The most cells that a level may have, before cells are excluded.
pub const MAX_CELLS: usize = 4096;

/// Which cells of a matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Level {
    /// A few small cells that CI runs.
    Smoke,
    /// What is measured unless something else is asked for.
    #[default]
    Default,
    /// All.
    Full,
}

impl Level {
    /// All levels, the smallest first.
    pub const ALL: [Self; 3] = [Self::Smoke, Self::Default, Self::Full];

    /// Its name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Default => "default",
            Self::Full => "full",
        }
    }
}

/// A dimension of a matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Its name.
    pub name: String,
    /// All values that it may have, in order.
    pub values: Vec<String>,
}

/// A program that runs cells in place of `assay`: it is called as `COMMAND… cell NAME CELL --out FILE`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Its name in rules and reports.
    pub name: String,
    /// Directory that it is built and started in, below the root of the workspace.
    pub dir: String,
    /// Program and first arguments. A relative path with a `/` is taken from `dir`.
    pub command: Vec<String>,
    /// Command that builds it in `dir`; empty if it needs none.
    #[serde(default)]
    pub build: Vec<String>,
}

/// What holds for cells that match.
#[derive(Clone, Debug, PartialEq)]
struct Rule {
    /// For each axis that it names, the values that match.
    when: BTreeMap<String, Vec<String>>,
    /// The reason to leave the cells out.
    exclude: Option<String>,
    limit_s: Option<f64>,
    program: Option<String>,
}

impl Rule {
    fn matches(&self, cell: &Cell) -> bool {
        let has = |(axis, values): (&String, &Vec<String>)| {
            cell.get(axis).is_some_and(|value| values.iter().any(|listed| listed == value))
        };
        self.when.iter().all(has)
    }
}

/// A promise about outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Same {
    axis: String,
    /// At least two.
    values: Vec<String>,
}

/// A checked matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Heading of the report.
    pub title: String,
    /// Name of the metric that a comparison judges.
    pub primary: String,
    /// Processes of each cell.
    pub runs: u32,
    /// Hash of the text, 16 hexadecimal digits: rows of another matrix are not mixed with rows of this one.
    pub hash: String,
    limit_s: f64,
    axes: Vec<Axis>,
    /// The cells of each level, in the order of [`Level::ALL`].
    levels: [Vec<Cell>; 3],
    rules: Vec<Rule>,
    programs: Vec<Program>,
    same: Vec<Same>,
}

impl Matrix {
    /// Reads and checks a matrix.
    ///
    /// # Errors
    /// [`MatrixError`] says which rule of the grammar the text breaks, and where.
    pub fn parse(text: &str) -> Result<Self, MatrixError> {
        parse::matrix(text)
    }

    /// The axes in order.
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// The cells of a level, in order.
    pub fn level(&self, level: Level) -> &[Cell] {
        &self.levels[level as usize]
    }

    /// The cells of a level that the settings leave.
    ///
    /// # Errors
    /// [`SelectError`]: an axis or a value that is not there, or no cell left.
    pub fn select(&self, level: Level, settings: &[Setting]) -> Result<Vec<Cell>, SelectError> {
        select::cells(self, level, settings)
    }

    /// The cell that a text names, if it is one of any level; the order of its parts does not matter.
    ///
    /// # Errors
    /// [`SelectError::Cell`] and [`SelectError::Unknown`].
    pub fn find(&self, text: &str) -> Result<Cell, SelectError> {
        let cell: Cell = text.parse()?;
        let unknown = || SelectError::Unknown { cell: text.to_owned() };
        let ordered: Option<Vec<_>> =
            self.axes.iter().map(|axis| Some((axis.name.clone(), cell.get(&axis.name)?))).collect();
        let same_axes = cell.parts().count() == self.axes.len();
        let cell = Cell::new(ordered.filter(|_| same_axes).ok_or_else(unknown)?)?;
        if self.levels.iter().any(|level| level.contains(&cell)) { Ok(cell) } else { Err(unknown()) }
    }

    /// Time limit of one process of a cell.
    pub fn limit(&self, cell: &Cell) -> Duration {
        Duration::from_secs_f64(self.last(cell, |rule| rule.limit_s).unwrap_or(self.limit_s))
    }

    /// The program that runs a cell; `None` for `assay` itself.
    pub fn program(&self, cell: &Cell) -> Option<&Program> {
        let name = self.last(cell, |rule| rule.program.as_deref())?;
        self.programs.iter().find(|program| program.name == name)
    }

    /// All programs other than `assay`.
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// A cell that stands for all cells whose output is promised to have the same bits as that of `cell`; `None` if
    /// nothing is promised of it. The promises are the tables `[[same]]`.
    pub fn same_output(&self, cell: &Cell) -> Option<Cell> {
        let is_named = |same: &&Same| cell.get(&same.axis).is_some_and(|value| same.values.iter().any(|v| v == value));
        let named: Vec<&Same> = self.same.iter().filter(is_named).collect();
        let stand_in = |of: Cell, same: &&Same| of.with(&same.axis, &same.values[0]);
        (!named.is_empty()).then(|| named.iter().fold(cell.clone(), stand_in))
    }

    /// What the last matching rule that says something says.
    fn last<'a, T>(&'a self, cell: &Cell, what: impl Fn(&'a Rule) -> Option<T>) -> Option<T> {
        self.rules.iter().rev().filter(|rule| rule.matches(cell)).find_map(what)
    }
}

impl From<CellError> for SelectError {
    fn from(error: CellError) -> Self {
        Self::Cell(error)
    }
}

/// All combinations of values, the first axis slowest.
fn product(axes: &[(String, Vec<String>)]) -> Result<Vec<Cell>, CellError> {
    let mut rows: Vec<Vec<(&str, &str)>> = vec![Vec::new()];
    for (axis, values) in axes {
        let mut longer = Vec::with_capacity(rows.len() * values.len());
        for row in &rows {
            for value in values {
                let mut row = row.clone();
                row.push((axis, value));
                longer.push(row);
            }
        }
        rows = longer;
    }
    rows.into_iter().map(Cell::new).collect()
}
