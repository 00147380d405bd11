//! `volume[x, y, z]`: what indices of Python mean for a file.

use std::ops::Range;

use pyo3::{
    exceptions::{PyIndexError, PyTypeError},
    prelude::*,
    types::{PyEllipsis, PySlice, PyTuple},
};

/// The region that indices need, and what is left to do with its array.
pub(crate) struct Selection {
    /// For each axis of the file.
    pub(crate) ranges: Vec<Range<usize>>,
    /// What NumPy applies to the array of the region: an axis is dropped, or walked with a step.
    pub(crate) rest: Vec<Rest>,
    /// Extents of the result.
    pub(crate) shape: Vec<usize>,
}

/// What is left to do with an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing.
    Keep,
    /// An integer was given: the axis goes.
    Drop,
    /// Every so many elements, from the end where negative.
    Step(isize),
}

impl Selection {
    /// From the key of `__getitem__`: integers, slices and at most one ellipsis.
    pub(crate) fn of(key: &Bound<'_, PyAny>, extents: &[usize]) -> PyResult<Self> {
        let keys: Vec<Bound<'_, PyAny>> = match key.cast::<PyTuple>() {
            Ok(tuple) => tuple.iter().collect(),
            Err(_) => vec![key.clone()],
        };
        let is_ellipsis = |key: &Bound<'_, PyAny>| key.is_instance_of::<PyEllipsis>();
        let given = keys.iter().filter(|key| !is_ellipsis(key)).count();
        if given > extents.len() || keys.len() > given + 1 {
            let message = format!("{given} indices for a volume of {} axes, and at most one ellipsis", extents.len());
            return Err(PyIndexError::new_err(message));
        }
        let mut selection = Self { ranges: Vec::new(), rest: Vec::new(), shape: Vec::new() };
        for key in &keys {
            if is_ellipsis(key) {
                for &extent in extents[selection.ranges.len()..].iter().take(extents.len() - given) {
                    selection.add(0..extent, Rest::Keep, extent);
                }
            } else {
                selection.axis(key, extents[selection.ranges.len()])?;
            }
        }
        for &extent in &extents[selection.ranges.len()..] {
            selection.add(0..extent, Rest::Keep, extent);
        }
        Ok(selection)
    }

    fn add(&mut self, range: Range<usize>, rest: Rest, extent: usize) {
        self.ranges.push(range);
        self.rest.push(rest);
        if rest != Rest::Drop {
            self.shape.push(extent);
        }
    }

    fn axis(&mut self, key: &Bound<'_, PyAny>, extent: usize) -> PyResult<()> {
        if let Ok(slice) = key.cast::<PySlice>() {
            let indices = slice.indices(isize::try_from(extent).unwrap_or(isize::MAX))?;
            let count = indices.slicelength;
            if count == 0 {
                self.add(0..0, Rest::Keep, 0);
                return Ok(());
            }
            let last = indices.start + (count as isize - 1) * indices.step;
            let (first, end) = (indices.start.min(last) as usize, indices.start.max(last) as usize + 1);
            let rest = if indices.step == 1 { Rest::Keep } else { Rest::Step(indices.step) };
            self.add(first..end, rest, count);
            return Ok(());
        }
        let index: isize = key.extract().map_err(|_| {
            PyTypeError::new_err("indices of a volume are integers, slices and an ellipsis; load it for other kinds")
        })?;
        let from_front = if index < 0 { index + extent as isize } else { index };
        match usize::try_from(from_front).ok().filter(|at| *at < extent) {
            Some(at) => self.add(at..at + 1, Rest::Drop, 1),
            None => {
                let axis = self.ranges.len();
                let message = format!("index {index} is out of bounds for axis {axis} with size {extent}");
                return Err(PyIndexError::new_err(message));
            }
        }
        Ok(())
    }

    /// Whether nothing is selected.
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.iter().any(Range::is_empty)
    }

    /// The key that NumPy applies to the region; `None` if there is nothing left to do.
    pub(crate) fn key<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        if self.rest.iter().all(|rest| *rest == Rest::Keep) {
            return Ok(None);
        }
        let slice = py.import("builtins")?.getattr("slice")?;
        let keys = self.rest.iter().map(|rest| match rest {
            Rest::Keep => slice.call1((py.None(),)),
            Rest::Drop => Ok(0_usize.into_pyobject(py)?.into_any()),
            Rest::Step(step) => slice.call1((py.None(), py.None(), *step)),
        });
        PyTuple::new(py, keys.collect::<PyResult<Vec<_>>>()?).map(Some)
    }
}
