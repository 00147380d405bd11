//! Operands between inaccessible pages: a kernel that reads or writes one element too many crashes.

use std::ptr;

use attention::{Element, Extents, Mask, Operands, Options, Shape, View, ViewMut};
use half::{bf16, f16};

use crate::check::{LAYS, Lay, named_kernels, own};

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

fn runs_inside<T: Element, O: Element>(shape: Shape, lay: Lay, options: Options<'_>) {
    let Shape { batch, queries, keys, heads, kv_heads, head_dim, value_dim } = shape;
    let q = Extents { batch, tokens: queries, heads, head_dim };
    let k = Extents { batch, tokens: keys, heads: kv_heads, head_dim };
    let (v, out) = (Extents { head_dim: value_dim, ..k }, Extents { head_dim: value_dim, ..q });
    for at_end in [true, false] {
        let mut fences = [q, k, v, out].map(|extents| Fenced::new(lay.span(extents)));
        let [fq, fk, fv, fo] = &mut fences;
        let view = |fence, extents| {
            let memory = Fenced::elements::<T>(fence, lay.span(extents), at_end);
            View::with_strides(memory, extents, lay.strides(extents)).unwrap()
        };
        let (q, k, v) = (view(fq, q), view(fk, k), view(fv, v));
        for (_, kernel) in named_kernels() {
            let memory = fo.elements::<O>(lay.span(out), at_end);
            let view = ViewMut::with_strides(memory, out, lay.strides(out)).unwrap();
            let operands = Operands { options, ..Operands::new(q, k, v, view) };
            kernel.load(&shape.into(), operands).unwrap().run();
        }
    }
}

#[test]
fn no_kernel_leaves_its_operands() {
    for (queries, keys) in [(1, 1), (1, 130), (3, 67), (70, 70), (49, 200)] {
        for (head_dim, value_dim) in [(1, 1), (8, 8), (16, 17), (33, 20), (64, 64), (80, 129)] {
            let shape = Shape { queries, keys, heads: 2, kv_heads: 1, value_dim, ..own(0, head_dim) };
            for lay in LAYS {
                for mask in [Mask::None, Mask::Causal] {
                    let options = Options::NONE.mask(mask);
                    runs_inside::<f32, f32>(shape, lay, options);
                    runs_inside::<f16, bf16>(shape, lay, options);
                    runs_inside::<bf16, f16>(shape, lay, options);
                }
            }
        }
    }
}

/// Padding is not read: here it does not even exist.
#[test]
fn no_kernel_reads_padding() {
    let lengths = [37];
    let shape = Shape { queries: 50, keys: 37, ..own(0, 24) };
    runs_inside::<f32, f32>(shape, Lay::Bhnd, Options::NONE.key_lengths(&lengths));
}
