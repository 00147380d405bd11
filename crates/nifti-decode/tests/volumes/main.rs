//! The crate against small files of its own making, changed byte by byte where it matters.

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
