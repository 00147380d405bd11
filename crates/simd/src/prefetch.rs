//! Prefetching. A prefetch is a hint: it may name any address, mapped or not, and never faults.

/// Prefetches the cache line of `at` into the level-1 cache. Does nothing where the architecture has no such
/// instruction here.
#[inline(always)]
pub fn prefetch_l1<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch may name any address, and SSE, which has the instruction, is part of x86-64.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Prefetches the cache line of `at` into the level-2 cache. Does nothing where the architecture has no such
/// instruction here.
#[inline(always)]
pub fn prefetch_l2<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch may name any address, and SSE, which has the instruction, is part of x86-64.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
