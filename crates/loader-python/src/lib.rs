//! The native part of the Python package `assay_volumes`; its users see `python/assay_volumes`.
//!
//! **The GIL** is released wherever files are opened, read or decoded, and while a batch is waited for. No thread of a
//! loader ever takes it.
//!
//! **Memory.** A decoded volume lies in a buffer that comes back when its arrays are gone (`memory.rs` has the rules).
//! A batch's array shows the loader's buffer and holds the `Batch` that the buffer belongs to, so that the buffer is
//! used again only when no array and no tensor shows it any more.
//!
//! **Panics** become `assay_volumes.InternalError`, an ordinary exception.
//!
//! **Forks.** Threads do not survive `fork`. What holds threads remembers its process; in another one it refuses to
//! work, and is forgotten instead of dropped.

mod array;
mod batch;
mod batches;
mod decoder;
mod dtype;
mod errors;
mod header;
mod labels;
mod memory;
mod read;
mod region;
mod settings;
mod volume;

use pyo3::prelude::*;

/// Panics, so that tests can see what becomes of it.
#[pyfunction]
fn panic_for_tests(py: Python<'_>, reason: String) -> PyResult<()> {
    errors::detached(py, || panic!("{reason}"))
}

#[pymodule(name = "_native")]
fn native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<volume::Volume>()?;
    module.add_class::<batches::Batches>()?;
    module.add_class::<batch::Batch>()?;
    module.add_function(wrap_pyfunction!(panic_for_tests, module)?)?;
    module.add_function(wrap_pyfunction!(decoder::free_scratch, module)?)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}
