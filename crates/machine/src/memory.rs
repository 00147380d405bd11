//! Aligned memory, on huge pages where asked for: the one place that allocates it.
//!
//! It stands here because the ceilings read from such memory too, and they measure the machine that everything else
//! builds on.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error},
    fmt,
    ops::{Deref, DerefMut},
    ptr::NonNull,
    slice,
};

use bytemuck::Pod;

/// Bytes of a cache line; vectors of up to this size that start on a line straddle none.
pub const CACHE_LINE_BYTES: usize = 64;

/// Bytes of a huge page: that of x86-64, and of aarch64 with pages of 4 KiB.
pub const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Elements in memory of their own, the first on a cache line or on a huge page. Dereferences to a slice.
///
/// ```
/// use machine::memory::Buffer;
/// let mut floats = Buffer::<f32>::zeroed(1000)?;
/// floats[999] = 1.0;
/// assert!(floats.as_ptr().addr().is_multiple_of(64));
/// # Ok::<(), machine::memory::OutOfMemory>(())
/// ```
pub struct Buffer<T> {
    start: NonNull<T>,
    len: usize,
    /// What the elements lie in; `None` where they need no memory.
    allocation: Option<Allocation>,
}

/// Memory was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfMemory {
    /// What was asked for; `usize::MAX` if the number itself does not fit.
    pub bytes: usize,
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no memory for a buffer of {} bytes", self.bytes)
    }
}

impl std::error::Error for OutOfMemory {}

// SAFETY: the buffer owns its memory exclusively, as `Vec` does; sending it sends the elements.
unsafe impl<T: Send> Send for Buffer<T> {}
// SAFETY: a shared buffer gives out shared references to its elements only; there is no interior mutability of its own.
unsafe impl<T: Sync> Sync for Buffer<T> {}

impl<T> Buffer<T> {
    /// No elements, no memory.
    pub const fn new() -> Self {
        Self { start: NonNull::dangling(), len: 0, allocation: None }
    }
}

impl<T: Pod> Buffer<T> {
    /// `len` zeros, the first on a cache line. The memory of a large buffer is not touched yet.
    ///
    /// # Errors
    /// Where memory is refused.
    pub fn zeroed(len: usize) -> Result<Self, OutOfMemory> {
        Self::aligned(len, CACHE_LINE_BYTES)
    }

    /// `len` zeros, the first on a huge page, and advice to the system to use huge pages for all of them; the memory is
    /// rounded up to whole ones. It is not touched yet: the pages will lie near the thread that writes to them first.
    ///
    /// Only advice: a system that does not follow it (THP `never`, no such call) gives small pages.
    ///
    /// # Errors
    /// Where memory is refused.
    pub fn on_huge_pages(len: usize) -> Result<Self, OutOfMemory> {
        let mut buffer = Self::aligned(len, HUGE_PAGE_BYTES)?;
        system::advise_huge_pages(buffer.memory());
        Ok(buffer)
    }

    fn aligned(len: usize, align: usize) -> Result<Self, OutOfMemory> {
        let align = align.max(align_of::<T>());
        let refused = OutOfMemory { bytes: len.saturating_mul(size_of::<T>()) };
        let bytes = refused.bytes.checked_next_multiple_of(align).ok_or(refused)?;
        if bytes == 0 {
            return Ok(Self { len, ..Self::new() });
        }
        let allocation = Allocation::zeroed(bytes, align).ok_or(refused)?;
        Ok(Self { start: allocation.start.cast(), len, allocation: Some(allocation) })
    }

    /// All bytes of the allocation, those beyond the last element included.
    fn memory(&mut self) -> &mut [u8] {
        let bytes = self.allocation.as_ref().map_or(0, |allocation| allocation.bytes);
        // SAFETY: the allocation has so many bytes from `start` on, zeroed when it was made and written as plain data
        // only since then; without an allocation the slice is empty and `start` is aligned and not null.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr().cast(), bytes) }
    }
}

/// Zeroed memory with a boundary of its own.
///
/// For zeros on a wide boundary the standard allocator writes every byte, which touches every page before the advice.
/// So this allocates `align` bytes more on a narrow boundary and starts at the next wide one: large memory then stays
/// untouched.
struct Allocation {
    base: NonNull<u8>,
    layout: Layout,
    /// The first multiple of `align` from `base` on.
    start: NonNull<u8>,
    /// From `start` on; a multiple of `align`.
    bytes: usize,
    align: usize,
}

impl Allocation {
    /// The alignment that `malloc` guarantees.
    const NARROW: usize = 16;

