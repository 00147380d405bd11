//! An allocator that counts: how many heap allocations one iteration makes, and of how many bytes.
//!
//! A bench binary opts in with two lines; without them the allocation columns stay empty ("not measured"), never 0:
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;
//! # drop(vec![1_u8]);
//! # assert!(proof::alloc::is_installed());
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use record::Allocations;

static COUNT: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, counting the calls of all threads. Two relaxed additions per allocation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counting;

/// Allocations of the whole process since its start: calls that allocated or grew a block, and the bytes they asked for
/// (of a grown block the growth). Frees are not counted. Stays at zero where [`Counting`] is not installed.
pub fn total() -> Allocations {
    Allocations { count: COUNT.load(Relaxed), bytes: BYTES.load(Relaxed) }
}

/// Allocations of one call of `f` after a first one: the fewest of three calls. Other threads of the process, such as
/// those of a test harness, may allocate at the same time, which only adds.
pub fn in_steady_state(mut f: impl FnMut()) -> u64 {
    let mut counted = || {
        let before = total().count;
        f();
        total().count - before
    };
    counted();
    (0..3).map(|_| counted()).min().unwrap_or(0)
}

/// Whether [`Counting`] is this process's global allocator: tested by allocating.
pub fn is_installed() -> bool {
    let before = COUNT.load(Relaxed);
    drop(black_box(Box::new(black_box(0_u8))));
    COUNT.load(Relaxed) != before
}

fn count(bytes: usize) {
    COUNT.fetch_add(1, Relaxed);
    BYTES.fetch_add(bytes as u64, Relaxed);
}

// SAFETY: every call goes to `System` with the caller's own arguments; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller upholds the contract of `alloc`, which `System` shares.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller upholds the contract of `alloc_zeroed`, which `System` shares.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: every block of this allocator came from `System` with the caller's layout.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if new_size > layout.size() {
            count(new_size - layout.size());
        }
        // SAFETY: `block` came from `System` with this layout; the caller upholds the bounds on `new_size`.
        unsafe { System.realloc(block, layout, new_size) }
    }
}
