//! Operands between pages that cannot be accessed: a kernel that reads or writes one element too many dies of it.

use std::ptr;

use gemm::{MatMut, Operands, kernels};

use crate::check::{Lay, Trial, mat_mut, mat_ref};

/// Memory with an inaccessible page on either side.
struct Fenced {
    base: *mut libc::c_void,
    bytes: usize,
    page: usize,
}

impl Fenced {
    fn new(floats: usize) -> Self {
        // SAFETY: asks for a number.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let bytes = (floats * size_of::<f32>()).next_multiple_of(page) + 2 * page;
        let (access, kind) = (libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at an address of the system's choice.
        let base = unsafe { libc::mmap(ptr::null_mut(), bytes, access, kind, -1, 0) };
        assert_ne!(base, libc::MAP_FAILED, "mmap of {bytes} bytes");
        // SAFETY: the pages between the first and the last belong to the mapping.
        let done = unsafe { libc::mprotect(base.add(page), bytes - 2 * page, libc::PROT_READ | libc::PROT_WRITE) };
        assert_eq!(done, 0, "mprotect");
        Self { base, bytes, page }
    }

    /// `floats` floats that end (or begin) where the accessible pages do.
    fn floats(&mut self, floats: usize, at_end: bool) -> &mut [f32] {
        let inner = self.bytes - 2 * self.page;
        let skip = if at_end { inner - floats * size_of::<f32>() } else { 0 };
        assert!(floats * size_of::<f32>() <= inner);
        // SAFETY: the range lies in the accessible pages, is aligned, borrowed from self, and zeroed by the system.
        unsafe { std::slice::from_raw_parts_mut(self.base.add(self.page + skip).cast(), floats) }
    }
}

impl Drop for Fenced {
    fn drop(&mut self) {
        // SAFETY: this is the whole mapping, and nothing borrows it any more.
        unsafe { libc::munmap(self.base, self.bytes) };
    }
}

#[test]
fn no_kernel_leaves_its_operands() {
    let shapes =
        [(1, 1, 1), (5, 7, 3), (6, 16, 8), (13, 37, 19), (12, 32, 256), (17, 70, 33), (8, 40, 257), (26, 9, 12)];
    for shape @ (m, n, k) in shapes {
        for lays in [[Lay::Rows(0); 3], [Lay::Cols(0); 3], [Lay::Rows(1), Lay::Cols(1), Lay::Rows(2)], [Lay::Apart; 3]]
        {
            for at_end in [true, false] {
                let trial = Trial::new(shape, lays).factors(1.0, 0.5);
                let (a, b) = (trial.a.memory(), trial.b.memory());
                let c_len = lays[2].strides(m, n).2;
                let mut fences = [Fenced::new(a.len()), Fenced::new(b.len()), Fenced::new(c_len)];
                let [fa, fb, fc] = &mut fences;
                let (fa, fb) = (fa.floats(a.len(), at_end), fb.floats(b.len(), at_end));
                fa.copy_from_slice(&a);
                fb.copy_from_slice(&b);
                for kernel in kernels() {
                    let c: MatMut<'_, f32> = mat_mut(fc.floats(c_len, at_end), m, n, lays[2]);
                    let operands = Operands { a: mat_ref(fa, m, k, lays[0]), b: mat_ref(fb, k, n, lays[1]), c };
                    kernel.load(&trial.case, operands).unwrap().run();
                }
            }
        }
    }
}
