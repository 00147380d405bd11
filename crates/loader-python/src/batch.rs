//! A batch in Python: `assay_volumes.Batch`, the owner of the memory that its arrays show.

use std::process;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use loader::{Pixel, f16};
use ndarray::{ArrayView, IxDyn};
use numpy::{Element, PyArray};
use pyo3::{
    prelude::*,
    types::{PyDict, PyTuple},
};

use crate::{array::c_order, labels::Label};

/// A batch of whatever type.
pub(crate) trait Content: Send + Sync {
    fn first(&self) -> u64;
    fn shape(&self) -> &[usize];
    fn files(&self) -> &[usize];
    fn labels<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>>;
    /// Where the pixels are, and their type. They stay there until this is dropped, and nothing of ours touches them.
    fn pixels(&mut self) -> Pixels;
}

/// Pixels that are lent to Python.
pub(crate) enum Pixels {
    F32(AtomicPtr<f32>),
    F16(AtomicPtr<f16>),
}

/// A type of pixels that NumPy knows.
pub(crate) trait Shown: Pixel + Element {
    fn pixels(at: *mut Self) -> Pixels;
}

impl Shown for f32 {
    fn pixels(at: *mut Self) -> Pixels {
        Pixels::F32(AtomicPtr::new(at))
    }
}

impl Shown for f16 {
    fn pixels(at: *mut Self) -> Pixels {
        Pixels::F16(AtomicPtr::new(at))
    }
}

impl<T: Shown, L: Label> Content for loader::Batch<T, L> {
    fn first(&self) -> u64 {
        self.first()
    }

    fn shape(&self) -> &[usize] {
        self.shape()
    }

    fn files(&self) -> &[usize] {
        self.files()
    }

    fn labels<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        L::arrays(self.labels(), py)
    }

    fn pixels(&mut self) -> Pixels {
        T::pixels(self.pixels_mut().as_mut_ptr())
    }
}

/// Samples side by side. NumPy takes it as an array and DLPack as a tensor, without a copy: `torch.from_dlpack(batch)`.
///
/// Its memory goes back to the loader when the batch and all arrays and tensors of it are gone.
#[pyclass(frozen, module = "assay_volumes", name = "Batch")]
pub(crate) struct Batch {
    /// `None` only while this is dropped.
    content: Option<Box<dyn Content>>,
    pixels: Pixels,
    process: u32,
}

impl Batch {
    pub(crate) fn new(mut content: Box<dyn Content>) -> Self {
        let pixels = content.pixels();
        Self { content: Some(content), pixels, process: process::id() }
    }

    fn content(&self) -> PyResult<&dyn Content> {
        self.content.as_deref().ok_or_else(|| crate::errors::argument("the batch was dropped".to_owned()))
    }
}

impl Drop for Batch {
    /// In a forked process, the lock of the recycler may be held by a thread that does not exist there: the memory is
    /// left alone.
    fn drop(&mut self) {
        if self.process != process::id() {
            std::mem::forget(self.content.take());
        }
    }
}

/// An array of the batch's pixels, which keeps `owner` alive.
fn shown<'py, T: Element>(at: &AtomicPtr<T>, shape: &[usize], owner: Bound<'py, Batch>) -> Bound<'py, PyAny> {
    let at = at.load(Relaxed);
    // SAFETY: `at` is the buffer of the batch that `owner` holds, of as many pixels as `shape` says. `owner` is frozen
    // and becomes the base of the array, so the buffer is neither freed nor used again while the array, or one of its
    // views, is alive. No reference to the pixels is made from our side after `Content::pixels`, so that Python may
    // write to them.
    unsafe {
        let view = ArrayView::from_shape_ptr(IxDyn(shape), at.cast_const());
        PyArray::borrow_from_array(&view, owner.into_any()).into_any()
    }
}

#[pymethods]
impl Batch {
    /// All pixels: (samples, *shape of the sampler), float32 or float16, C order, writable. The array keeps the batch.
    #[getter]
    fn pixels<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        let shape = this.content()?.shape();
        Ok(match &this.pixels {
            Pixels::F32(at) => shown(at, shape, slf.clone()),
            Pixels::F16(at) => shown(at, shape, slf.clone()),
        })
    }

    /// What the sampler says of each sample, by name; the first axis of each array is the sample. New arrays.
    #[getter]
    fn labels<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.content()?.labels(py)
    }

    /// The file of each sample, as its number in `Loader.files`: (samples,) int64.
    #[getter]
    fn files<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let files: Vec<i64> = self.content()?.files().iter().map(|&file| file as i64).collect();
        let count = files.len();
        c_order(py, files, &[count])
    }

    /// Number of the first sample, counted from 0.
    #[getter]
    fn first(&self) -> PyResult<u64> {
        Ok(self.content()?.first())
    }

    /// Shape of `pixels`.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.content()?.shape())
    }

    #[pyo3(signature = (dtype = None, copy = None))]
    fn __array__<'py>(
        slf: &Bound<'py, Self>,
        dtype: Option<Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pixels = Self::pixels(slf)?;
        slf.py().import("assay_volumes._types")?.getattr("_as_array")?.call1((pixels, dtype, copy))
    }

    #[pyo3(signature = (**options))]
    fn __dlpack__<'py>(slf: &Bound<'py, Self>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
        Self::pixels(slf)?.call_method("__dlpack__", (), options)
    }

    fn __dlpack_device__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::pixels(slf)?.call_method0("__dlpack_device__")
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(self.content()?.shape().first().copied().unwrap_or(0))
    }

    fn __repr__(&self) -> PyResult<String> {
        let content = self.content()?;
        let shape = content.shape().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let dtype = if matches!(self.pixels, Pixels::F32(_)) { "float32" } else { "float16" };
        Ok(format!("Batch(first={}, shape=({shape}), dtype={dtype})", content.first()))
    }
}
