//! Packed panels that a team shares: each is packed by whoever needs it first.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Panels of equal size, each with its state.
///
/// A panel is packed anew in each *generation*, a number that grows. Its state is twice the last generation that was
/// packed, plus 1 while it is being packed and plus 2 when it is; 0 to begin with.
#[derive(Debug)]
pub(super) struct SharedPanels<'w> {
    floats: *mut f32,
    panel_floats: usize,
    states: &'w [AtomicUsize],
}

// SAFETY: the floats are borrowed as long as the states are, and are accessed as the states allow.
unsafe impl Sync for SharedPanels<'_> {}

/// Floats of memory that a state takes.
pub(super) const STATE_FLOATS: usize = size_of::<AtomicUsize>() / size_of::<f32>();

impl<'w> SharedPanels<'w> {
    /// As many panels of `panel_floats` as this memory has room for and for the states of.
    pub(super) fn new(floats: &'w mut [f32], panel_floats: usize, states: &'w mut [f32]) -> Self {
        let memory = states.as_mut_ptr().cast::<AtomicUsize>();
        let count = (states.len() / STATE_FLOATS).min(floats.len() / panel_floats);
        assert!(memory.is_aligned());
        for state in 0..count {
            // SAFETY: the memory is borrowed for writing, aligned, and has room for `count` states.
            unsafe { memory.add(state).write(AtomicUsize::new(0)) }
        }
        // SAFETY: these states have just been written, and the memory is borrowed as long as they are.
        let states = unsafe { std::slice::from_raw_parts(memory, count) };
        Self { floats: floats.as_mut_ptr(), panel_floats, states }
    }

    /// Packs a panel, unless a thread has begun to; returns whether this call has.
    ///
    /// # Safety
    /// Nobody reads a panel of an earlier generation any more.
    pub(super) unsafe fn pack(&self, panel: usize, generation: usize, pack: impl FnOnce(&mut [f32])) -> bool {
        let (state, before) = (&self.states[panel], 2 * generation);
        let seen = state.load(Ordering::Relaxed);
        if seen > before || state.compare_exchange(seen, before + 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return false;
        }
        // SAFETY: the panel is in the memory. Only this call has set this state, others wait for the next one, and, as
        // the caller promises, nobody reads what was there.
        pack(unsafe { std::slice::from_raw_parts_mut(self.address(panel).cast_mut(), self.panel_floats) });
        state.store(before + 2, Ordering::Release);
        true
    }

    /// Whether a panel is packed. Then its floats may be read, until the generation ends.
    pub(super) fn is_packed(&self, panel: usize, generation: usize) -> bool {
        self.states[panel].load(Ordering::Acquire) >= 2 * generation + 2
    }

    /// Whether no thread has begun to pack a panel.
    pub(super) fn is_awaited(&self, panel: usize, generation: usize) -> bool {
        self.states[panel].load(Ordering::Relaxed) <= 2 * generation
    }

    /// Address of a panel.
    pub(super) fn address(&self, panel: usize) -> *const f32 {
        self.floats.wrapping_add(panel * self.panel_floats)
    }
}
