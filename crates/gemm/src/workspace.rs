//! Memory for packed operands, kept between products.

use std::cell::Cell;

use crate::error::GemmError;

/// Memory that products pack their operands into. With one that is kept and passed to [`Gemm::workspace`](crate::Gemm::workspace),
/// products no larger than the first allocate nothing. It grows as needed, never shrinks, and stays smaller than the level-2
/// and level-3 caches.
#[derive(Debug, Default)]
pub struct Workspace {
    lines: Vec<Line>,
}

/// A cache line. A vector that is loaded from a buffer of these never crosses two lines.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// Floats of a cache line.
pub(crate) const LINE: usize = 16;

impl Workspace {
    /// Empty; the first product allocates.
    pub const fn new() -> Self {
        Self { lines: Vec::new() }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        size_of_val(self.lines.as_slice())
    }

    /// Address of the memory; dangling if there is none.
    pub(crate) fn as_ptr(&self) -> *const u8 {
        self.lines.as_ptr().cast()
    }

    /// `floats` floats that begin on a cache line. Their values are arbitrary.
    pub(crate) fn floats(&mut self, floats: usize) -> Result<&mut [f32], GemmError> {
        let lines = floats.div_ceil(LINE);
        if let Some(more) = lines.checked_sub(self.lines.len()) {
            let full = GemmError::OutOfMemory { bytes: floats.saturating_mul(size_of::<f32>()) };
            self.lines.try_reserve_exact(more).map_err(|_| full)?;
            self.lines.resize(lines, Line([0.0; LINE]));
        }
        // SAFETY: a `Line` is 16 floats without padding, and the vector has `lines` of them.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), lines * LINE) })
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
