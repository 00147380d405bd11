//! A small fixed job that is timed repeatedly, to detect that the machine became faster or slower.
//!
//! Two parts, on one thread: multiply-adds on registers, and reads from L2. The amount of work of each part is fixed
//! when the canary is built; after that only the time varies. A canary detects that a block was disturbed. It never
//! corrects one, because a neighbor that slows one part by a third may not affect the other. Main memory is no part of
//! it: its bandwidth varies so much on an idle machine that it would reject good blocks.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{Unavailable, fma::Fma, lines, read::Walk, thread_team::Task};
use crate::cache::Caches;

/// The job, with the amount of work per run.
pub struct Canary {
    register: Fixed<Fma>,
    l2: Fixed<Walk>,
}

/// How long the parts took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CanaryTimes {
    /// Multiply-adds on registers.
    pub register_s: f64,
    /// Reads from the second-level cache.
    pub l2_s: f64,
}

impl Canary {
    /// A canary of about 20 ms per part.
    ///
    /// # Errors
    /// As [`with_length`](Self::with_length).
    pub fn new() -> Result<Self, Unavailable> {
        Self::with_length(Duration::from_millis(20))
    }

    /// A canary whose parts take about `length` each, now; building it takes as long as a run. It keeps half the size
    /// of L2 in memory.
    ///
    /// # Errors
    /// Where memory is refused.
    pub fn with_length(length: Duration) -> Result<Self, Unavailable> {
        let caches = Caches::detect();
        let walk = Walk::new(Arc::new(lines::numbered(caches.l2_bytes / 2)?), 0.0, true);
        Ok(Self { register: Fixed::new(Fma::Scalar, length), l2: Fixed::new(walk, length) })
    }

    /// Runs the job once.
    pub fn run(&mut self) -> CanaryTimes {
        CanaryTimes { register_s: self.register.time_s(), l2_s: self.l2.time_s() }
    }
}

impl CanaryTimes {
    /// The largest factor by which a part's time differs between two runs of the same canary, whichever was slower: 1
    /// for equal times, 1.1 where one part differs by 10 %. Infinite where a time is not positive.
    pub fn factor(&self, other: &Self) -> f64 {
        let factor = |a: f64, b: f64| if a > 0.0 && b > 0.0 { f64::max(a / b, b / a) } else { f64::INFINITY };
        factor(self.register_s, other.register_s).max(factor(self.l2_s, other.l2_s))
    }
}

/// A task and its number of pieces per run.
struct Fixed<T> {
    task: T,
    pieces: u64,
}

impl<T: Task> Fixed<T> {
    /// As many pieces as took `length` now, at least one.
    fn new(mut task: T, length: Duration) -> Self {
        task.prime();
        let start = Instant::now();
        let mut pieces = 0;
        loop {
            task.piece();
            pieces += 1;
            if start.elapsed() >= length {
                return Self { task, pieces };
            }
        }
    }

    fn time_s(&mut self) -> f64 {
        self.task.prime();
        let start = Instant::now();
        for _ in 0..self.pieces {
            self.task.piece();
        }
        start.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_does_the_same() {
        /// Counts its pieces.
        struct Count(u64);
        impl Task for Count {
            fn prime(&mut self) {}
            fn piece(&mut self) -> u64 {
                self.0 += 1;
                std::thread::sleep(Duration::from_micros(200));
                1
            }
        }
        let mut fixed = Fixed::new(Count(0), Duration::from_millis(2));
        let settled = fixed.task.0;
        assert!(settled >= 1 && settled == fixed.pieces);
        fixed.time_s();
        fixed.time_s();
        assert_eq!(fixed.task.0, 3 * settled);
    }

    #[test]
    fn a_run_takes_time_in_every_part() {
        let times = Canary::with_length(Duration::ZERO).unwrap().run();
        assert!(times.register_s > 0.0 && times.l2_s > 0.0);
        assert!(times.factor(&times) == 1.0);
    }

    #[test]
    fn factors_look_both_ways_and_at_every_part() {
        let base = CanaryTimes { register_s: 1.0, l2_s: 1.0 };
        for other in [
            CanaryTimes { register_s: 2.0, ..base },
            CanaryTimes { l2_s: 0.5, ..base },
            CanaryTimes { register_s: 2.0, l2_s: 1.5 },
        ] {
            assert_eq!((base.factor(&other), other.factor(&base)), (2.0, 2.0));
        }
        for broken in [0.0, -1.0, f64::NAN] {
            assert_eq!(base.factor(&CanaryTimes { l2_s: broken, ..base }), f64::INFINITY);
        }
    }
}
