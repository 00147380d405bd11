//! Memory of decoded volumes: it comes back when their arrays are gone, and the next volume takes it.
//!
//! Fresh memory costs a page fault for every page, which is as much as the conversion of a plain volume. A loop over
//! files, `for path in paths: image = load(path)`, takes turns between two buffers.

use std::process;
use std::sync::Mutex;

use bytemuck::Pod;
use ndarray::{ArrayView, IxDyn, ShapeBuilder};
use nifti_decode::zeroed;
use numpy::{Element, PyArray};
use pyo3::prelude::*;

/// Bytes of buffers that are kept for the next volume, all together.
const KEPT_BYTES: usize = 256 << 20;
/// Smaller buffers are not worth it.
const LEAST_BYTES: usize = 1 << 20;

/// Buffers that are free.
static FREE: Mutex<Vec<Vec<u64>>> = Mutex::new(Vec::new());

/// A buffer that arrays show, as their base.
#[pyclass(frozen, module = "assay_volumes._native")]
pub(crate) struct Buffer {
    words: Vec<u64>,
    process: u32,
}

/// Room for `count` elements, with unspecified content.
pub(crate) fn words<T>(count: usize) -> Vec<u64> {
    let need = (count * size_of::<T>()).div_ceil(8);
    // Not at a price in memory: what is a quarter larger than it has to be is left for others. In a forked process the
    // lock may be held for ever, so nobody waits for it.
    let found = FREE.try_lock().ok().and_then(|mut free| {
        let fits = |words: &Vec<u64>| words.len() >= need && words.len() <= need + need / 4;
        let at = free.iter().position(fits)?;
        Some(free.swap_remove(at))
    });
    found.unwrap_or_else(|| zeroed(need))
}

/// The first `count` elements of `words`.
pub(crate) fn elements<T: Pod>(words: &mut [u64], count: usize) -> &mut [T] {
    // Words are aligned for every type.
    &mut bytemuck::cast_slice_mut(words)[..count]
}

/// The array of `shape`, first axis fastest, that shows `words` and keeps them.
///
/// # Errors
/// `words` are too few for `shape`.
pub(crate) fn array<'py, T: Element + Pod>(
    py: Python<'py>,
    mut words: Vec<u64>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    let count: usize = shape.iter().product();
    let at = elements::<T>(&mut words, count).as_mut_ptr().cast_const();
    let owner = Bound::new(py, Buffer { words, process: process::id() })?;
    // SAFETY: `at` is the memory of `owner`, which moved without its heap memory, and `elements` checked that it has
    // `count` elements. `owner` becomes the array's base, so the memory outlives the array and its views, and no
    // reference to it is made from our side until `owner` is dropped.
    Ok(unsafe {
        let view = ArrayView::from_shape_ptr(IxDyn(shape).f(), at);
        PyArray::borrow_from_array(&view, owner.into_any()).into_any()
    })
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let words = std::mem::take(&mut self.words);
        let bytes = size_of_val(&*words);
        if bytes < LEAST_BYTES || self.process != process::id() {
            return;
        }
        if let Ok(mut free) = FREE.try_lock() {
            let kept: usize = free.iter().map(|words| size_of_val(&**words)).sum();
            if kept + bytes <= KEPT_BYTES {
                free.push(words);
            }
        }
    }
}

/// Frees the buffers that are kept.
pub(crate) fn free() {
    if let Ok(mut free) = FREE.try_lock() {
        free.clear();
    }
}
