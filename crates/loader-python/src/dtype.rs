//! Which type voxels become: from a dtype of NumPy, or the word `stored`.

use nifti_decode::Datatype;
use pyo3::{exceptions::PyTypeError, prelude::*, types::PyString};

use crate::errors;

/// The type of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    F32,
    F64,
    F16,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    /// As the file has it, not scaled.
    Stored,
}

/// Runs `$body` with `$T` as the type of `$wanted`; `$stored` for voxels as they are stored.
macro_rules! with_type {
    ($wanted:expr, $T:ident => $body:expr, stored => $stored:expr) => {
        match $wanted {
            $crate::dtype::Wanted::F32 => {
                type $T = f32;
                $body
            }
            $crate::dtype::Wanted::F64 => {
                type $T = f64;
                $body
            }
            $crate::dtype::Wanted::F16 => {
                type $T = nifti_decode::f16;
                $body
            }
            $crate::dtype::Wanted::U8 => {
                type $T = u8;
                $body
            }
            $crate::dtype::Wanted::I8 => {
                type $T = i8;
                $body
            }
            $crate::dtype::Wanted::U16 => {
                type $T = u16;
                $body
            }
            $crate::dtype::Wanted::I16 => {
                type $T = i16;
                $body
            }
            $crate::dtype::Wanted::U32 => {
                type $T = u32;
                $body
            }
            $crate::dtype::Wanted::I32 => {
                type $T = i32;
                $body
            }
            $crate::dtype::Wanted::U64 => {
                type $T = u64;
                $body
            }
            $crate::dtype::Wanted::I64 => {
                type $T = i64;
                $body
            }
            $crate::dtype::Wanted::Stored => $stored,
        }
    };
}
pub(crate) use with_type;

const NAMES: [(&str, Wanted); 11] = [
    ("float32", Wanted::F32),
    ("float64", Wanted::F64),
    ("float16", Wanted::F16),
    ("uint8", Wanted::U8),
    ("int8", Wanted::I8),
    ("uint16", Wanted::U16),
    ("int16", Wanted::I16),
    ("uint32", Wanted::U32),
    ("int32", Wanted::I32),
    ("uint64", Wanted::U64),
    ("int64", Wanted::I64),
];

impl Wanted {
    /// From whatever `numpy.dtype` takes, or `"stored"`; `None` is float32.
    pub(crate) fn of(py: Python<'_>, dtype: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let Some(dtype) = dtype else { return Ok(Self::F32) };
        if let Ok(text) = dtype.cast::<PyString>() {
            let text = text.to_cow()?;
            if text == "stored" {
                return Ok(Self::Stored);
            }
            // The usual ones, without a call of NumPy.
            if let Some((_, wanted)) = NAMES.iter().find(|(name, _)| *name == text) {
                return Ok(*wanted);
            }
        }
        let found = py.import("numpy")?.getattr("dtype")?.call1((dtype,))?;
        let name: String = found.getattr("name")?.extract()?;
        if !found.getattr("isnative")?.extract::<bool>()? {
            return Err(errors::argument(format!(
                "dtype {found} has another byte order than this machine; need {name}"
            )));
        }
        let known = NAMES.iter().find(|(known, _)| *known == name).map(|(_, wanted)| *wanted);
        known.ok_or_else(|| {
            PyTypeError::new_err(format!("no conversion to dtype {name}; need a float, an integer or \"stored\""))
        })
    }
}

/// The dtype of stored voxels in this machine's byte order, spelled as nibabel has it.
pub(crate) fn stored<'py>(py: Python<'py>, datatype: Datatype) -> PyResult<Bound<'py, PyAny>> {
    let make = py.import("numpy")?.getattr("dtype")?;
    let fields = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), "u1")).collect::<Vec<_>>();
    match datatype {
        Datatype::Rgb24 => make.call1((fields(&["R", "G", "B"]),)),
        Datatype::Rgba32 => make.call1((fields(&["R", "G", "B", "A"]),)),
        other => make.call1((other.name(),)),
    }
}
