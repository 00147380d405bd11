//! The algorithms, one file each. `kernel/cpu.rs` chooses among them.

use op::Workspace;

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
pub(crate) mod rows;
pub(crate) mod tiles;

/// As many floats in whole cache lines; more than any memory has if that overflows.
fn lines(floats: usize) -> usize {
    floats.checked_next_multiple_of(Workspace::LINE).unwrap_or(usize::MAX)
}
