//! Memory for packed operands, kept between products.

use std::cell::Cell;

use op::Buffer;

use crate::error::GemmError;

/// Memory that products pack their operands into. With one that is kept and passed to
/// [`Gemm::workspace`](crate::Gemm::workspace), products no larger than the first allocate nothing. It grows as needed,
/// never shrinks, and stays smaller than the level-2 and level-3 caches.
#[derive(Debug, Default)]
pub struct Workspace {
    /// Whole cache lines, the first on the boundary of one.
    floats: Buffer<f32>,
}

/// Floats of a cache line. A vector that starts at a multiple of its own length in a workspace never crosses two lines.
pub(crate) const LINE: usize = 16;

impl Workspace {
    /// Empty; the first product allocates.
    pub const fn new() -> Self {
        Self { floats: Buffer::new() }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.floats)
    }

    /// Address of the memory; dangling if there is none.
    pub(crate) fn as_ptr(&self) -> *const u8 {
        self.floats.as_ptr().cast()
    }

    /// `floats` floats that begin on a cache line. Their values are arbitrary.
    pub(crate) fn floats(&mut self, floats: usize) -> Result<&mut [f32], GemmError> {
        let whole = floats.checked_next_multiple_of(LINE).ok_or(GemmError::OutOfMemory { bytes: usize::MAX })?;
        if whole > self.floats.len() {
            // The old memory goes first: its contents are not needed, so both need not exist at once.
            self.floats = Buffer::new();
            let refused = GemmError::OutOfMemory { bytes: floats.saturating_mul(size_of::<f32>()) };
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
    // Taken, not borrowed: while this thread waits for others, rayon may run another product on it.
    let mut workspace = KEPT.take();
    let result = f(&mut workspace);
    KEPT.set(workspace);
    result
}
