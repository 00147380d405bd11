//! What is kept of each process of a cell: its record, and where, when and from which revision it came.

use record::CellRecord;
use serde::{Deserialize, Serialize};

/// One process of one cell: a line of `baselines/<machine class>/scenario-NAME.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// [`record::SCHEMA`] of the writer.
    pub schema: u32,
    /// Which process of its cell, from 1. All cells run once before one runs again, so rows of the same number are
    /// paired: they are neighbors in time.
    pub run: u32,
    /// Its place in the random order, from 1.
    pub place: u32,
    /// Begin of the process, UTC.
    pub began: String,
    /// Wall time of the process. Seconds.
    pub process_s: f64,
    /// Where it came from.
    pub made: Provenance,
    /// What the process reported, or the error that stands for it.
    pub record: CellRecord,
}

/// Where a row came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Commit of the state that ran; uncommitted work is a commit too.
    pub revision: String,
    /// The revision for people.
    pub label: String,
    /// Whether there was uncommitted work.
    pub dirty: bool,
    /// Hash of the matrix.
    pub matrix: String,
    /// Hash of the program `assay`: compiler, flags and code.
    pub program: String,
    /// Machine class.
    pub machine: String,
    /// The machine for people.
    pub processor: String,
    /// Version of the compiler.
    pub toolchain: String,
    /// Seed of the order.
    pub seed: u64,
}

impl Provenance {
    /// Whether rows of both may stand in one table: the same code, matrix, compiler and machine class. Labels and the
    /// seed of the order may differ.
    pub fn is_same_state(&self, other: &Self) -> bool {
        let state = |made: &Self| {
            [&made.revision, &made.matrix, &made.program, &made.machine, &made.toolchain].map(String::as_str).join("\n")
        };
        state(self) == state(other)
    }
}

impl Row {
    /// Whether it has numbers that count.
    pub fn is_measured(&self) -> bool {
        self.record.fault().is_none()
    }
}
