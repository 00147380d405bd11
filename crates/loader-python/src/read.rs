//! What a [`Volume`] reads, as arrays: all of it or a region, converted or as it is stored.

use std::num::NonZeroUsize;
use std::ops::Range;

use nifti_decode::{
    Clip, Decoded, Decoder, NiftiError, Normalize, Orientation, Output, Plan, Stats, VolumeFile, Voxels, zeroed,
};
use numpy::{Element, PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::{
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyTuple, PyType},
};

use crate::{
    array,
    decoder::with_decoder,
    dtype::{self, Wanted},
    errors::{self, argument, detached},
    memory,
    volume::Volume,
};

/// One thread.
pub(crate) const SERIAL: NonZeroUsize = NonZeroUsize::MIN;

impl Volume {
    /// Runs `work` with the file and a decoder, without the GIL.
    pub(crate) fn with_file<T: Send>(
        &self,
        py: Python<'_>,
        threads: NonZeroUsize,
        work: impl FnOnce(&VolumeFile, &mut Decoder) -> Result<T, NiftiError> + Send,
    ) -> PyResult<T> {
        let outcome = detached(py, || with_decoder(threads, |decoder| work(&self.file, decoder)))?;
        // Ctrl-C during a long decode is not lost.
        py.check_signals()?;
        outcome
            .map_err(|reason| errors::raise(py, "LoaderError", &reason, None))?
            .map_err(|error| errors::of_nifti(py, &error, Some(&self.path)))
    }

    /// All voxels as `T`, in memory of an array that is gone, fresh memory, or `out`.
    pub(crate) fn whole<'py, T: Output + Element>(
        &self,
        py: Python<'py>,
        plan: &Plan,
        out: Option<&Bound<'py, PyAny>>,
        threads: NonZeroUsize,
    ) -> PyResult<(Bound<'py, PyAny>, Decoded)> {
        let Some(out) = out else {
            let count = self.file.voxels();
            let (words, decoded) = self.with_file(py, threads, |file, decoder| {
                let mut words = memory::words::<T>(count);
                let decoded = file.decode_into(decoder, plan, memory::elements::<T>(&mut words, count))?;
                Ok((words, decoded))
            })?;
            return Ok((memory::array::<T>(py, words, &decoded.shape)?, decoded));
        };
        let array = out
            .cast::<PyArrayDyn<T>>()
            .map_err(|_| argument(format!("out is no array of {}, the dtype that was asked for", T::NAME)))?;
        if !array.is_fortran_contiguous() {
            return Err(argument("out is not contiguous with its first axis fastest (order=\"F\")".to_owned()));
        }
        let decoded = {
            let mut lent = array.try_readwrite().map_err(|error| argument(format!("out: {error}")))?;
            let voxels = lent.as_slice_mut().map_err(|error| argument(format!("out: {error}")))?;
            self.with_file(py, threads, |file, decoder| file.decode_into(decoder, plan, voxels))?
        };
        if array.shape() != decoded.shape {
            let (got, need) = (array.shape(), &decoded.shape);
            return Err(argument(format!("out has the shape {got:?}; need {need:?}")));
        }
        Ok((out.clone(), decoded))
    }

    /// A region as `T`.
    pub(crate) fn part<'py, T: Output + Element>(
        &self,
        py: Python<'py>,
        ranges: &[Range<usize>],
        plan: &Plan,
    ) -> PyResult<(Bound<'py, PyAny>, Decoded)> {
        let volume = self.with_file(py, SERIAL, |file, decoder| file.read_region::<T>(decoder, ranges, plan))?;
        let (voxels, decoded) = volume.into_parts();
        Ok((array::fortran(py, voxels, &decoded.shape)?, decoded))
    }

    /// Voxels as they are stored; all of them without ranges.
    pub(crate) fn stored<'py>(
        &self,
        py: Python<'py>,
        ranges: Option<&[Range<usize>]>,
        orientation: Option<Orientation>,
        threads: NonZeroUsize,
    ) -> PyResult<(Bound<'py, PyAny>, Decoded)> {
        let voxel = self.file.datatype().bytes();
        let count = ranges.map_or(self.file.voxels(), |ranges| {
            let of = |axis: usize| ranges.get(axis).map_or(self.file.shape()[axis], ExactSizeIterator::len);
            (0..self.file.shape().len()).map(of).product()
        });
        let (bytes, decoded) = self.with_file(py, threads, |file, decoder| {
            let mut bytes: Vec<u8> = zeroed(count * voxel);
            let decoded = match ranges {
                Some(ranges) => file.copy_region_into(decoder, ranges, orientation, &mut bytes)?,
                None => file.copy_into(decoder, orientation, &mut bytes)?,
            };
            Ok((bytes, decoded))
        })?;
        let flat = array::c_order(py, bytes, &[count * voxel])?;
        let typed = flat.call_method1("view", (dtype::stored(py, self.file.datatype())?,))?;
        let order = [("order", "F")].into_pyobject(py)?;
        let kwargs = PyDict::from_sequence(order.as_any())?;
        let shaped = typed.call_method("reshape", (PyTuple::new(py, &decoded.shape)?,), Some(&kwargs))?;
        Ok((shaped, decoded))
    }

    /// An `assay_volumes.Image`.
    pub(crate) fn image<'py>(
        slf: &Bound<'py, Self>,
        data: Bound<'py, PyAny>,
        decoded: &Decoded,
    ) -> PyResult<Bound<'py, PyAny>> {
        static IMAGE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let py = slf.py();
        let affine = array::matrix(py, &decoded.affine.0)?;
        let stats = decoded.stats.as_ref().map(|stats| statistics(py, stats)).transpose()?;
        let losses = decoded.losses;
        let lost = (losses.whole, losses.overflowed, losses.underflowed);
        IMAGE.import(py, "assay_volumes._types", "Image")?.call1((
            data,
            affine,
            stats,
            slf,
            lost,
            decoded.access.name(),
        ))
    }
}

