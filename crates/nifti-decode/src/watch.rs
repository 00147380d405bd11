//! Progress of long work.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// Unpacked bytes that a [`Decoder`](crate::Decoder) or a writer has processed so far. Another thread reads it to show
/// progress; the number never decreases.
///
/// libdeflate reports nothing before a whole gzip member is unpacked. But it fills fresh memory from the front, and
/// Linux reports which pages of a buffer were touched, so progress is known to a few megabytes at no cost. Elsewhere,
/// and where memory is reused, a member counts when it is done.
#[derive(Debug, Default)]
pub struct Watch {
    done: AtomicU64,
    /// Address and length of a buffer that is being filled.
    filling: Mutex<Option<(usize, usize)>>,
    shown: AtomicU64,
}

impl Watch {
    /// Nothing is done yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        let filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        // The lock keeps the buffer alive.
        let filled = filling.map_or(0, |(start, len)| touched(start, len));
        let now = self.done.load(Relaxed) + filled as u64;
        self.shown.fetch_max(now, Relaxed).max(now)
    }

    /// Adds `bytes` to the number.
    pub(crate) fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Relaxed);
    }

    /// Runs `fill`, which fills `buffer`, and counts it.
    pub(crate) fn fill<T>(watch: Option<&Self>, buffer: &mut [u8], fill: impl FnOnce(&mut [u8]) -> T) -> T {
        let Some(watch) = watch else { return fill(buffer) };
        let (start, len) = (buffer.as_ptr() as usize, buffer.len());
        let set = |filling| *watch.filling.lock().unwrap_or_else(PoisonError::into_inner) = filling;
        // The pages of memory that is reused were touched before.
        set((touched(start, len) < len / 2).then_some((start, len)));
        let filled = fill(buffer);
        set(None);
        watch.add(len as u64);
        filled
    }
}

/// Bytes of the pages from `start` on that are in memory.
#[cfg(target_os = "linux")]
fn touched(start: usize, len: usize) -> usize {
    const PAGE: usize = 4096;
    const STEP: usize = 16 << 10;
    let start = start.next_multiple_of(PAGE);
    let pages = len / PAGE;
    let mut states = [0_u8; STEP];
    let mut n_touched = 0;
    for first in (0..pages).step_by(STEP) {
        let n = STEP.min(pages - first);
        let at = std::ptr::without_provenance_mut(start + first * PAGE);
        // SAFETY: mincore reads no memory of the range, only its page tables, and writes a byte for each of `n` pages.
        if unsafe { libc::mincore(at, n * PAGE, states.as_mut_ptr()) } != 0 {
            return 0;
        }
        n_touched += states[..n].iter().filter(|&&state| state & 1 != 0).count();
    }
    n_touched * PAGE
}

#[cfg(not(target_os = "linux"))]
fn touched(_start: usize, len: usize) -> usize {
    len
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Scratch;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_buffer_counts_as_far_as_it_is_filled() {
        const MIB: usize = 1 << 20;
        let (watch, mut scratch) = (Watch::default(), Scratch::default());
        let buffer = scratch.get(64 * MIB).unwrap();
        let mut seen = Vec::new();
        Watch::fill(Some(&watch), buffer, |buffer| {
            for part in buffer.chunks_mut(16 * MIB) {
                part.fill(1);
                seen.push(watch.bytes() as usize / MIB);
            }
        });
        // A huge page is touched as a whole.
        assert!(seen.iter().zip([16, 32, 48, 64]).all(|(&seen, done)| (done..done + 4).contains(&seen)), "{seen:?}");
        assert_eq!(watch.bytes(), 64 << 20);
        // The second time, all of its pages are there from the beginning.
        let again = Watch::fill(Some(&watch), scratch.get(64 * MIB).unwrap(), |_| watch.bytes());
        assert_eq!((again, watch.bytes()), (64 << 20, 128 << 20));
    }
}
