//! What this process's heap holds: live bytes and their peak.
//!
//! A program opts in with two lines. [`Meter`] is the proof that it did, so that "not measured" and 0 stay apart:
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: machine::heap::Metering = machine::heap::Metering;
//!
//! let meter = machine::heap::Meter::find().expect("the allocator is installed");
//! let before = meter.live_bytes();
//! let block = std::hint::black_box(vec![1_u8; 1 << 20]);
//! assert_eq!(meter.live_bytes() - before, 1 << 20);
//! drop(block);
//! meter.expect_live(before).expect("nothing is left");
//! assert!(meter.peak_bytes() >= before + (1 << 20));
//! ```
//!
//! Counted are the bytes that the program asks for, not those that the system's allocator adds or keeps, and not mapped
//! files. So the figures are the same on every machine, and a model of memory can be compared with them to the byte.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, metered: one relaxed addition for each call, and a second write only where the peak rises.
#[derive(Clone, Copy, Debug, Default)]
pub struct Metering;

/// Reads the meter of this process. The figures are those of all threads together; let the others rest where they
/// matter.
#[derive(Clone, Copy, Debug)]
pub struct Meter(());

/// More or fewer bytes are live than expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnexpectedLive {
    /// Bytes that were expected.
    pub expected: usize,
    /// Bytes that are live.
    pub live: usize,
}

impl fmt::Display for UnexpectedLive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, live } = self;
        write!(f, "{live} bytes of the heap are in use, {expected} were expected")
    }
}

impl std::error::Error for UnexpectedLive {}

impl Meter {
    /// The meter, if [`Metering`] is this process's global allocator: tested by allocating.
    pub fn find() -> Option<Self> {
        let before = LIVE.load(Relaxed);
        let probe = black_box(Box::new(black_box(0_u8)));
        // Other threads may free at this moment; a program with the meter holds something, and one without never does.
        let counted = LIVE.load(Relaxed) != before || PEAK.load(Relaxed) != 0;
        drop(probe);
        counted.then_some(Self(()))
    }

    /// Bytes in use now.
    pub fn live_bytes(self) -> usize {
        LIVE.load(Relaxed)
    }

    /// The most bytes in use at once since the process began, or since the last [`reset_peak`](Self::reset_peak).
    pub fn peak_bytes(self) -> usize {
        PEAK.load(Relaxed)
    }

    /// Lets the peak begin anew from what is in use now.
    pub fn reset_peak(self) {
        PEAK.store(LIVE.load(Relaxed), Relaxed);
    }

    /// The leak canary: an error unless exactly `expected` bytes are in use. Take the number from
    /// [`live_bytes`](Self::live_bytes) before the work.
    ///
    /// # Errors
    /// [`UnexpectedLive`] with both numbers.
    pub fn expect_live(self, expected: usize) -> Result<(), UnexpectedLive> {
        let live = self.live_bytes();
        if live == expected { Ok(()) } else { Err(UnexpectedLive { expected, live }) }
    }
}

fn grow(bytes: usize) {
    // What the addition gives was the counter's value at one moment, so the largest of all threads is the true peak.
    let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
    if live > PEAK.load(Relaxed) {
        PEAK.fetch_max(live, Relaxed);
    }
}

fn shrink(bytes: usize) {
    LIVE.fetch_sub(bytes, Relaxed);
}

// SAFETY: every call goes to `System` with the caller's own arguments; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Metering {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds the contract of `alloc`, which `System` shares.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() {
            grow(layout.size());
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds the contract of `alloc_zeroed`, which `System` shares.
        let block = unsafe { System.alloc_zeroed(layout) };
        if !block.is_null() {
            grow(layout.size());
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // First, so that a thread that gets the block next does not raise the peak with it.
        shrink(layout.size());
        // SAFETY: every block of this allocator came from `System` with the caller's layout.
        unsafe { System.dealloc(block, layout) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: `block` came from `System` with this layout; the caller upholds the bounds on `new_size`.
        let moved = unsafe { System.realloc(block, layout, new_size) };
        if !moved.is_null() {
            // One step, so that a moved block is never counted twice.
            if new_size >= layout.size() {
                grow(new_size - layout.size());
            } else {
                shrink(layout.size() - new_size);
            }
        }
        moved
    }
}
