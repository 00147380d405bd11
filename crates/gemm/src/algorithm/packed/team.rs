//! A team: threads that take the units of a product one after the other, and wait for each other where they must.
//!
//! **No thread waits for one that may not run.** A team's members are tasks of a pool that may have fewer threads than
//! the team has members, or be busy, so a member may begin late or after all is done. Therefore nothing is assigned:
//! units are claimed, and whoever runs does the work of those who do not. A member waits only for
//!
//! - a panel that another is packing, and packing waits for nothing, or
//! - the end of a stage whose units have all been claimed, by members that are at work on them.
//!
//! A member at work never gives its thread to another task, so what it waits for goes on: the waits have no circle, and
//! one thread is enough.
//!
//! **Claims.** Each home has a counter of the units that were taken from it, over all stages. While stage `s` is open,
//! it may be advanced up to `s + 1` times the home's units, by compare-and-swap. The member that finishes the last unit
//! of a stage opens the next. So whoever holds a unit of a stage knows that all units of the stages before are
//! finished, and sees what they wrote: the swap of `finished` releases it, the last one acquires all of it and releases
//! it with `open`, which every claim reads before.
//!
//! **Waits.** A wait spins for some microseconds, then yields, then sleeps until it is woken. What a member waits for
//! is near in the usual case; on a machine with more threads than processors it is not, and the processor is needed.
//!
//! **Panics.** A member that unwinds marks the team as aborted; the others leave at their next claim or wait.

use std::{
    hint, mem,
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering, fence},
    },
    thread,
    time::Duration,
};

/// Counter of the units that were taken from a home, on a cache line of its own.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Home {
    taken: AtomicUsize,
}

/// The state that members share.
#[derive(Debug)]
pub(super) struct Team<'w> {
    homes: &'w [Home],
    /// Units of a stage, and stages.
    units: usize,
    stages: usize,
    /// The stage whose units may be claimed.
    open: AtomicUsize,
    /// Units that are finished, of all stages.
    finished: AtomicUsize,
    is_aborted: AtomicBool,
    bell: Bell,
}

/// A unit that was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) stage: usize,
    pub(super) home: usize,
    /// Which of the home's units.
    pub(super) nth: usize,
}

impl Home {
    /// Floats of memory that a home takes.
    pub(super) const FLOATS: usize = size_of::<Self>() / size_of::<f32>();

    /// Homes from which nothing was taken, in this memory, which begins at a multiple of a cache line.
    pub(super) fn in_memory(floats: &mut [f32]) -> &[Self] {
        let (memory, count) = (floats.as_mut_ptr().cast::<Self>(), floats.len() / Self::FLOATS);
        assert!(memory.is_aligned());
        for home in 0..count {
            // SAFETY: the memory is borrowed for writing, aligned, and has room for `count` homes.
            unsafe { memory.add(home).write(Self { taken: AtomicUsize::new(0) }) }
        }
        // SAFETY: these homes have just been written, and the memory is borrowed as long as they are.
        unsafe { std::slice::from_raw_parts(memory, count) }
    }
}

impl<'w> Team<'w> {
    /// For `stages` times `units` units, which are at least as many as the homes.
    pub(super) fn new(homes: &'w [Home], units: usize, stages: usize) -> Self {
        debug_assert!(units >= homes.len() && !homes.is_empty());
        let (open, finished) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { homes, units, stages, open, finished, is_aborted: AtomicBool::new(false), bell: Bell::default() }
    }

    /// Has as many members as homes call `work` with units, until all are done: the calling thread and tasks of the
    /// pool that it is in. `work` also gets the member's number.
    pub(super) fn run(&self, work: &(impl Fn(Claim, usize) + Sync)) {
        rayon::in_place_scope(|scope| {
            for member in 1..self.homes.len() {
                scope.spawn(move |_| self.take_part(member, work));
            }
            self.take_part(0, work);
        });
    }

    /// What a member does: takes units, first of its own home, as long as there are any.
    pub(super) fn take_part(&self, member: usize, work: &(impl Fn(Claim, usize) + Sync)) {
        let abort_on_unwind = AbortOnUnwind(self);
        while let Some(stage) = self.take_units(member, work) {
            let goes_on = || self.open.load(Ordering::Acquire) > stage || self.is_aborted();
            if stage + 1 == self.stages || !self.wait(goes_on) {
                break;
            }
        }
        mem::forget(abort_on_unwind);
    }

