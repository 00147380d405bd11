//! Stores around the caches, where the instruction set has them.

use simd::{Dispatch, InstructionSet, Portable};

#[cfg(target_arch = "x86_64")]
use super::avx2;

/// Copies `src` to `dst`, which has the same length, past the caches. Visible to other threads after [`fence`].
pub(super) fn copy(simd: InstructionSet, src: &[u8], dst: &mut [u8]) {
    simd.dispatch(Copy { src, dst });
}

/// Makes the stores of [`copy`] visible to other threads.
pub(super) fn fence(simd: InstructionSet) {
    simd.dispatch(Fence);
}

struct Copy<'a> {
    src: &'a [u8],
    dst: &'a mut [u8],
}

impl Dispatch for Copy<'_> {
    type Output = ();

    fn portable(self, _: Portable) {
        self.dst.copy_from_slice(self.src);
    }

    #[cfg(target_arch = "x86_64")]
    fn avx2(self, token: simd::Avx2) {
        avx2::stream(token, self.src, self.dst);
    }
}

struct Fence;

impl Dispatch for Fence {
    type Output = ();

    fn portable(self, _: Portable) {}

    #[cfg(target_arch = "x86_64")]
    fn avx2(self, token: simd::Avx2) {
        avx2::fence(token);
    }
}
