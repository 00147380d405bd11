//! Libraries with the C interface of BLAS, opened at run time: `blas openblas|openblas-debian|blis|mkl --threads N`.
//!
//! If the library is not installed, `describe` says what to install.

mod implementation;
mod library;

use std::io;

fn main() -> io::Result<()> {
    let threads = peer::threads_argument();
    let name = std::env::args().nth(1).unwrap_or_default();
    // OpenBLAS guesses AVX2 on a processor that it does not know, which halves its rate.
    if is_x86_feature_detected!("avx512bw") {
        // SAFETY: no other thread runs yet. The library reads it when it is opened.
        unsafe { std::env::set_var("OPENBLAS_CORETYPE", "SkylakeX") };
    }
    match library::KNOWN.iter().find(|known| known.name == name) {
        Some(known) => peer::serve(&mut implementation::Implementation::new(known, threads)),
        None => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("no implementation is called {name:?}"))),
    }
}
