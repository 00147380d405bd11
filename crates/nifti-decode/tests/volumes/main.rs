//! Tests of the crate on small files that it wrote itself, with changes to single bytes.

mod cached;
mod convert;
mod gzip;
mod headers;
mod hostile;
mod imported;
mod losses;
mod made;
mod pairs;
mod phantoms;
mod region;
mod reorient;
mod round_trip;
mod statistics;
mod truncated;
mod views;