/// An `assay_volumes.Stats`.
pub(crate) fn statistics<'py>(py: Python<'py>, stats: &Stats) -> PyResult<Bound<'py, PyAny>> {
    static STATS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let Stats { n, n_nan, n_nonzero, min, max, mean, std, p0_5, median, p99_5, robust_mean, robust_std } = *stats;
    let figures = (min, max, mean, std, p0_5, median, p99_5, robust_mean, robust_std);
    let fields = ((n, n_nan, n_nonzero).into_pyobject(py)?.add(figures.into_pyobject(py)?))?;
    STATS.import(py, "assay_volumes._types", "Stats")?.call1(fields.cast_into::<PyTuple>()?)
}

/// A plan from the arguments of `load`.
pub(crate) fn plan(
    wanted: Wanted,
    orient: Option<&str>,
    clip: Option<(f64, f64)>,
    percentiles: Option<(f64, f64)>,
    zscore: Option<&str>,
    stats: bool,
) -> PyResult<Plan> {
    let orientation = orient.map(str::parse::<Orientation>).transpose().map_err(|error| argument(error.to_string()))?;
    let clip = match (clip, percentiles) {
        (Some(_), Some(_)) => return Err(argument("clip and clip_percentiles exclude each other".to_owned())),
        (Some((low, high)), None) => Clip::Values { low, high },
        (None, Some((low, high))) if (0.0..=100.0).contains(&low) && (low..=100.0).contains(&high) => {
            Clip::Percentiles { low, high }
        }
        (None, Some((low, high))) => {
            return Err(argument(format!("clip_percentiles is ({low}, {high}); need 0 <= low <= high <= 100")));
        }
        (None, None) => Clip::None,
    };
    let normalize = match zscore {
        None => Normalize::None,
        Some("all") => Normalize::ZScore { over: Voxels::All },
        Some("nonzero") => Normalize::ZScore { over: Voxels::NonZero },
        Some(other) => return Err(argument(format!("zscore is {other:?}; need \"all\", \"nonzero\" or None"))),
    };
    let plan = Plan { is_scaled: true, orientation, clip, normalize, has_stats: stats };
    if wanted == Wanted::Stored && (stats || clip != Clip::None || normalize != Normalize::None) {
        return Err(argument("dtype \"stored\" has no statistics, clip or zscore: values are not scaled".to_owned()));
    }
    Ok(plan)
}

/// A number of threads.
pub(crate) fn team(threads: usize) -> PyResult<NonZeroUsize> {
    NonZeroUsize::new(threads).ok_or_else(|| argument("threads is 0; need at least 1".to_owned()))
}