    /// Works until every unit of a stage is claimed, and returns the stage; `None` if the team is aborted.
    fn take_units(&self, member: usize, work: &(impl Fn(Claim, usize) + Sync)) -> Option<usize> {
        let (mut stage, mut home, mut exhausted) = (self.open.load(Ordering::Acquire), member, 0);
        while exhausted < self.homes.len() {
            if self.is_aborted() {
                return None;
            }
            match self.claim(home) {
                Some(claim) => {
                    work(claim, member);
                    self.finish(claim.stage);
                    exhausted = 0;
                }
                None => {
                    exhausted += 1;
                    home = if home + 1 == self.homes.len() { 0 } else { home + 1 };
                }
            }
            // The homes that were exhausted have units again in the next stage.
            let open = self.open.load(Ordering::Acquire);
            if open > stage {
                (stage, home, exhausted) = (open, member, 0);
            }
        }
        Some(stage)
    }

    /// A unit of a home, if there is one in the open stage.
    fn claim(&self, home: usize) -> Option<Claim> {
        let (taken, units) = (&self.homes[home].taken, self.home_units(home));
        let mut before = taken.load(Ordering::Relaxed);
        loop {
            // `open` only grows, so a counter below this bound stays within the open stage.
            if before >= (self.open.load(Ordering::Acquire) + 1) * units {
                return None;
            }
            match taken.compare_exchange_weak(before, before + 1, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Some(Claim { stage: before / units, home, nth: before % units }),
                Err(now) => before = now,
            }
        }
    }

    fn home_units(&self, home: usize) -> usize {
        let cut = |home: usize| self.units as u128 * home as u128 / self.homes.len() as u128;
        (cut(home + 1) - cut(home)) as usize
    }

    fn finish(&self, stage: usize) {
        let finished = self.finished.fetch_add(1, Ordering::AcqRel) + 1;
        if finished == (stage + 1) * self.units && stage + 1 < self.stages {
            self.open.store(stage + 1, Ordering::Release);
            self.bell.ring();
        }
    }

    /// Waits until `is_over`, or until the team is aborted; returns whether it is not.
    pub(super) fn wait(&self, is_over: impl Fn() -> bool) -> bool {
        self.bell.wait(|| is_over() || self.is_aborted());
        !self.is_aborted()
    }

    /// Wakes members whose wait may be over.
    pub(super) fn wake(&self) {
        self.bell.ring();
    }

    fn is_aborted(&self) -> bool {
        self.is_aborted.load(Ordering::Relaxed)
    }
}

/// Aborts the team when it is dropped.
struct AbortOnUnwind<'t, 'w>(&'t Team<'w>);

impl Drop for AbortOnUnwind<'_, '_> {
    fn drop(&mut self) {
        self.0.is_aborted.store(true, Ordering::Relaxed);
        self.0.bell.ring();
    }
}

/// Where members sleep.
#[derive(Debug, Default)]
struct Bell {
    sleepers: AtomicUsize,
    lock: Mutex<()>,
    rung: Condvar,
}

/// A pause takes 40 to 140 cycles on most processors: these take some microseconds.
const PAUSES: usize = 100;
const YIELDS: usize = 20;

