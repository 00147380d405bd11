//! Memory for outputs.

use crate::Output;

/// `n` zeros for an output, on huge pages where the system provides them (Linux with transparent huge pages at `madvise` or
/// `always`), and not touched yet. Writing a volume to fresh pages of 4 KiB takes more time in page faults than in the
/// conversion.
pub fn zeroed<D: Output>(n: usize) -> Vec<D> {
    let mut voxels = bytemuck::allocation::zeroed_vec(n);
    advise(&mut voxels);
    voxels
}

#[cfg(target_os = "linux")]
fn advise<D>(voxels: &mut [D]) {
    const PAGE: usize = 4096;
    let (start, bytes) = (voxels.as_mut_ptr().cast::<u8>(), size_of_val(voxels));
    let head = start.align_offset(PAGE);
    let pages = bytes.saturating_sub(head) / PAGE * PAGE;
    // Below a few huge pages there is nothing to gain.
    if pages >= 8 << 20 {
        // SAFETY: the range lies within the slice and begins at a page; the advice changes no content.
        unsafe { libc::madvise(start.add(head).cast(), pages, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn advise<D>(_voxels: &mut [D]) {}
