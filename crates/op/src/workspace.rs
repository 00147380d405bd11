//! Memory for packed operands and intermediate results, kept between calls.

use std::cell::Cell;

use machine::memory::{Buffer, OutOfMemory};

/// Memory that calls use for packed operands and intermediate results. With one that is kept and passed to each call,
/// calls no larger than the first allocate nothing. It grows as needed and never shrinks. One workspace serves any op.
///
/// ```
/// let mut workspace = op::Workspace::new();
/// assert_eq!(workspace.floats(17)?.len(), 32); // whole cache lines
/// assert_eq!(workspace.bytes(), 128);
/// # Ok::<(), op::OutOfMemory>(())
/// ```
#[derive(Debug, Default)]
pub struct Workspace {
    /// Whole cache lines, the first on the boundary of one.
    floats: Buffer<f32>,
}

impl Workspace {
    /// Floats of a cache line. A vector that starts at a multiple of its own length in a workspace never crosses two
    /// lines.
    pub const LINE: usize = machine::memory::CACHE_LINE_BYTES / size_of::<f32>();

    /// Empty; the first call allocates.
    pub const fn new() -> Self {
        Self { floats: Buffer::new() }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.floats)
    }

    /// Address of the memory; dangling if there is none.
    pub fn as_ptr(&self) -> *const u8 {
        self.floats.as_ptr().cast()
    }

    /// At least `floats` floats in whole cache lines. Their values are arbitrary.
    ///
    /// # Errors
    /// Where memory is refused. The workspace is empty then.
    pub fn floats(&mut self, floats: usize) -> Result<&mut [f32], OutOfMemory> {
        let refused = OutOfMemory { bytes: floats.saturating_mul(size_of::<f32>()) };
        let whole = floats.checked_next_multiple_of(Self::LINE).ok_or(refused)?;
        if whole > self.floats.len() {
            // The old memory goes first: its contents are not needed, so both need not exist at once.
            self.floats = Buffer::new();
            self.floats = Buffer::zeroed(whole).map_err(|_| refused)?;
        }
        Ok(&mut self.floats[..whole])
    }

    /// Calls `f` with the workspace that this thread keeps.
    pub fn with_kept<R>(f: impl FnOnce(&mut Self) -> R) -> R {
        thread_local! {
            static KEPT: Cell<Workspace> = const { Cell::new(Workspace::new()) };
        }
        // Taken, not borrowed: while this thread waits for others, rayon may run another call on it.
        let mut workspace = KEPT.take();
        let result = f(&mut workspace);
        KEPT.set(workspace);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_kept_and_grows() {
        let mut workspace = Workspace::new();
        assert_eq!((workspace.bytes(), workspace.floats(0).map(|floats| floats.len())), (0, Ok(0)));
        workspace.floats(100).unwrap().fill(1.0);
        let (address, bytes) = (workspace.as_ptr(), workspace.bytes());
        assert!(address.addr().is_multiple_of(64) && bytes == 112 * 4);
        assert_eq!(workspace.floats(5).unwrap(), [1.0; 16]);
        assert_eq!((workspace.as_ptr(), workspace.bytes()), (address, bytes));
        assert_eq!(workspace.floats(113).unwrap().len(), 128);
    }

    #[test]
    fn more_than_there_is_is_refused() {
        for (floats, bytes) in [(usize::MAX, usize::MAX), (usize::MAX / 8, usize::MAX / 8 * 4)] {
            assert_eq!(Workspace::new().floats(floats).map(|floats| floats.len()), Err(OutOfMemory { bytes }));
        }
    }

    #[test]
    fn a_call_inside_a_call_has_memory_of_its_own() {
        Workspace::with_kept(|outer| {
            outer.floats(16).unwrap().fill(1.0);
            Workspace::with_kept(|inner| inner.floats(16).unwrap().fill(2.0));
            assert_eq!(outer.floats(16).unwrap(), [1.0; 16]);
        });
        assert_eq!(Workspace::with_kept(|kept| kept.floats(16).unwrap()[0]), 1.0);
    }
}
