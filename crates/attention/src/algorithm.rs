//! The algorithms, one file each. `kernel/cpu.rs` chooses among them.

pub(crate) mod rows;
pub(crate) mod tiles;
