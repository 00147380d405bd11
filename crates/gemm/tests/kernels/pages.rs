//! Operands between inaccessible pages: a kernel that reads or writes one element too many crashes.

use std::ptr;

use gemm::{Element, Operands, kernels, paths};
use half::{bf16, f16};

use crate::check::{Lay, Trial, mat_mut, mat_ref};

/// Memory with an inaccessible page on either side.
struct Fenced {
    base: *mut libc::c_void,
    bytes: usize,
    page: usize,
}

impl Fenced {
    fn new(floats: usize) -> Self {
        // SAFETY: sysconf only returns a number.
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

    /// `len` elements, whose bits are 0, at the end (or the beginning) of the accessible pages.
    fn elements<T: Element>(&mut self, len: usize, at_end: bool) -> &mut [T] {
        let inner = self.bytes - 2 * self.page;
        let bytes = len * size_of::<T>();
        let skip = if at_end { inner - bytes } else { 0 };
        assert!(bytes <= inner);
        // SAFETY: the range is inside the accessible pages, aligned, and borrowed from self; any bits are a valid
        // number.
        unsafe { std::slice::from_raw_parts_mut(self.base.add(self.page + skip).cast(), len) }
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
    let shapes = [
        (1, 1, 1),
        (1, 37, 19),
        (37, 1, 130),
        (3, 40, 133),
        (5, 7, 3),
        (6, 16, 8),
        (13, 37, 19),
        (12, 32, 256),
        (17, 70, 33),
        (8, 40, 257),
        (26, 9, 12),
    ];
    for shape @ (m, n, k) in shapes {
        for lays in [
            [Lay::Rows(0); 3],
            [Lay::Cols(0); 3],
            [Lay::Rows(0), Lay::Cols(0), Lay::Rows(0)],
            [Lay::Rows(1), Lay::Cols(1), Lay::Rows(2)],
            [Lay::Apart; 3],
        ] {
            for at_end in [true, false] {
                let trial = Trial::new(shape, lays).factors(1.0, 0.5);
                let c_len = lays[2].strides(m, n).2;
                let [a_len, b_len] = [lays[0].strides(m, k).2, lays[1].strides(k, n).2];
                let mut fences = [Fenced::new(a_len), Fenced::new(b_len), Fenced::new(c_len)];
                let [fa, fb, fc] = &mut fences;
                let (a, b) = (fa.elements::<f32>(a_len, at_end), fb.elements::<f32>(b_len, at_end));
                for kernel in kernels().into_iter().chain(paths().into_iter().map(|(_, kernel)| kernel)) {
                    let c = mat_mut(fc.elements::<f32>(c_len, at_end), m, n, lays[2]);
                    let operands = Operands::new(mat_ref(a, m, k, lays[0]), mat_ref(b, k, n, lays[1]), c);
                    kernel.load(&trial.case, operands).unwrap().run();
                }
            }
        }
    }
}

/// 16-bit types have loads and stores of their own.
#[test]
fn no_kernel_leaves_its_halves() {
    for shape @ (m, n, k) in [(1, 37, 19), (37, 1, 130), (3, 40, 133), (13, 37, 19), (12, 64, 256), (8, 40, 257)] {
        for lays in [[Lay::Rows(0); 3], [Lay::Cols(0); 3], [Lay::Rows(0), Lay::Cols(0), Lay::Rows(0)]] {
            let trial = Trial::new(shape, lays).factors(1.0, 0.5);
            let mut fences = [Fenced::new(m * k), Fenced::new(k * n), Fenced::new(m * n)];
            let [fa, fb, fc] = &mut fences;
            let (a, b) = (fa.elements::<bf16>(m * k, true), fb.elements::<f16>(k * n, true));
            for kernel in kernels().into_iter().chain(paths().into_iter().map(|(_, kernel)| kernel)) {
                let c = mat_mut(fc.elements::<f16>(m * n, true), m, n, lays[2]);
                let operands = Operands::new(mat_ref(a, m, k, lays[0]), mat_ref(b, k, n, lays[1]), c);
                kernel.load(&trial.case, operands).unwrap().run();
            }
        }
    }
}
