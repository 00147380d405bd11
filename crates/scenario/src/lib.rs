//! The grammar of scenarios.
//!
//! A *scenario* is an end-to-end run over a matrix. A *cell* is one point of that matrix. Each of its processes runs it
//! once, with nothing of another cell alive, and leaves one record; a matrix says how many processes a cell has
//! (`runs`). Everything that a program, a person or a batch scheduler must know about them is here:
//!
//! - [`Matrix`]: `benches/scenarios/NAME.toml`, and its cells at three levels, `[smoke]`, `[default]` and `[full]`.
//! - [`Cell`]: `axis=value,…` in the order of the matrix.
//! - [`Unproved`] and [`Measured`]: what a cell says while it runs, proof before time. [`record::CellRecord`] is the
//!   file that it leaves, by rename, also on failure.
//! - [`Row`]: what is kept of each process, with its provenance, in `baselines/<machine class>/scenario-NAME.jsonl`.
//! - [`Results`]: rows by cell, with medians, spreads and paired ratios. [`Report`]: what a scenario makes of them.
//!
//! A program speaks the grammar with three commands. `assay` does, and a matrix may name another program for some of
//! its cells, which needs only the second:
//!
//! ```text
//! assay cells NAME [--smoke|--full] [--set axis=value,…]   the cells, one a line
//! assay cell NAME CELL --out FILE                          runs one; its record in FILE, by rename, also on failure
//! assay report NAME [--rows FILE] [--out DIR]              rows to Markdown and figures
//! ```
//!
//! `--set axis=PATH` selects the value `own` of an axis. The path is in [`OWN_PATH`], a variable of the cell's
//! environment.
//!
//! The matrix is part of the program, so a cell needs nothing but the program: it can be a task of a batch scheduler.
//! `cargo xtask run NAME` (crate `scenarios`) starts the cells, each in a process group of its own with a time limit,
//! in random order, and keeps their rows. A process that ends without its file becomes a row with an error: its status
//! and last lines. So does every process whose output breaks a promise of the matrix ([`disagreements`]).
//! `cargo xtask run NAME --render` makes the kept reports again from their rows. `cargo xtask compare --scenario NAME`
//! runs the same cells of two revisions in turns and judges their primary metric.
#![forbid(unsafe_code)]

mod bursts;
mod cell;
mod hash;
mod matrix;
mod measure;
mod report;
mod results;
mod row;

pub use bursts::Bursts;
pub use cell::{Cell, CellError, MAX_CELL_BYTES, MAX_WORD_BYTES};
pub use hash::of as hash;
pub use matrix::{Axis, Level, MAX_CELLS, Matrix, MatrixError, Program, SelectError, Setting};
pub use measure::{MeasureError, Measured, PEAK_HEAP, PEAK_RSS, Unproved, Wrong};
pub use record::{OWN_PATH, QUALITY_HASH};
pub use report::{Figure, Report, with_spread};
pub use results::{CellResult, Results, ResultsError, disagreements};
pub use row::{Provenance, Row};

/// Where the matrix of a scenario lies below the root of the workspace.
pub fn matrix_path(scenario: &str) -> String {
    format!("benches/scenarios/{scenario}.toml")
}

/// Where the rows of a scenario lie below the root of the workspace; the report and its figures lie beside them.
pub fn rows_path(class: &str, scenario: &str) -> String {
    format!("baselines/{class}/scenario-{scenario}.jsonl")
}
