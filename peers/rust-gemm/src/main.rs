//! Rust crates that multiply matrices, one process each: `rust-gemm matrixmultiply|gemm|faer --threads N`; and
//! attention written with one of them, `rust-gemm attention --threads N`.

mod attention;
mod operands;
mod with_faer;
mod with_gemm;
mod with_matrixmultiply;

use std::io;
use std::num::NonZeroUsize;

fn main() -> io::Result<()> {
    let threads = peer::threads_argument();
    match std::env::args().nth(1).as_deref() {
        Some("matrixmultiply") => peer::serve(&mut with_matrixmultiply::Implementation::new(threads)),
        Some("gemm") => peer::serve(&mut with_gemm::Implementation::new(pool(threads))),
        Some("faer") => peer::serve(&mut with_faer::Implementation::new(pool(threads))),
        Some("attention") => peer::serve(&mut attention::Implementation::new(pool(threads))),
        other => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("no implementation is called {other:?}"))),
    }
}

/// Both crates use rayon's global pool. The thread that serves belongs to the pool, as on our side.
fn pool(threads: NonZeroUsize) -> NonZeroUsize {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.get()).use_current_thread();
    pool.build_global().expect("the first pool of the process");
    threads
}
