//! Memory for intermediate results, kept between calls.

use std::cell::Cell;

use op::Buffer;

use crate::error::AttentionError;

/// Memory for intermediate results. With one that is kept and passed to
/// [`Attention::workspace`](crate::Attention::workspace), calls no larger than the first allocate nothing. It grows as
/// needed and never shrinks.
#[derive(Debug, Default)]
pub struct Workspace {
    /// Whole cache lines, the first on the boundary of one.
    floats: Buffer<f32>,
}

/// Floats of a cache line.
pub(crate) const LINE: usize = 16;

impl Workspace {
    /// Empty; the first call allocates.
    pub const fn new() -> Self {
        Self { floats: Buffer::new() }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.floats)
    }

    /// `floats` floats that begin on a cache line. Their values are arbitrary.
    pub(crate) fn floats(&mut self, floats: usize) -> Result<&mut [f32], AttentionError> {
        let refused = AttentionError::OutOfMemory { bytes: floats.saturating_mul(size_of::<f32>()) };
        let Some(whole) = floats.checked_next_multiple_of(LINE) else { return Err(refused) };
        if whole > self.floats.len() {
            // The old memory goes first: its contents are not needed, so both need not exist at once.
            self.floats = Buffer::new();
            self.floats = Buffer::zeroed(whole).map_err(|_| refused)?;
        }
        Ok(&mut self.floats[..whole])
    }
}

/// Calls `f` with the workspace that this thread keeps.
pub(crate) fn with_workspace<R>(f: impl FnOnce(&mut Workspace) -> R) -> R {
    thread_local! {
        static KEPT: Cell<Workspace> = const { Cell::new(Workspace::new()) };
    }
    // Taken, not borrowed: while this thread waits for others, rayon may run another call on it.
    let mut workspace = KEPT.take();
    let result = f(&mut workspace);
    KEPT.set(workspace);
    result
}
