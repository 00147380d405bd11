//! The meter of the heap, in a process without libtest: its threads allocate when they like.

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;

use machine::heap::{Meter, Metering, UnexpectedLive};

#[global_allocator]
static ALLOCATOR: Metering = Metering;

const MIB: usize = 1 << 20;

fn main() {
    let meter = Meter::find().expect("the allocator is installed");
    let start = meter.live_bytes();

    // Growing, shrinking and zeroed blocks count once each, at their size.
    let mut block: Vec<u8> = Vec::with_capacity(MIB);
    assert_eq!(black_box(&meter).live_bytes() - start, MIB);
    block.reserve_exact(3 * MIB);
    assert_eq!(meter.live_bytes() - start, 3 * MIB);
    block.push(1);
    block.shrink_to_fit();
    assert_eq!(meter.live_bytes() - start, 1);
    drop(block);
    assert_eq!(meter.peak_bytes() - start, 3 * MIB, "a block that moves is not counted twice");
    let zeroed = black_box(vec![0_u64; MIB]);
    assert_eq!(meter.live_bytes() - start, 8 * MIB);
    drop(zeroed);
    assert_eq!(meter.expect_live(start), Ok(()));

    // The peak begins anew.
    meter.reset_peak();
    assert_eq!(meter.peak_bytes(), meter.live_bytes());
    drop(black_box(vec![1_u8; MIB]));
    assert_eq!(meter.peak_bytes() - start, MIB);

    // The canary sees what is kept, and what is gone.
    let kept = black_box(vec![1_u8; 10]);
    assert_eq!(meter.expect_live(start), Err(UnexpectedLive { expected: start, live: start + 10 }));
    drop(kept);
    assert!(meter.expect_live(start + 10).unwrap_err().to_string().contains("were expected"));

    // What the system refuses is not counted.
    let absurd = Layout::from_size_align(isize::MAX as usize - 64, 16).expect("a valid layout");
    // SAFETY: the layout's size is not 0.
    assert!(unsafe { ALLOCATOR.alloc(absurd) }.is_null());
    assert_eq!(meter.expect_live(start), Ok(()));

    // All threads count together.
    meter.reset_peak();
    let blocks: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| black_box(vec![1_u8; MIB]))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it only allocates")).collect()
    });
    assert!(meter.live_bytes() - start >= 8 * MIB && meter.peak_bytes() >= meter.live_bytes());
    drop(blocks);

    #[cfg(target_os = "linux")]
    peak_rss_begins_anew();
}

#[cfg(target_os = "linux")]
fn peak_rss_begins_anew() {
    use machine::noise::{process_counters, reset_peak_rss};
    let peak = || process_counters(std::process::id()).and_then(|counters| counters.vm_hwm_bytes).expect("/proc tells");
    drop(black_box(vec![1_u8; 256 * MIB]));
    let before = peak();
    assert!(before >= 256 * MIB as u64);
    // Some containers forbid it.
    if reset_peak_rss() {
        assert!(peak() < before - 128 * MIB as u64, "{} and {before} bytes", peak());
    }
}
