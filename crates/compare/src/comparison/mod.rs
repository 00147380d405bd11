//! A comparison from two revisions to an entry: place, preparation, pilot, plan, trial, report.

mod absolute;
mod draft;
mod field;
mod inputs;
mod pilot;
mod place;
mod plan;
mod preflight;
mod prepare;
mod run;
mod trial;

pub use field::{Field, Pairing, draw_layouts};
pub use pilot::{Pilot, pilot};
pub use place::{Context, Place, lock};
pub use plan::Plan;
pub use prepare::pilot_one_side;
pub use run::{Options, Purpose, Revisions, run};
pub use trial::{Judged, Means, Trial, trial};
