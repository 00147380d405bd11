//! The budget as a bound: measuring ends at 1.25 times the budget, whatever the benchmarks ask for.
//!
//! A series that ends early lacks whole blocks, and the clock alone decides which ones. The tests therefore stay valid
//! on the remaining blocks, and give INCONCLUSIVE if these are too few.

use std::time::{Duration, Instant};

use super::plan::OVERRUN;

/// Share of the budget that the pilot may take.
const PILOT: f64 = 0.5;

/// The time that may be spent on running benchmarks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    started: Instant,
    seconds: f64,
}

impl Budget {
    /// A budget of `seconds` from now on.
    pub(super) fn new(seconds: f64) -> Self {
        Self { started: Instant::now(), seconds }
    }

    /// When the pilot ends.
    pub(super) fn pilots_until(&self) -> Instant {
        self.started + seconds(PILOT * self.seconds)
    }

    /// When everything ends.
    pub(super) fn until(&self) -> Instant {
        self.started + seconds(OVERRUN * self.seconds)
    }

    /// Time that is left of it. Seconds.
    pub(super) fn left_s(&self) -> f64 {
        (self.seconds - self.started.elapsed().as_secs_f64()).max(0.0)
    }

    /// Runs something whose time does not count.
    pub(super) fn pause<T>(&mut self, what: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = what();
        self.started += start.elapsed();
        result
    }
}

/// Converts seconds to a duration of at most one day, so that no clock overflows.
fn seconds(s: f64) -> Duration {
    Duration::try_from_secs_f64(s).unwrap_or(Duration::MAX).min(Duration::from_secs(86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_moves_the_end_and_endless_budgets_have_one() {
        let mut budget = Budget::new(100.0);
        let before = budget.until();
        budget.pause(|| std::thread::sleep(Duration::from_millis(20)));
        assert!(budget.until() >= before + Duration::from_millis(20));
        assert!(budget.pilots_until() < budget.until() && budget.left_s() <= 100.0);
        assert!(Budget::new(f64::INFINITY).until() > before);
    }
}
