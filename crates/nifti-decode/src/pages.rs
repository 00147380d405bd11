//! Memory for outputs.

use machine::memory::advise_huge_pages;

use crate::Output;

/// `n` zeros for an output, on huge pages where the system provides them (Linux with transparent huge pages at
/// `madvise` or `always`), and not touched yet. Writing a volume to fresh pages of 4 KiB takes more time in page faults
/// than in the conversion.
pub fn zeroed<D: Output>(n: usize) -> Vec<D> {
    let mut voxels: Vec<D> = bytemuck::allocation::zeroed_vec(n);
    // Below a few huge pages there is nothing to gain.
    if size_of_val(&*voxels) >= 8 << 20 {
        advise_huge_pages(&mut voxels);
    }
    voxels
}
