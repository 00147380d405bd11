//! Compares revisions of a Cargo workspace.

pub mod command;
pub mod exit;
pub mod repo;
