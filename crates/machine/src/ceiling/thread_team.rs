//! Threads that stay alive between bursts and start each burst together.

use std::{
    hint,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{Burst, Unavailable};
use crate::threads;

/// What one thread does in a burst.
pub(super) trait Task: 'static {
    /// Puts the caches and the clock frequency into the state of the burst; not timed.
    fn prime(&mut self);
    /// The smallest piece of work, some tens of microseconds; returns how much was done.
    fn piece(&mut self) -> u64;
}

/// One thread's share of a burst.
struct Part {
    work: u64,
    finish: Instant,
}

/// Works piece by piece until `min` has passed since `release`.
fn work_until(task: &mut impl Task, release: Instant, min: Duration) -> Part {
    let mut work = 0;
    loop {
        work += task.piece();
        let finish = Instant::now();
        if finish.saturating_duration_since(release) >= min {
            return Part { work, finish };
        }
    }
}

/// The calling thread, or several threads of its own.
pub(super) enum ThreadTeam<T> {
    Caller(T),
    Threads(Threads),
}

impl<T: Task> ThreadTeam<T> {
    /// `make` is called once per thread, on that thread and with its number, so that the memory it touches lies near.
    pub(super) fn new<F>(threads: usize, make: F) -> Result<Self, Unavailable>
    where
        F: Fn(usize) -> Result<T, Unavailable> + Send + Sync + 'static,
    {
        match threads {
            0 => Err(Unavailable::NoThreads),
            1 => make(0).map(Self::Caller),
            _ => Threads::start(threads, Arc::new(make)).map(Self::Threads),
        }
    }

    pub(super) fn burst(&mut self, min: Duration) -> Burst {
        match self {
            Self::Caller(task) => {
                task.prime();
                let release = Instant::now();
                let part = work_until(task, release, min);
                Burst { work: part.work, elapsed: part.finish - release }
            }
            Self::Threads(threads) => threads.burst(min),
        }
    }
}

/// Two or more threads, each waiting for the length of the next burst.
pub(super) struct Threads {
    gate: Arc<Gate>,
    orders: Vec<Sender<Duration>>,
    parts: Receiver<Result<Part, Unavailable>>,
    handles: Vec<JoinHandle<()>>,
}

impl Threads {
    fn start<T, F>(count: usize, make: Arc<F>) -> Result<Self, Unavailable>
    where
        T: Task,
        F: Fn(usize) -> Result<T, Unavailable> + Send + Sync + 'static,
    {
        let cpus = threads::allowed_cpus();
        let one_each = cpus.len() == count;
        let (report, parts) = mpsc::channel();
        let mut thread_team = Self { gate: Arc::new(Gate::new(count)), orders: Vec::new(), parts, handles: Vec::new() };
        for index in 0..count {
            let (order, orders) = mpsc::channel();
            let (gate, make, report) = (Arc::clone(&thread_team.gate), Arc::clone(&make), report.clone());
            let cpu = cpus.get(index).copied().filter(|_| one_each);
            let body = move || serve(&gate, cpu, || make(index), &orders, &report);
            let handle = thread::Builder::new().name(format!("ceiling-{index}")).spawn(body);
            thread_team.handles.push(handle.map_err(Unavailable::Thread)?);
            thread_team.orders.push(order);
        }
        // Each thread first reports that its task is made, or why not; dropping `thread_team` ends the others.
        drop(report);
        for _ in 0..count {
            thread_team.parts.recv().unwrap_or_else(|_| Err(ended()))?;
        }
        Ok(thread_team)
    }

    fn burst(&mut self, min: Duration) -> Burst {
        for order in &self.orders {
            // A thread that is gone would leave the others at the gate; none ends while its sender lives.
            let _ = order.send(min);
        }
        let parts: Vec<Part> = (0..self.orders.len()).filter_map(|_| self.parts.recv().ok()?.ok()).collect();
        let release = self.gate.released();
        let finish = parts.iter().map(|part| part.finish).max().unwrap_or(release);
        Burst { work: parts.iter().map(|part| part.work).sum(), elapsed: finish - release }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.orders.clear();
        for handle in self.handles.drain(..) {
            let _ = handle.join();
        }
    }
}

