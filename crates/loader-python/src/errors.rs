//! Exceptions: the classes of `assay_volumes._errors`, and which error becomes which of them.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use loader::LoaderError;
use nifti_decode::NiftiError;
use pyo3::{exceptions::PyValueError, prelude::*};

const MODULE: &str = "assay_volumes._errors";

/// Runs `work` without the GIL. A panic becomes an exception.
pub(crate) fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    // What a panic leaves behind is dropped: `work` takes all that it changes with it, or only reads.
    py.detach(|| catch_unwind(AssertUnwindSafe(work))).map_err(|panic| internal(py, &*panic))
}

fn internal(py: Python<'_>, panic: &(dyn Any + Send)) -> PyErr {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let reason = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
    raise(py, "InternalError", reason, None)
}

/// An exception of our own with a message, and the path that it is about.
pub(crate) fn raise(py: Python<'_>, class: &str, message: &str, path: Option<&Path>) -> PyErr {
    let make = || {
        let error = py.import(MODULE)?.getattr(class)?.call1((message,))?;
        if let Some(path) = path {
            error.setattr("path", path.as_os_str())?;
        }
        Ok(PyErr::from_value(error))
    };
    make().unwrap_or_else(|error| error)
}

/// A wrong argument.
pub(crate) fn argument(message: String) -> PyErr {
    PyValueError::new_err(message)
}

/// What the operating system reported, as a subclass of `OSError` with `errno` and `filename`.
fn system(py: Python<'_>, error: &io::Error, path: &Path) -> PyErr {
    let class = match error.kind() {
        io::ErrorKind::NotFound => "MissingFileError",
        io::ErrorKind::PermissionDenied => "DeniedFileError",
        _ => "FileError",
    };
    let make = || {
        let class = py.import(MODULE)?.getattr(class)?;
        let made = match error.raw_os_error() {
            Some(code) => {
                let text = py.import("os")?.getattr("strerror")?.call1((code,))?;
                class.call1((code, text, path.as_os_str()))?
            }
            None => class.call1((format!("{}: {error}", path.display()),))?,
        };
        made.setattr("path", path.as_os_str())?;
        Ok(PyErr::from_value(made))
    };
    make().unwrap_or_else(|error| error)
}

/// The exception for an error of the decoder. `path` is the file that was read.
pub(crate) fn of_nifti(py: Python<'_>, error: &NiftiError, path: Option<&Path>) -> PyErr {
    let class = match error {
        NiftiError::Io { path, r#source } => return system(py, r#source, path),
        NiftiError::NotRegular { .. } | NiftiError::NoImage { .. } | NiftiError::NoHeader { .. } => "FileError",
        NiftiError::Truncated { .. } => "TruncatedError",
        NiftiError::Gzip { .. } => "GzipError",
        NiftiError::TooLarge { .. } => "TooLargeError",
        NiftiError::NotReal { .. } | NiftiError::NoOrientation | NiftiError::Inexact { .. } => "ConversionError",
        NiftiError::Region { .. } => "RegionError",
        NiftiError::Buffer { .. } => "ConversionError",
        _ => "FormatError",
    };
    let message = match (error, path) {
        // These name their file.
        (NiftiError::NotRegular { .. } | NiftiError::NoImage { .. } | NiftiError::NoHeader { .. }, _) | (_, None) => {
            error.to_string()
        }
        (_, Some(path)) => format!("{}: {error}", path.display()),
    };
    raise(py, class, &message, path)
}

/// The exception for an error of the loader.
pub(crate) fn of_loader(py: Python<'_>, error: &LoaderError) -> PyErr {
    let message = error.to_string();
    match error {
        LoaderError::File { path, error } => of_nifti(py, error, Some(path)),
        LoaderError::Shape { path, .. } | LoaderError::Flat { path } | LoaderError::Labels { path, .. } => {
            raise(py, "UnfitError", &message, Some(path))
        }
        LoaderError::NoLabels | LoaderError::Setting { .. } | LoaderError::Option { .. } => {
            raise(py, "SettingError", &message, None)
        }
        LoaderError::NoFile { last, .. } => {
            let raised = raise(py, "NoFileError", &message, None);
            raised.set_cause(py, Some(of_loader(py, last)));
            raised
        }
        LoaderError::Panicked { .. } => raise(py, "InternalError", &message, None),
        _ => raise(py, "LoaderError", &message, None),
    }
}
