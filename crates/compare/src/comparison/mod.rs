//! A comparison from two revisions to an entry: project, preparation, pilot, plan, trial, report.

mod absolute;
mod bisect;
mod budget;
mod catalog;
mod dropped;
mod entry_builder;
mod inputs;
mod known;
mod list;
mod options;
mod packed;
mod packed_run;
mod paired;
mod pilot;
mod plan;
mod preflight;
mod prepare;
mod project;
mod run;
mod trial;
mod unmatched;

pub use bisect::{Search, Step};
pub(crate) use catalog::target_name;
pub use catalog::{Catalog, Listed, Problem, ProblemKind};
pub use known::{Known, KnownList, KnownTarget, State};
pub use list::{Cost, Item, Listing, list};
pub use options::{Options, Purpose, Revisions};
pub use packed::{PackedComparison, PackedRevision, Put, pack};
pub use packed_run::PackedRun;
pub use paired::{PairedBenches, Pairing, draw_layouts};
pub use pilot::{Pilot, Piloted, pilot};
pub use plan::Plan;
pub use prepare::pilot_one_side;
pub use project::{Invocation, Project, lock, lock_log};
pub use run::{Outcome, run};
pub use trial::{Candidate, Judged, MeasureContext, Trial, trial};
