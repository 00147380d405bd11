//! The heap of this process, metered: the model of memory, and what is left after a run. One test, because the meter
//! counts all threads.

use machine::heap::{Meter, Metering};
use multiview::{Aggregator, Config, Keep, Memory, Seeded, Shape, Threads, image};

#[global_allocator]
static ALLOCATOR: Metering = Metering;

/// Lists of buffers, and the rounding of allocations.
const LISTS_BYTES: usize = 8 << 10;

/// What the pool of threads may hold more or less after a run.
const LEFT_BYTES: usize = 16 << 10;

#[test]
fn the_model_of_memory_holds_and_nothing_else_is_left() {
    let meter = Meter::find().expect("the allocator is installed");
    // The pool allocates its threads once.
    rayon::join(|| (), || ());
    for seed in [1, 2] {
        let empty = meter.live_bytes();
        let model = Aggregator::new(&Config::TOY, &Seeded(seed)).unwrap();
        near(meter.live_bytes() - empty, model.bytes(), 0.002);
        for shape in [Shape::square(2, 112), Shape { batch: 2, ..Shape::square(1, 112) }] {
            for keep in Keep::ALL {
                let threads = Threads::new(seed as usize).unwrap();
                let before = meter.live_bytes();
                meter.reset_peak();
                let mut workspace = model.workspace(&shape, threads).unwrap();
                let kept = model.run(|index, values| image(3, index, values), keep, &mut workspace).unwrap();
                let predicted = Memory::predict(&Config::TOY, &shape, keep, threads).unwrap();
                // Without the weights, which are ten times as much and would hide a difference.
                let needed = meter.peak_bytes() - before;
                let expected = predicted.transient() + predicted.kept;
                assert!(needed.abs_diff(expected) <= LISTS_BYTES, "{keep} {shape:?}: {needed} is not {expected}");
                assert_eq!((kept.bytes(), model.bytes()), (predicted.kept, predicted.weights));
                assert!(is_left(before, workspace.bytes() + kept.bytes()).is_ok());

                // The canary: a list that is kept on purpose is seen, and so is one that is missing.
                let retained = model.run(|_, values| values.fill(0.5), keep, &mut workspace).unwrap();
                let expected = workspace.bytes() + kept.bytes();
                assert!(is_left(before, expected).is_err(), "{keep} {shape:?}");
                drop((retained, kept));
                assert!(is_left(before, expected).is_err(), "{keep} {shape:?}");
                drop(workspace);
                assert!(is_left(before, 0).is_ok(), "{keep} {shape:?}");
            }
        }
    }
}

/// An error unless so many bytes are on the heap beyond `before`.
fn is_left(before: usize, bytes: usize) -> Result<(), usize> {
    let left = Meter::find().map_or(0, Meter::live_bytes);
    if left.abs_diff(before + bytes) <= LEFT_BYTES { Ok(()) } else { Err(left) }
}

fn near(got: usize, expected: usize, tolerance: f64) {
    let error = got as f64 / expected as f64 - 1.0;
    assert!(error.abs() <= tolerance, "{got} is not {expected}: {error}");
}
