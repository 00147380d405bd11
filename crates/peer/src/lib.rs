//! The protocol of `cargo xtask peers`: an implementation of an op loads a case, shows its result, and is then timed in
//! bursts.
//!
//! Each implementation, ours included, is a process of its own: some cannot share a dependency graph with ours, some
//! spin in thread pools, and peak memory is known only per process. The parent process sends one JSON object a line;
//! the implementation answers each with one line. Its stderr is for people.
//!
//! | request | answer |
//! |---|---|
//! | `{"do":"describe"}` | `{"name","version","settings"}`, or `{"unavailable"}` with what has to be installed |
//! | `{"do":"cases"}` | `{"ok":{"cases":[{"name","params","tier","regime","threads"}, …]}}`: the op's case table, a list of [`op::CaseRow`] (ours only) |
//! | `{"do":"inputs","case","params","dir"}` | `{"ok":{}}` after it wrote the inputs of the case into `dir` (ours only) |
//! | `{"do":"load","case","params","regime"?,"inputs","output"}` | `{"ok":{"ran","flops"?,"bytes"?,"prepare_s"?}}` after one run whose result is in the file `output`; `{"unsupported"}` or `{"error"}` |
//! | `{"do":"time","seconds"}` | `{"ok":{"iterations","elapsed_s"}}` |
//! | `{"do":"unload"}` | `{"ok":{}}` |
//!
//! A `regime` of `streamed` says that each run takes its operands from main memory: [`Rotation`] has the copies.
//! Without one they stay where the run before left them.
//!
//! The process ends when its stdin ends. The parent compares all results before it times anything, so an implementation
//! cannot gain by solving another problem than ours.
//!
//! ```no_run
//! use peer::{Case, Closures, Description, Implementation, Load, Ran};
//!
//! struct Sum;
//!
//! impl Implementation for Sum {
//!     fn describe(&mut self) -> Result<Description, String> {
//!         Ok(Description::new("sum", "1.0", "one thread"))
//!     }
//!     fn load(&mut self, case: &Case, inputs: &std::path::Path) -> Load<'_> {
//!         let x = peer::read_f32(&inputs.join("x"))?;
//!         let y = std::rc::Rc::new(std::cell::Cell::new(0.0));
//!         let of = y.clone();
//!         let ran = Ran::by("sum", case.text("type")?);
//!         Ok(Closures::boxed(ran, move || y.set(x.iter().sum::<f32>()), move || of.get().to_le_bytes().to_vec()))
//!     }
//! }
//!
//! fn main() -> std::io::Result<()> {
//!     peer::serve(&mut Sum)
//! }
//! ```
#![forbid(unsafe_code)]

mod case;
mod closures;
mod files;
pub mod found;
mod rotation;
mod serve;

use std::path::Path;

pub use case::Case;
pub use closures::{Clocked, Closures, remade};
pub use files::{files_ending, read_f32, read_texts, write, write_texts};
use op::CaseRow;
pub use op::{Loaded, Ran, Regime};
pub use rotation::Rotation;
pub use serve::{serve, threads_argument};

/// An implementation of an op: it loads a case and runs it.
pub trait Implementation {
    /// Name, version and settings. An `Err` says why it cannot run here, and what has to be installed.
    fn describe(&mut self) -> Result<Description, String>;

    /// The cases of the op, in the order of its table. Only our side has them.
    fn cases(&mut self) -> Result<Vec<CaseRow>, Refusal> {
        Err(Refusal::Unsupported("only our own side has a table of cases".to_owned()))
    }

    /// Writes the inputs of a case into `dir`, from seeds: every implementation reads the same bytes. Only our side
    /// writes them.
    fn inputs(&mut self, case: &Case, dir: &Path) -> Result<(), Refusal> {
        let _ = dir;
        Err(Refusal::Unsupported(format!("{}: only our own side writes inputs", case.id)))
    }

    /// Prepares a case: reads its inputs and does what a user does once, such as packing weights. Nothing runs yet.
    fn load(&mut self, case: &Case, inputs: &Path) -> Load<'_>;
}

/// What an implementation reports about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Name as its users write it.
    pub name: String,
    /// Version of what is timed, as the code that runs reports it where it can.
    pub version: String,
    /// Settings: threads, instruction set, features.
    pub settings: String,
}

impl Description {
    /// Name, version and settings.
    pub fn new(name: impl Into<String>, version: impl Into<String>, settings: impl Into<String>) -> Self {
        Self { name: name.into(), version: version.into(), settings: settings.into() }
    }
}

/// A loaded case whose result can be compared with that of another implementation.
pub trait Comparable: Loaded {
    /// The result of the last run as raw little-endian bytes.
    fn output(&mut self) -> Vec<u8>;
}

/// A case that is ready to be timed, or why it is not run.
pub type Load<'a> = Result<Box<dyn Comparable + 'a>, Refusal>;

/// Why a case is not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The implementation has no such operation or type. The row stays in the table and says so.
    Unsupported(String),
    /// The case failed, though the implementation supports it.
    Error(String),
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Self::Error(error.to_string())
    }
}
