//! Tests the counting allocator, installed as in bench binaries. A single test, because the counters are global to the
//! process.

#[global_allocator]
static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;

#[test]
fn allocations_are_counted() {
    assert!(proof::alloc::is_installed());
    // Other threads of the test harness may allocate at the same time, so the counts are lower bounds.
    let before = proof::alloc::total();
    let mut block = std::hint::black_box(Vec::<u8>::with_capacity(1 << 20));
    let after_one = proof::alloc::total();
    assert!(after_one.count > before.count);
    assert!(after_one.bytes - before.bytes >= 1 << 20);
    block.reserve_exact(3 << 20); // grows by 2 MiB
    let grown = proof::alloc::total();
    assert!(grown.count > after_one.count);
    assert!((2 << 20..3 << 20).contains(&(grown.bytes - after_one.bytes)), "{grown:?}");
    drop(std::hint::black_box(vec![0_u64; 1 << 18]));
    assert!(proof::alloc::total().bytes - grown.bytes >= 2 << 20);

    let mut kept = Vec::new();
    assert_eq!(proof::alloc::in_steady_state(|| kept = std::hint::black_box(std::mem::take(&mut kept))), 0);
    assert_eq!(proof::alloc::in_steady_state(|| kept.resize(1, 0_u8)), 0, "only the first call allocates");
    assert!(proof::alloc::in_steady_state(|| drop(std::hint::black_box(Box::new(0_u8)))) >= 1);
}