    /// `None` where memory is refused; `bytes` is not 0.
    fn zeroed(bytes: usize, align: usize) -> Option<Self> {
        let layout = Layout::from_size_align(bytes.checked_add(align)?, Self::NARROW).ok()?;
        // SAFETY: the layout's size is not 0, for neither `bytes` nor `align` is.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        let head = base.addr().get().next_multiple_of(align) - base.addr().get();
        // SAFETY: `head` is below `align`, so that `bytes` bytes of the allocation follow.
        let start = unsafe { base.add(head) };
        Some(Self { base, layout, start, bytes, align })
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        // SAFETY: `base` came from the allocator with this layout, and only its owner, who is gone, used it.
        unsafe { dealloc(self.base.as_ptr(), self.layout) }
    }
}

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Memory of the same kind with the same elements. As with `Vec`, the process ends where memory is refused.
impl<T: Pod> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        let Some(Allocation { align, layout, .. }) = self.allocation else {
            return Self { len: self.len, ..Self::new() };
        };
        let copy = if align == HUGE_PAGE_BYTES { Self::on_huge_pages(self.len) } else { Self::zeroed(self.len) };
        let mut copy = copy.unwrap_or_else(|_| handle_alloc_error(layout));
        copy.copy_from_slice(self);
        copy
    }
}

impl<T: fmt::Debug> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `len` elements lie within the allocation, aligned; zeros are a value of every `T` that can be
        // allocated (`Pod`), and without an allocation `len` is 0 or `T` has no size.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: the elements are initialized, see `deref`, and the buffer is borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

/// Advises the system to put the whole pages of `elements` on huge pages. Contents stay; memory that is touched already
/// moves when the system gets to it, so advise first. Does nothing where the system has no such advice, or does not
/// follow it.
///
/// With pages of 4 KiB a pass over main memory pays for page walks, and fresh memory for a fault every 4 KiB.
pub fn advise_huge_pages<T: Pod>(elements: &mut [T]) {
    system::advise_huge_pages(bytemuck::cast_slice_mut(elements));
}

#[cfg(target_os = "linux")]
mod system {
    /// What `madvise` asks the start of a range to be aligned to; a larger base page refuses the advice, and that is
    /// all.
    const PAGE_BYTES: usize = 4096;

    pub(super) fn advise_huge_pages(bytes: &mut [u8]) {
        let head = bytes.as_ptr().align_offset(PAGE_BYTES).min(bytes.len());
        let pages = &mut bytes[head..];
        let whole = pages.len() / PAGE_BYTES * PAGE_BYTES;
        // SAFETY: the range lies within a slice that is borrowed mutably; the advice changes no content.
        unsafe { libc::madvise(pages.as_mut_ptr().cast(), whole, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) fn advise_huge_pages(_bytes: &mut [u8]) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_zeros_on_their_boundary_and_keep_what_is_written() {
        for len in [1, 7, 16, 17, 100_000, 1 << 20] {
            let lines = Buffer::<u16>::zeroed(len).unwrap();
            let huge = Buffer::<u16>::on_huge_pages(len).unwrap();
            for (mut buffer, align) in [(lines, CACHE_LINE_BYTES), (huge, HUGE_PAGE_BYTES)] {
                assert_eq!((buffer.len(), buffer.as_ptr().addr() % align), (len, 0));
                assert!(buffer.iter().all(|&x| x == 0));
                buffer.fill(7);
                let copy = buffer.clone();
                buffer.fill(8);
                assert!(copy.iter().all(|&x| x == 7) && copy.len() == len && copy.as_ptr().addr() % align == 0);
            }
        }
    }

    #[test]
    fn nothing_needs_no_memory() {
        const EMPTY: Buffer<f32> = Buffer::new();
        assert!(EMPTY.is_empty() && EMPTY.clone().is_empty() && Buffer::<u8>::zeroed(0).unwrap().is_empty());
        assert!(Buffer::<u8>::on_huge_pages(0).unwrap().is_empty());
        assert_eq!(Buffer::<[u8; 0]>::zeroed(9).unwrap().clone().len(), 9);
        advise_huge_pages::<f32>(&mut []);
        advise_huge_pages(&mut [1.0_f32; 3]);
    }

    #[test]
    fn absurd_sizes_are_refused() {
        for len in [usize::MAX, isize::MAX as usize, 1 << 61] {
            let bytes = len.saturating_mul(4);
            for refused in [Buffer::<f32>::zeroed(len).err(), Buffer::<f32>::on_huge_pages(len).err()] {
                assert_eq!(refused.map(|refused| refused.bytes), Some(bytes));
            }
        }
    }

    #[test]
    fn advice_keeps_the_contents() {
        let mut values: Vec<u32> = (0..5 << 20).collect();
        advise_huge_pages(&mut values);
        assert!(values.iter().enumerate().all(|(i, &x)| x == i as u32));
    }
}