/// A thread ended before it reported: it cannot have been started properly.
fn ended() -> Unavailable {
    Unavailable::Thread(std::io::Error::other("a thread ended before its first report"))
}

/// The body of one thread.
fn serve<T: Task>(
    gate: &Gate,
    cpu: Option<usize>,
    make: impl FnOnce() -> Result<T, Unavailable>,
    orders: &Receiver<Duration>,
    report: &Sender<Result<Part, Unavailable>>,
) {
    if let Some(cpu) = cpu {
        // Best effort: an unpinned burst is valid, too.
        let _ = threads::pin_current_thread(cpu);
    }
    let mut task = match make() {
        Ok(task) => task,
        Err(error) => return drop(report.send(Err(error))),
    };
    let ready = Part { work: 0, finish: Instant::now() };
    let mut listening = report.send(Ok(ready)).is_ok();
    while listening && let Ok(min) = orders.recv() {
        task.prime();
        let release = gate.pass();
        listening = report.send(Ok(work_until(&mut task, release, min))).is_ok();
    }
}

/// A barrier that spins, so that all threads are awake and start within a fraction of a microsecond, and that notes
/// when it opened.
struct Gate {
    threads: usize,
    arrived: AtomicUsize,
    opened: AtomicUsize,
    epoch: Instant,
    release_ns: AtomicU64,
}

impl Gate {
    fn new(threads: usize) -> Self {
        Self {
            threads,
            arrived: AtomicUsize::new(0),
            opened: AtomicUsize::new(0),
            epoch: Instant::now(),
            release_ns: AtomicU64::new(0),
        }
    }

    /// Waits for the others; returns when the gate opened, the same instant for all.
    fn pass(&self) -> Instant {
        let opened = self.opened.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            self.arrived.store(0, Ordering::Relaxed);
            let ns = u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.release_ns.store(ns, Ordering::Relaxed);
            self.opened.store(opened.wrapping_add(1), Ordering::Release);
        } else {
            let mut spins = 0u32;
            while self.opened.load(Ordering::Acquire) == opened {
                // With more threads than processors the one that is missing may need this one's place.
                spins = spins.saturating_add(1);
                if spins < 10_000 { hint::spin_loop() } else { thread::yield_now() }
            }
        }
        self.released()
    }

    /// When the gate opened last.
    fn released(&self) -> Instant {
        self.epoch + Duration::from_nanos(self.release_ns.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A task that counts: 1000 for priming would be wrong, 1 per piece is right.
    struct Count {
        pieces: u64,
        primed: bool,
    }

    impl Task for Count {
        fn prime(&mut self) {
            self.primed = true;
        }

        fn piece(&mut self) -> u64 {
            assert!(self.primed);
            self.pieces += 1;
            thread::sleep(Duration::from_micros(100));
            1
        }
    }

    fn thread_team(threads: usize) -> Result<ThreadTeam<Count>, Unavailable> {
        ThreadTeam::new(threads, |_| Ok(Count { pieces: 0, primed: false }))
    }

    #[test]
    fn every_thread_works_at_least_one_piece_in_every_burst() {
        for threads in [1, 2, 5] {
            let mut thread_team = thread_team(threads).unwrap();
            for min in [Duration::ZERO, Duration::from_millis(1), Duration::ZERO] {
                let burst = thread_team.burst(min);
                assert!(burst.work >= threads as u64, "{burst:?}");
                assert!(burst.elapsed >= min && burst.elapsed > Duration::ZERO, "{burst:?}");
            }
        }
    }

    #[test]
    fn what_cannot_be_built_is_an_error_and_ends_the_others() {
        assert!(matches!(thread_team(0), Err(Unavailable::NoThreads)));
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let third_fails = move |_| match count.fetch_add(1, Ordering::Relaxed) {
            2 => Err(Unavailable::Memory { bytes: 3 }),
            _ => Ok(Count { pieces: 0, primed: false }),
        };
        assert!(matches!(ThreadTeam::new(4, third_fails), Err(Unavailable::Memory { bytes: 3 })));
    }
}
