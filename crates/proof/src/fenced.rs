//! Memory between inaccessible pages: a kernel that reads or writes one element too many crashes.
//!
//! [`Guarded`](crate::guarded::Guarded) finds writes beside an output, in any run. This finds reads too, at the price
//! of a mapping for each operand, so tests use it and benches do not.

use std::{marker::PhantomData, ptr};

use bytemuck::Pod;

/// Memory with an inaccessible page on either side.
pub struct Fenced {
    base: *mut libc::c_void,
    /// Of the whole mapping.
    bytes: usize,
    page: usize,
    owned: PhantomData<Box<[u8]>>,
}

impl Fenced {
    /// Room for `bytes` bytes, all 0.
    ///
    /// # Panics
    /// Where the system refuses the mapping.
    pub fn new(bytes: usize) -> Self {
        // SAFETY: sysconf only returns a number.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let bytes = bytes.next_multiple_of(page) + 2 * page;
        let (access, kind) = (libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at an address of the system's choice.
        let base = unsafe { libc::mmap(ptr::null_mut(), bytes, access, kind, -1, 0) };
        assert_ne!(base, libc::MAP_FAILED, "mmap of {bytes} bytes");
        // SAFETY: the pages between the first and the last belong to the mapping.
        let done = unsafe { libc::mprotect(base.add(page), bytes - 2 * page, libc::PROT_READ | libc::PROT_WRITE) };
        assert_eq!(done, 0, "mprotect");
        Self { base, bytes, page, owned: PhantomData }
    }

    /// Room for `len` elements.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn of<T: Pod>(len: usize) -> Self {
        Self::new(len * size_of::<T>())
    }

    /// `len` elements at the end (or the beginning) of the accessible pages.
    ///
    /// # Panics
    /// Where there is no room for them.
    pub fn elements<T: Pod>(&mut self, len: usize, at_end: bool) -> &mut [T] {
        let inner = self.bytes - 2 * self.page;
        let bytes = len * size_of::<T>();
        assert!(bytes <= inner, "{bytes} bytes of {inner}");
        let skip = if at_end { inner - bytes } else { 0 };
        // SAFETY: the range is inside the accessible pages, and borrowed from self. A page's end is a multiple of every
        // size of a number, so the first element is aligned. Any bits are a valid `Pod`.
        unsafe { std::slice::from_raw_parts_mut(self.base.add(self.page + skip).cast(), len) }
    }
}

impl Drop for Fenced {
    fn drop(&mut self) {
        // SAFETY: this is the whole mapping, and nothing borrows it any more.
        unsafe { libc::munmap(self.base, self.bytes) };
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn elements_lie_at_either_end() {
        let mut fenced = Fenced::of::<f32>(1000);
        fenced.elements::<f32>(1000, true).fill(1.0);
        assert_eq!(fenced.elements::<f32>(1000, true), [1.0; 1000]);
        let page = fenced.page;
        assert_eq!(fenced.elements::<u16>(3, false).as_ptr().addr() % page, 0);
        assert_eq!(fenced.elements::<u16>(3, true).as_ptr_range().end.addr() % page, 0);
    }

    /// One element beyond either end. A crash ends a process, so this test starts itself for it.
    #[test]
    fn one_element_beyond_crashes() {
        const BEYOND: &str = "FENCED_BEYOND";
        if let Ok(end) = std::env::var(BEYOND) {
            let mut fenced = Fenced::of::<f32>(7);
            let elements = fenced.elements::<f32>(7, end == "after");
            let beyond = if end == "after" { elements.as_ptr_range().end } else { elements.as_ptr().wrapping_sub(1) };
            // SAFETY: the address is inside the mapping, on a page without access: the read ends this process.
            let read = unsafe { beyond.read_volatile() };
            unreachable!("{read} was read");
        }
        let test = "fenced::tests::one_element_beyond_crashes";
        for end in ["before", "after"] {
            let own = std::env::current_exe().unwrap();
            let ran = Command::new(own).args(["--exact", test]).env(BEYOND, end).output().unwrap();
            assert_eq!(
                std::os::unix::process::ExitStatusExt::signal(&ran.status),
                Some(libc::SIGSEGV),
                "{end}: {ran:?}"
            );
        }
    }
}
