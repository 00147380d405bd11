//! Compares two revisions of a Cargo workspace by its criterion benchmarks, and can be believed.
//!
//! Read in this order to meet the design: [`comparison::run`] is the story from two revisions to an entry;
//! [`mod@bench`] speaks to one process; [`measure`] makes blocks of processes; [`judge`] makes verdicts of blocks;
//! [`report`] shows and [`log`] keeps them. [`repo`], [`slot`] and [`build`] bring each side to where it can be
//! measured.

pub mod bench;
pub mod build;
pub mod child;
pub mod cli;
pub mod command;
pub mod commands;
pub mod comparison;
pub mod console;
pub mod disk;
pub mod exit;
pub mod instructions;
mod interrupt;
pub mod judge;
pub mod log;
pub mod measure;
pub mod nearest;
pub mod nulls;
pub mod policy;
pub mod repo;
pub mod report;
pub mod settings;
pub mod slot;
