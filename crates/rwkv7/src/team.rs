//! Threads that wait for work without sleeping, for the many small steps of a token.
//!
//! A token goes through about six steps a layer that threads share, each of 5 to 100 microseconds. To wake a sleeping
//! thread costs up to 20 of them. So the threads of the pool are taken once a token: until it is done, they look for
//! parts of the current step, and yield their processor after a while.
//!
//! A step is an array of parts. Who is free takes the next part, the caller too. The caller waits until all parts are
//! done, but never for a thread that has not begun one: a thread that is late, or has no processor, costs nothing.
//!
//! ```text
//!   state:  step | next part | parts      one word, so that a part is taken by one exchange
//!   caller: job <- .., done <- 0, state <- (step + 1, 0, n)   takes parts    waits for done = n
//!   others: state (s, i, n) -> (s, i + 1, n) if i < n         run part i     done <- done + 1
//! ```
//!
//! A part can only be taken from the step that is current, and the caller does not leave that step before the part is
//! done. So the job and what it borrows are there as long as somebody runs a part of it.

#![expect(unsafe_code, reason = "a part and the job that it belongs to are borrowed by a thread that took its number")]

use std::{
    cell::UnsafeCell,
    hint,
    panic::{self, AssertUnwindSafe},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use op::Threads;

/// Looks for work before the processor is given to others: some tens of microseconds.
const SPINS: u32 = 1 << 10;

/// Bits of the number of parts, and of the next part.
const BITS: u32 = 16;
const MASK: u64 = (1 << BITS) - 1;
/// There is no work any more. No step has this number.
const CLOSED: u64 = u64::MAX;

/// A step: what to call for a part, and with what.
#[derive(Clone, Copy)]
struct Job {
    data: *const (),
    /// Calls the job at `data` for a part.
    call: unsafe fn(*const (), usize),
}

/// What the threads of a team share.
struct Shared {
    state: AtomicU64,
    done: AtomicU64,
    has_panicked: AtomicBool,
    job: UnsafeCell<Job>,
}

// SAFETY: `job` is written by the caller alone, while no part of a step is taken and none can be; it is read by who
// took a part of the step that was begun after. Jobs are closures that are `Sync`, on items that are `Send`.
unsafe impl Sync for Shared {}

/// Who shares steps: the caller, and threads that wait.
pub(crate) struct Team<'s> {
    shared: &'s Shared,
    threads: Threads,
    step: u64,
}

/// Runs `work` with a team of so many threads of the rayon pool that it is called from.
pub(crate) fn with<R>(threads: Threads, work: impl FnOnce(&mut Team<'_>) -> R) -> R {
    unsafe fn nothing(_: *const (), _: usize) {}
    let job = UnsafeCell::new(Job { data: std::ptr::null(), call: nothing });
    let shared =
        Shared { state: AtomicU64::new(0), done: AtomicU64::new(0), has_panicked: AtomicBool::new(false), job };
    let mut team = Team { shared: &shared, threads, step: 0 };
    if threads.is_serial() {
        return work(&mut team);
    }
    /// Sends the threads home, also when `work` panics.
    struct Close<'s>(&'s Shared);
    impl Drop for Close<'_> {
        fn drop(&mut self) {
            self.0.state.store(CLOSED, Ordering::Release);
        }
    }
    rayon::in_place_scope(|scope| {
        let shared = &shared;
        let _close = Close(shared);
        for _ in 1..threads.get() {
            scope.spawn(move |_| shared.wait_for_work());
        }
        work(&mut team)
    })
}

/// Runs `work` while so many threads of the rayon pool that it is called from, the caller included, look for what it
/// shares without sleeping. The products of a chunk take 100 microseconds, and so does waking a thread for each.
pub(crate) fn awake<R>(threads: Threads, work: impl FnOnce() -> R) -> R {
    if threads.is_serial() {
        return work();
    }
    /// Sends the threads home, also when `work` panics.
    struct Done<'s>(&'s AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }
    let is_done = AtomicBool::new(false);
    rayon::in_place_scope(|scope| {
        let is_done = &is_done;
        let _done = Done(is_done);
        for _ in 1..threads.get() {
            scope.spawn(move |_| {
                let mut looks = 0;
                while !is_done.load(Ordering::Acquire) {
                    match rayon::yield_now() {
                        Some(rayon::Yield::Executed) => looks = 0,
                        _ => pause(&mut looks),
                    }
                }
            });
        }
        work()
    })
}

impl Team<'_> {
    /// How many threads there are at most, the caller included.
    pub(crate) fn threads(&self) -> Threads {
        self.threads
    }

    /// Calls `work` for each item, on whichever thread is free. Returns when all are done.
    ///
    /// # Panics
    /// If `work` does for an item; all others are done then.
    pub(crate) fn share<T: Send, F: Fn(&mut T) + Sync>(&mut self, items: &mut [T], work: F) {
        let parts = items.len() as u64;
        if !(2..=MASK).contains(&parts) || self.threads.is_serial() {
            return items.iter_mut().for_each(work);
        }
        let of_items: (*mut T, &F) = (items.as_mut_ptr(), &work);
        let job = Job { data: (&raw const of_items).cast(), call: call::<T, F> };
        // SAFETY: all parts of the step before are done, so nobody reads the job until the state below is seen.
        unsafe { *self.shared.job.get() = job };
        self.shared.done.store(0, Ordering::Relaxed);
        self.step += 1;
        self.shared.state.store(self.step << (2 * BITS) | parts, Ordering::Release);
        while self.shared.run_part().is_some_and(|took| took) {}
        let mut looks = 0;
        while self.shared.done.load(Ordering::Acquire) < parts {
            pause(&mut looks);
        }
        if self.shared.has_panicked.swap(false, Ordering::Relaxed) {
            panic!("a part of a step panicked");
        }
    }
}

