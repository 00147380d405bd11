//! Arrays of NumPy from our memory.

use ndarray::IxDyn;
use numpy::{Element, PyArray1, PyArrayMethods, npyffi::NPY_ORDER};
use pyo3::prelude::*;

/// The array that takes over `values`, first axis fastest.
pub(crate) fn fortran<'py, T: Element>(
    py: Python<'py>,
    values: Vec<T>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    let flat = PyArray1::from_vec(py, values);
    Ok(flat.reshape_with_order(IxDyn(shape), NPY_ORDER::NPY_FORTRANORDER)?.into_any())
}

/// The array that takes over `values`, last axis fastest.
pub(crate) fn c_order<'py, T: Element>(
    py: Python<'py>,
    values: Vec<T>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    let flat = PyArray1::from_vec(py, values);
    Ok(flat.reshape_with_order(IxDyn(shape), NPY_ORDER::NPY_CORDER)?.into_any())
}

/// A 4 x 4 matrix.
pub(crate) fn matrix<'py>(py: Python<'py>, rows: &[[f64; 4]; 4]) -> PyResult<Bound<'py, PyAny>> {
    c_order(py, rows.as_flattened().to_vec(), &[4, 4])
}
