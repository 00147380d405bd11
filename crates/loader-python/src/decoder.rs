//! Memory of decoders, and threads, for callers that know neither: one of each for every thread of Python.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::process;

use nifti_decode::{Decoder, Threads};
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Bytes of each of its buffers that a thread keeps from one file to the next: the page faults of fresh memory would
/// take a third of a decode.
const KEPT_BYTES: usize = 256 << 20;

/// Threads of this process, for decodes that can use them.
struct Team {
    pool: ThreadPool,
    size: NonZeroUsize,
    process: u32,
}

thread_local! {
    static DECODER: Cell<Option<Decoder>> = const { Cell::new(None) };
    static TEAM: Cell<Option<Team>> = const { Cell::new(None) };
}

/// Runs `work` with this thread's decoder and `threads` threads.
///
/// # Errors
/// The system refused to start a thread.
pub(crate) fn with_decoder<T: Send>(
    threads: NonZeroUsize,
    work: impl FnOnce(&mut Decoder) -> T + Send,
) -> Result<T, String> {
    let wanted = Threads::new(threads.get()).unwrap_or(Threads::SERIAL);
    // Taken out, so that a panic leaves none behind.
    let mut decoder = DECODER.take().unwrap_or_default().with_threads(wanted);
    let result = if wanted.is_serial() {
        work(&mut decoder)
    } else {
        let team = team(threads)?;
        let result = team.pool.install(|| work(&mut decoder));
        TEAM.set(Some(team));
        result
    };
    decoder.shrink(KEPT_BYTES);
    DECODER.set(Some(decoder));
    Ok(result)
}

/// The threads of the last call if they are as many and still alive: those of a parent process are not.
fn team(size: NonZeroUsize) -> Result<Team, String> {
    if let Some(team) = TEAM.take() {
        if team.process != process::id() {
            std::mem::forget(team);
        } else if team.size == size {
            return Ok(team);
        }
    }
    let pool = ThreadPoolBuilder::new().num_threads(size.get()).build().map_err(|error| error.to_string())?;
    Ok(Team { pool, size, process: process::id() })
}

/// Frees the memory that is kept for the next file: buffers of volumes, up to 256 MiB, and what this thread decodes
/// with, up to 256 MiB each for packed and stored bytes. Ends this thread's decoding threads.
#[pyfunction]
pub(crate) fn free_scratch() {
    crate::memory::free();
    DECODER.set(None);
    if let Some(team) = TEAM.take().filter(|team| team.process != process::id()) {
        std::mem::forget(team);
    }
}
