//! Libraries with the C interface of BLAS, opened at run time: `blas openblas|openblas-debian|blis|mkl --threads N`.
//!
//! A library that is not installed is an implementation that says so, and what would have to be installed.

mod implementation;
mod library;

use std::io;

fn main() -> io::Result<()> {
    let threads = peer::threads_argument();
    let name = std::env::args().nth(1).unwrap_or_default();
    // Whatever it is told or guesses of a processor that it does not know: with AVX2 it would run at half the rate.
    if is_x86_feature_detected!("avx512bw") {
        // SAFETY: no other thread runs yet. The library reads it when it is opened.
        unsafe { std::env::set_var("OPENBLAS_CORETYPE", "SkylakeX") };
    }
    match library::KNOWN.iter().find(|known| known.name == name) {
        Some(known) => peer::serve(&mut implementation::Implementation::new(known, threads)),
        None => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("no implementation is called {name:?}"))),
    }
}