impl Bell {
    /// Waits until `is_over`. Whoever makes it so rings.
    fn wait(&self, is_over: impl Fn() -> bool) {
        for pause in 0..PAUSES + YIELDS {
            if is_over() {
                return;
            }
            if pause < PAUSES {
                hint::spin_loop();
            } else {
                thread::yield_now();
            }
        }
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        while !is_over() {
            // Woken by the bell; the time limit costs nothing and makes sure of it.
            let limit = Duration::from_millis(10);
            (guard, _) = self.rung.wait_timeout(guard, limit).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Wakes all that sleep. What they wait for was stored before: either they see it, or this call sees them.
    fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.rung.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        thread,
    };

    use op::Workspace;

    use super::*;
    use crate::algorithm::packed::shared::{STATE_FLOATS, SharedPanels};

    /// A small product of teams: each unit adds the panels of its row and column, which are packed from `stage` alone.
    /// Returns what was added up for each unit.
    fn sums(members: usize, threads: usize, rows: usize, cols: usize, stages: usize) -> Vec<usize> {
        const PANEL: usize = 4;
        let units = rows * cols;
        let (mut homes, mut floats, mut states) = (Workspace::new(), Workspace::new(), Workspace::new());
        let homes = Home::in_memory(homes.floats(members * Home::FLOATS).unwrap());
        let floats = floats.floats((rows + cols) * PANEL).unwrap();
        let states = states.floats((rows + cols) * STATE_FLOATS).unwrap();
        let panels = SharedPanels::new(floats, PANEL, states);
        let team = Team::new(homes, units, stages);
        let sums: Vec<AtomicUsize> = (0..units).map(|_| AtomicUsize::new(0)).collect();
        let packed = AtomicUsize::new(0);
        let work = |claim: Claim, _: usize| {
            let index = (0..claim.home).map(|home| team.home_units(home)).sum::<usize>() + claim.nth;
            let mut sum = 0.0;
            for panel in [index % rows, rows + index / rows] {
                let fill = |floats: &mut [f32]| {
                    packed.fetch_add(1, Ordering::Relaxed);
                    floats.fill((panel + claim.stage) as f32);
                };
                // SAFETY: only units of the open stage read panels, and they are of its generation.
                unsafe {
                    panels.pack(panel, claim.stage, fill);
                    if !team.wait(|| panels.is_packed(panel, claim.stage)) {
                        return;
                    }
                    sum += std::slice::from_raw_parts(panels.address(panel), PANEL).iter().sum::<f32>();
                }
            }
            // Not an addition at once: each unit has one thread in each stage, and stages follow one another.
            let before = sums[index].load(Ordering::Relaxed);
            sums[index].store(before * 3 + sum as usize, Ordering::Relaxed);
        };
        thread::scope(|scope| {
            for thread in 0..threads {
                let (team, work) = (&team, &work);
                scope.spawn(move || (thread..members).step_by(threads).for_each(|member| team.take_part(member, work)));
            }
        });
        assert_eq!(packed.into_inner(), stages * (rows + cols), "each panel is packed once in each stage");
        sums.into_iter().map(AtomicUsize::into_inner).collect()
    }

    /// Fewer threads than members, as many, and only one. Under Miri, this looks for races.
    #[test]
    fn any_number_of_threads_does_all_units_once() {
        let cases: &[_] = match cfg!(miri) {
            true => &[(3, 3, 2, 2)],
            false => &[(1, 1, 1, 1), (2, 4, 3, 1), (7, 5, 9, 3), (16, 4, 4, 20), (5, 40, 30, 7)],
        };
        for &(members, rows, cols, stages) in cases {
            let add = |index: usize, stage: usize| 4 * (index % rows + rows + index / rows + 2 * stage);
            let sum = |index: usize| (0..stages).fold(0, |sum, stage| sum * 3 + add(index, stage));
            let expected: Vec<usize> = (0..rows * cols).map(sum).collect();
            for threads in [1, 2, members, members + 3] {
                let sums = sums(members, threads, rows, cols, stages);
                assert_eq!(sums, expected, "{threads} threads for {members} members, {rows} x {cols}, {stages} stages");
            }
        }
    }

    #[test]
    fn a_member_that_panics_frees_the_others() {
        let mut memory = Workspace::new();
        let homes = Home::in_memory(memory.floats(3 * Home::FLOATS).unwrap());
        let team = Team::new(homes, 30, 2);
        let work = |claim: Claim, _: usize| {
            assert!(claim.nth != 5 || claim.home != 0, "as planned");
            if claim.home == 1 {
                // For what never comes.
                team.wait(|| false);
            }
        };
        let panics = thread::scope(|scope| {
            let member = |member| {
                let (team, work) = (&team, &work);
                scope.spawn(move || catch_unwind(AssertUnwindSafe(|| team.take_part(member, work))).is_err())
            };
            let all = [member(0), member(1), member(2)];
            all.map(|member| usize::from(member.join().unwrap())).iter().sum::<usize>()
        });
        assert_eq!(panics, 1);
    }
}
