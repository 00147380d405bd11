//! The batches that criterion runs, and which of them it records.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use record::{Allocations, Unit, stats};

use super::Subject;
use super::inject::spin;
use super::rates::Formatter;
use crate::alloc;

#[derive(Clone, Copy, Debug)]
struct Batch {
    iters: u64,
    time: Duration,
    allocations: Allocations,
}

/// The batches of the bench at hand.
#[derive(Debug, Default)]
pub(super) struct Batches {
    /// Time of the very first call: one iteration.
    first: Duration,
    /// The latest batch, until criterion records it or runs another one.
    latest: Option<Batch>,
    recorded: Vec<Batch>,
    is_counting: bool,
}

impl Batches {
    pub(super) fn clear(&mut self) {
        *self = Self { is_counting: alloc::is_installed(), ..Self::default() };
    }

    /// Times one batch, slowed down by the share `slowdown` of its time.
    pub(super) fn run(&mut self, subject: &mut dyn Subject, iters: u64, slowdown: f64) -> Duration {
        let before = alloc::total();
        let own = subject.time(iters);
        let after = alloc::total();
        let time = own + spin(own, slowdown);
        let allocations = Allocations { count: after.count - before.count, bytes: after.bytes - before.bytes };
        if self.first.is_zero() {
            self.first = time;
        }
        self.latest = Some(Batch { iters, time, allocations });
        time
    }

    /// How long the first call took.
    pub(super) fn first_call(&self) -> Duration {
        self.first
    }

    /// Whether criterion recorded a sample: at least two batches. `--test` and `--profile-time` record one.
    pub(super) fn is_measured(&self) -> bool {
        self.recorded.len() >= 2
    }

    /// Median time of an iteration, in seconds; `None` where nothing was recorded or the median is 0.
    pub(super) fn seconds(&self) -> Option<f64> {
        let times: Vec<f64> = self.recorded.iter().map(|b| b.time.as_secs_f64() / b.iters as f64).collect();
        stats::median(&times).filter(|seconds| *seconds > 0.0)
    }

    /// Allocations per iteration of the batch that made the fewest; `None` where no allocator counts.
    pub(super) fn allocations(&self) -> Option<Allocations> {
        let counting = self.recorded.iter().filter(|b| self.is_counting && b.iters > 0);
        counting.map(|b| per_iteration(b.allocations, b.iters)).min_by_key(|a| (a.count, a.bytes))
    }

    fn record_latest(&mut self) {
        self.recorded.extend(self.latest.take());
    }
}

/// Of one iteration. A batch with fewer allocations than iterations has iterations that do not allocate: a single
/// allocation, divided by a number of iterations that depends on the clock, would differ from run to run.
fn per_iteration(total: Allocations, iters: u64) -> Allocations {
    let count = total.count / iters;
    Allocations { count, bytes: if count == 0 { 0 } else { total.bytes / iters } }
}

/// Criterion's wall time, which also notes the batches that criterion records: `to_f64` is called for each batch of the
/// sample and for none of the warm-up.
pub(super) struct Recorder {
    wall: WallTime,
    batches: Rc<RefCell<Batches>>,
    formatter: Formatter,
}

impl Recorder {
    /// `unit` is what criterion's elements are in the bench at hand.
    pub(super) fn new(batches: Rc<RefCell<Batches>>, unit: Rc<Cell<Unit>>) -> Self {
        Self { wall: WallTime, batches, formatter: Formatter::new(unit) }
    }
}

impl Measurement for Recorder {
    type Intermediate = Instant;
    type Value = Duration;

    fn start(&self) -> Instant {
        self.wall.start()
    }

    fn end(&self, start: Instant) -> Duration {
        self.wall.end(start)
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        self.wall.add(a, b)
    }

    fn zero(&self) -> Duration {
        self.wall.zero()
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        self.batches.borrow_mut().record_latest();
        self.wall.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &self.formatter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocation_once_per_batch_is_not_counted() {
        let once = Allocations { count: 1, bytes: 4000 };
        assert_eq!([10, 13, 1000].map(|iters| per_iteration(once, iters)), [Allocations::default(); 3]);
        assert_eq!(per_iteration(Allocations { count: 20, bytes: 1000 }, 10), Allocations { count: 2, bytes: 100 });
    }
}