impl Shared {
    /// Takes the next part and runs it. `Some(false)` if none is left, `None` if there is no work any more.
    fn run_part(&self) -> Option<bool> {
        let state = self.state.load(Ordering::Acquire);
        let (next, parts) = (state >> BITS & MASK, state & MASK);
        if state == CLOSED {
            return None;
        }
        if next >= parts {
            return Some(false);
        }
        let taken = self.state.compare_exchange(state, state + (1 << BITS), Ordering::AcqRel, Ordering::Relaxed);
        if taken.is_ok() {
            // SAFETY: the part was taken from the current step, which the caller does not leave before it is done: the
            // job is that of this step, it was written before, and what it borrows is there.
            let run = || unsafe {
                let Job { data, call } = *self.job.get();
                call(data, next as usize);
            };
            if panic::catch_unwind(AssertUnwindSafe(run)).is_err() {
                self.has_panicked.store(true, Ordering::Relaxed);
            }
            self.done.fetch_add(1, Ordering::Release);
        }
        Some(true)
    }

    fn wait_for_work(&self) {
        let mut looks = 0;
        while let Some(took) = self.run_part() {
            if took {
                looks = 0;
            } else {
                pause(&mut looks);
            }
        }
    }
}

fn pause(looks: &mut u32) {
    if *looks < SPINS {
        *looks += 1;
        hint::spin_loop();
    } else {
        thread::yield_now();
    }
}

/// Calls the closure for item `part`.
///
/// # Safety
/// `data` is a pair of items and closure that [`Team::share`] made, there are more than `part` items, and nobody else
/// has the number `part`.
unsafe fn call<T, F: Fn(&mut T)>(data: *const (), part: usize) {
    // SAFETY: the caller promises the pair, which outlives the step, and the only use of this item.
    unsafe {
        let (items, work) = *data.cast::<(*mut T, &F)>();
        work(&mut *items.add(part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(count: usize) -> Threads {
        Threads::new(count).unwrap()
    }

    #[test]
    fn threads_stay_awake_until_the_work_is_done() {
        for count in [1, 2, 5] {
            let sum = awake(threads(count), || {
                let halves = |from: usize| (from..from + 1000).sum::<usize>();
                (0..100).map(|_| rayon::join(|| halves(0), || halves(1000))).map(|(a, b)| a + b).sum::<usize>()
            });
            assert_eq!(sum, 100 * 1999 * 1000, "{count}");
        }
        let panics = panic::catch_unwind(|| awake(threads(3), || -> () { panic!("as asked") }));
        assert!(panics.is_err(), "and the threads went home");
    }

    #[test]
    fn every_item_of_every_step_is_worked_on_once() {
        for count in [1, 2, 4, 9] {
            with(threads(count), |team| {
                assert_eq!(team.threads().get(), count);
                for step in 0..2000_usize {
                    let mut items: Vec<(usize, usize)> = (0..step % 7).map(|i| (i, 0)).collect();
                    team.share(&mut items, |(i, worked)| *worked += *i + step);
                    assert!(items.iter().enumerate().all(|(i, item)| *item == (i, i + step)), "{step}: {items:?}");
                }
            });
        }
    }

    /// The pool has one thread, and that is the caller: it has to do everything.
    #[test]
    fn threads_that_never_come_are_not_waited_for() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let sum = pool.install(|| {
            with(threads(8), |team| {
                let mut items = [1_u64; 100];
                team.share(&mut items, |item| *item += 1);
                items.iter().sum::<u64>()
            })
        });
        assert_eq!(sum, 200);
    }

    #[test]
    fn a_panic_reaches_the_caller_when_all_parts_are_done() {
        let mut items: Vec<u32> = (0..50).collect();
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            with(threads(3), |team| {
                team.share(&mut items, |item| {
                    assert_ne!(*item, 7, "on purpose");
                    *item = 100;
                });
            });
        }));
        assert!(result.is_err());
        assert_eq!(items.iter().filter(|&&item| item == 100).count(), 49);
        with(threads(3), |team| team.share(&mut items, |item| *item = 1));
        assert!(items.iter().all(|&item| item == 1));
    }

    #[test]
    fn several_teams_share_a_pool() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        pool.install(|| {
            rayon::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|_| {
                        with(threads(4), |team| {
                            for _ in 0..200 {
                                let mut items = [0; 5];
                                team.share(&mut items, |item| *item += 1);
                                assert_eq!(items, [1; 5]);
                            }
                        });
                    });
                }
            });
        });
    }
}
