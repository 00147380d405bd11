//! Cases as closures, for code that has no type of its own for a loaded case.

use std::{cell::RefCell, rc::Rc, time::Duration};

use op::{Loaded, Ran};

use crate::{Comparable, Load, Refusal};

/// A loaded case that runs a closure and shows its result by another one.
pub struct Closures<R, O> {
    ran: Ran,
    run: R,
    output: O,
}

impl<'a, R: FnMut() + 'a, O: FnMut() -> Vec<u8> + 'a> Closures<R, O> {
    /// `run` is one timed iteration, and `ran` says what runs then; `output` gives the result of the last one as raw
    /// little-endian bytes.
    pub fn boxed(ran: Ran, run: R, output: O) -> Box<dyn Comparable + 'a> {
        Box::new(Self { ran, run, output })
    }
}

impl<R: FnMut(), O> Loaded for Closures<R, O> {
    fn run(&mut self) {
        (self.run)();
    }

    fn ran(&self) -> Ran {
        self.ran.clone()
    }
}

impl<R: FnMut(), O: FnMut() -> Vec<u8>> Comparable for Closures<R, O> {
    fn output(&mut self) -> Vec<u8> {
        (self.output)()
    }
}

/// A case whose run makes a value from files that stay as they are. `make` runs once before; if it fails, the case is
/// refused. The result is what `output` tells of the last value.
///
/// # Errors
/// [`Refusal::Error`] with what `make` reports.
pub fn remade<'a, T: 'a, E: ToString>(
    ran: Ran,
    make: impl Fn() -> Result<T, E> + 'a,
    output: impl Fn(&T) -> Vec<u8> + 'a,
) -> Load<'a> {
    let made = Rc::new(RefCell::new(make().map_err(|error| Refusal::Error(error.to_string()))?));
    let shown = made.clone();
    let run = move || {
        // The same call succeeded above.
        if let Ok(value) = make() {
            *made.borrow_mut() = value;
        }
    };
    Ok(Closures::boxed(ran, run, move || output(&shown.borrow())))
}

/// A loaded case that reads the clock itself, because a part of each run is not timed: what brings back the state that
/// the run before left, or what frees memory.
pub struct Clocked<R, O> {
    ran: Ran,
    run: R,
    output: O,
}

impl<'a, R: FnMut() -> Duration + 'a, O: FnMut() -> Vec<u8> + 'a> Clocked<R, O> {
    /// As [`Closures::boxed`]; `run` gives the time of what it times.
    pub fn boxed(ran: Ran, run: R, output: O) -> Box<dyn Comparable + 'a> {
        Box::new(Self { ran, run, output })
    }
}

impl<R: FnMut() -> Duration, O> Loaded for Clocked<R, O> {
    fn run(&mut self) {
        (self.run)();
    }

    fn time(&mut self, iterations: u64) -> Duration {
        (0..iterations).map(|_| (self.run)()).sum()
    }

    fn ran(&self) -> Ran {
        self.ran.clone()
    }
}

impl<R: FnMut() -> Duration, O: FnMut() -> Vec<u8>> Comparable for Clocked<R, O> {
    fn output(&mut self) -> Vec<u8> {
        (self.output)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clocked_case_counts_what_its_runs_tell() {
        let runs = RefCell::new(0_u8);
        let run = || {
            *runs.borrow_mut() += 1;
            Duration::from_secs(5)
        };
        let mut case = Clocked::boxed(Ran::by("sum", ""), run, || vec![*runs.borrow()]);
        case.run();
        assert_eq!(case.time(3), Duration::from_secs(15));
        assert_eq!(case.output(), [4]);
    }
}
