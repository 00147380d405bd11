//! Memory to read from: on huge pages where the system gives them, touched, and different in every line.

use std::{
    alloc::{Layout, alloc, dealloc},
    ops::Deref,
    ptr::NonNull,
    slice,
};

use super::Unavailable;

/// 64 bytes, the unit of the loops: one cache line or half of one.
///
/// Its words add up to [`WORDS`](Self::WORDS) in wrapping arithmetic, so a sum over lines counts the words that were read; and
/// no two lines near each other are equal, so nothing below (a host that merges equal pages) can store them as one.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u32; Line::WORDS]);

impl Line {
    /// Words of a line.
    pub(super) const WORDS: usize = 16;

    fn numbered(i: usize) -> Self {
        let noise = (i as u32 + 1).wrapping_mul(0x9e37_79b9);
        let mut words = [noise; Self::WORDS];
        words[Self::WORDS / 2..].fill(2u32.wrapping_sub(noise));
        Self(words)
    }
}

/// Alignment and granularity: the huge page of x86-64 and of aarch64 with 4 KiB pages.
const PAGE_BYTES: usize = 2 << 20;

/// Lines that this process has to itself.
pub(super) struct Buffer {
    start: NonNull<Line>,
    len: usize,
    layout: Layout,
}

// SAFETY: the buffer owns its memory and gives out shared references to plain words only.
unsafe impl Send for Buffer {}
// SAFETY: as above; nothing writes after construction.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// At least one line, rounded down to whole lines; touched by the calling thread, near which it then lies.
    pub(super) fn new(bytes: usize) -> Result<Self, Unavailable> {
        let refused = Unavailable::Memory { bytes };
        let len = (bytes / size_of::<Line>()).max(1);
        let Some(rounded) = (len * size_of::<Line>()).checked_next_multiple_of(PAGE_BYTES) else { return Err(refused) };
        let Ok(layout) = Layout::from_size_align(rounded, PAGE_BYTES) else { return Err(refused) };
        // SAFETY: the layout's size is at least one page.
        let Some(start) = NonNull::new(unsafe { alloc(layout) }) else { return Err(refused) };
        advise_huge_pages(start, rounded);
        let start = start.cast::<Line>();
        for i in 0..len {
            // SAFETY: `len` lines lie within the allocation, which is aligned for a line.
            unsafe { start.add(i).write(Line::numbered(i)) };
        }
        Ok(Self { start, len, layout })
    }
}

impl Deref for Buffer {
    type Target = [Line];

    fn deref(&self) -> &[Line] {
        // SAFETY: `len` lines were initialized in `new` and live until `drop`.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.start.as_ptr().cast(), self.layout) }
    }
}

/// Asks for huge pages: with pages of 4 KiB a loop over main memory measures page walks too. Only advice; a system that does not
/// follow it (THP `never`, no such call) leaves the figures lower and says so in its fingerprint.
#[cfg(target_os = "linux")]
fn advise_huge_pages(start: NonNull<u8>, bytes: usize) {
    // SAFETY: the range is one allocation of ours, aligned to a huge page; the advice changes no content.
    unsafe { libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise_huge_pages(_start: NonNull<u8>, _bytes: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_themselves_and_differ() {
        let buffer = Buffer::new(1 << 20).unwrap();
        assert_eq!(buffer.len(), (1 << 20) / 64);
        for line in &*buffer {
            assert_eq!(line.0.iter().fold(0, |sum: u32, &word| sum.wrapping_add(word)), Line::WORDS as u32);
        }
        let mut noise: Vec<u32> = buffer.iter().map(|line| line.0[0]).collect();
        noise.sort_unstable();
        noise.dedup();
        assert_eq!(noise.len(), buffer.len());
    }

    #[test]
    fn absurd_sizes_are_refused() {
        for bytes in [usize::MAX, isize::MAX as usize, 1 << 62] {
            assert!(matches!(Buffer::new(bytes), Err(Unavailable::Memory { bytes: refused }) if refused == bytes));
        }
        assert_eq!(Buffer::new(0).unwrap().len(), 1);
    }
}
