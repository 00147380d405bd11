//! Packs: built here, measured on a machine without a toolchain, and brought home.
//!
//! A *pack* is a folder: stripped programs, the files that they read, a manifest, and the program `run`. The manifest
//! ([`manifest`]) says what is measured, in order of importance, and has the checksum of every file. [`mod@pack`]
//! writes one. On the other machine, [`mod@run`] checks it, says what the machine is, and measures unit by unit; each
//! finished unit is one record, a file that appears whole ([`records`]). A run that is cut short continues with the
//! same command. [`mod@import`] checks records against their manifest and keeps them below `baselines/`. [`mod@slurm`]
//! lets the nodes of a cluster measure one.
//!
//! What is measured, and how, is not decided here: `peers` measures its units itself, at home and in a pack. The module
//! of each kind (`kind`) only connects both sides.
#![forbid(unsafe_code)]

mod bench_table;
mod checksum;
mod elf;
mod folder;
pub mod import;
mod kind;
pub mod manifest;
pub mod pack;
pub mod records;
pub mod run;
pub mod slurm;
mod surroundings;
