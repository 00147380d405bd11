//! A file of voxels, opened and checked: `assay_volumes.Volume`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nifti_decode::{Index, Limits, NiftiError, Plan, VolumeFile};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyTuple},
};

use crate::{
    array,
    dtype::{self, Wanted, with_type},
    errors::{self, argument, detached},
    header,
    read::{SERIAL, plan, statistics, team},
    region::Selection,
};

/// A NIfTI-1, NIfTI-2 or ANALYZE file, plain or packed by gzip: its header is read and checked, its voxels are not.
///
/// `volume[x, y, z]` reads a region, float32 and scaled; integers, slices with any step and an ellipsis are allowed.
/// `numpy.asarray(volume)` reads all of it. Volumes can be pickled and used by several threads.
///
/// `verify=False` leaves out the checksums of gzip streams. `map=True` maps the file instead of reading it, which makes
/// small regions of plain files cheaper: for trusted files only, since the process dies if the file is truncated while
/// it is mapped.
#[pyclass(frozen, module = "assay_volumes", name = "Volume")]
pub(crate) struct Volume {
    pub(crate) file: VolumeFile,
    pub(crate) path: PathBuf,
    verify: bool,
    is_mapped: bool,
}

/// Opens a file.
fn open(path: &Path, verify: bool, is_mapped: bool) -> Result<VolumeFile, NiftiError> {
    if is_mapped {
        // SAFETY: the documentation of `map` asks the caller for what it needs: nobody changes or truncates the file.
        unsafe { VolumeFile::map(path) }
    } else {
        VolumeFile::open_with(path, Limits::default().with_verify(verify))
    }
}

impl Volume {
    fn spatial(&self) -> PyResult<String> {
        let letters = self.file.affine().orientation().map(|code| code.map_or('-', |code| code.letter()));
        Ok(letters.iter().collect())
    }
}

#[pymethods]
impl Volume {
    #[new]
    #[pyo3(signature = (path, *, verify = true, map = false))]
    fn new(py: Python<'_>, path: PathBuf, verify: bool, map: bool) -> PyResult<Self> {
        let opened = detached(py, || open(&path, verify, map))?;
        let file = opened.map_err(|error| errors::of_nifti(py, &error, Some(&path)))?;
        Ok(Self { file, path, verify, is_mapped: map })
    }

    /// The path that was opened.
    #[getter]
    fn path(&self) -> PyResult<&std::ffi::OsStr> {
        Ok(self.path.as_os_str())
    }

    /// Extents of the file's axes, x first.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.file.shape())
    }

    /// Number of axes.
    #[getter]
    fn ndim(&self) -> usize {
        self.file.shape().len()
    }

    /// Type of the stored voxels, in this machine's byte order; colors have fields R, G, B and A.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        dtype::stored(py, self.file.datatype())
    }

    /// (slope, intercept) where values are scaled, else None.
    #[getter]
    fn scale(&self) -> Option<(f64, f64)> {
        self.file.scale().map(|scale| (scale.slope, scale.inter))
    }

    /// Maps voxel indices (i, j, k, 1) to RAS+ coordinates: (4, 4) float64, in the header's unit of length.
    #[getter]
    fn affine<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        array::matrix(py, &self.file.affine().0)
    }

    /// Length of a step along each of the three spatial axes, in the affine's unit.
    #[getter]
    fn spacing(&self) -> (f64, f64, f64) {
        self.file.affine().spacing().into()
    }

    /// Which way the axes run, such as "RAS" or "LPS"; "-" for an axis that the affine maps to nothing.
    #[getter]
    fn orientation(&self) -> PyResult<String> {
        self.spatial()
    }

    /// "plain", "gzip", "BGZF" or "mgzip": how the voxels are packed.
    #[getter]
    fn packing(&self) -> &'static str {
        self.file.packing().name()
    }

    /// The fields of the header, named as in nifti1.h, harmless faults corrected; and "version", "endian", "is_pair".
    #[getter]
    fn header<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        header::dictionary(py, self.file.header())
    }

    /// The header in this machine's byte order, as other libraries parse it.
    #[getter]
    fn header_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = header::encoded(self.file.header());
        Ok(PyBytes::new(py, &bytes.map_err(|error| errors::of_nifti(py, &error, Some(&self.path)))?))
    }

    /// Header extensions: (code, content).
    #[getter]
    fn extensions<'py>(&self, py: Python<'py>) -> Vec<(i32, Bound<'py, PyBytes>)> {
        self.file.extensions().iter().map(|each| (each.ecode, PyBytes::new(py, &each.content))).collect()
    }

    /// Faults of the header that were corrected.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.file.warnings().iter().map(ToString::to_string).collect()
    }

    /// Reads all voxels: scaled, then reoriented, clipped and normalized, in as few passes as possible. An `Image`.
    ///
    /// `dtype`: float32 by default; other floats and integers, which are exact or refused; "stored" for the file's own
    /// type, unscaled. `orient`: order of the axes, such as "RAS" (nibabel's `as_closest_canonical`). `clip`: bounds.
    /// `clip_percentiles`: bounds as percentiles of the volume, 0 to 100. `zscore`: "all" or "nonzero" voxels, over
    /// which mean and standard deviation are taken. `stats`: statistics of the scaled values. `out`: an array of the
    /// result's dtype and shape in Fortran order, to be filled instead of a new one; its content is unspecified after
    /// an exception. `threads`: used for blocked gzip, gzip with an index, and conversion; the result does not depend
    /// on it.
    #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
    #[pyo3(signature = (
        dtype = None, *, orient = None, clip = None, clip_percentiles = None, zscore = None, stats = false, out = None,
        threads = 1
    ))]
    fn load<'py>(
        slf: &Bound<'py, Self>,
        dtype: Option<&Bound<'py, PyAny>>,
        orient: Option<&str>,
        clip: Option<(f64, f64)>,
        clip_percentiles: Option<(f64, f64)>,
        zscore: Option<&str>,
        stats: bool,
        out: Option<&Bound<'py, PyAny>>,
        threads: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let wanted = Wanted::of(py, dtype)?;
        let plan = plan(wanted, orient, clip, clip_percentiles, zscore, stats)?;
        let threads = team(threads)?;
        let (data, decoded) = with_type!(wanted, T => this.whole::<T>(py, &plan, out, threads)?, stored => {
            if out.is_some() {
                return Err(argument("out needs a dtype: it cannot take voxels as they are stored".to_owned()));
            }
            this.stored(py, None, plan.orientation, threads)?
        });
        Self::image(slf, data, &decoded)
    }

    /// Reads a region: a (start, end) for each axis of the file, x first; axes that are left out are taken whole. An
    /// `Image` whose affine is that of the region. Statistics are those of the region.
    #[pyo3(signature = (*ranges, dtype = None, orient = None, stats = false))]
    fn region<'py>(
        slf: &Bound<'py, Self>,
        ranges: &Bound<'py, PyTuple>,
        dtype: Option<&Bound<'py, PyAny>>,
        orient: Option<&str>,
        stats: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let wanted = Wanted::of(py, dtype)?;
        let plan = plan(wanted, orient, None, None, None, stats)?;
        let ranges: Vec<(usize, usize)> = ranges.extract()?;
        let ranges: Vec<_> = ranges.into_iter().map(|(start, end)| start..end).collect();
        let (data, decoded) = with_type!(wanted, T => this.part::<T>(py, &ranges, &plan)?, stored => {
            // Checked first: `stored` computes the size from the ranges.
            let extents = this.file.shape();
            for (axis, range) in ranges.iter().enumerate() {
                let extent = extents.get(axis).copied().unwrap_or(0);
                if range.start >= range.end || range.end > extent {
                    let (start, end, extent) = (range.start as u64, range.end as u64, extent as u64);
                    let error = NiftiError::Region { axis, start, end, extent };
                    return Err(errors::of_nifti(py, &error, Some(&this.path)));
                }
            }
            this.stored(py, Some(&ranges), plan.orientation, SERIAL)?
        });
        Self::image(slf, data, &decoded)
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let selection = Selection::of(key, self.file.shape())?;
        if selection.is_empty() {
            let shape = PyTuple::new(py, &selection.shape)?;
            return py.import("numpy")?.getattr("empty")?.call1((shape, "float32"));
        }
        let (data, _) = self.part::<f32>(py, &selection.ranges, &Plan::scaled())?;
        match selection.key(py)? {
            Some(key) => data.get_item(key),
            None => Ok(data),
        }
    }

    #[pyo3(signature = (dtype = None, copy = None))]
    fn __array__<'py>(
        slf: &Bound<'py, Self>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if copy == Some(false) {
            return Err(argument("an array of a file is always a copy; leave out copy=False".to_owned()));
        }
        let (py, this) = (slf.py(), slf.get());
        let wanted = Wanted::of(py, dtype)?;
        let (data, _) = with_type!(wanted, T => this.whole::<T>(py, &Plan::scaled(), None, SERIAL)?,
            stored => this.stored(py, None, None, SERIAL)?);
        Ok(data)
    }

    /// Exact statistics of all scaled values, in a few MiB of memory whatever the size of the volume.
    #[pyo3(signature = (*, threads = 1))]
    fn stats<'py>(&self, py: Python<'py>, threads: usize) -> PyResult<Bound<'py, PyAny>> {
        let stats = self.with_file(py, team(threads)?, |file, decoder| file.stats(decoder))?;
        statistics(py, &stats)
    }

    /// Reads the whole file and checks that all voxels are there and all checksums right; keeps nothing.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        self.with_file(py, SERIAL, |file, decoder| file.verify(decoder))
    }

    /// This volume with an index of its gzip stream, so that regions are read without unpacking what lies before them.
    /// Takes one read of the file; `save` names a file that keeps the index, and is used if it fits the file. Plain and
    /// blocked files need none.
    #[pyo3(signature = (save = None))]
    fn indexed(&self, py: Python<'_>, save: Option<PathBuf>) -> PyResult<Self> {
        let (path, verify) = (&self.path, self.verify);
        let file = self.with_file(py, SERIAL, |file, decoder| {
            let kept = save.as_deref().and_then(|save| std::fs::read(save).ok());
            let kept = kept.and_then(|bytes| Index::parse(&bytes).ok()).map(Arc::new);
            // An index of another version of the file is made anew.
            if let Some(index) = kept
                && let Ok(file) = open(path, verify, false)?.with_index(index)
            {
                return Ok(file);
            }
            let opened = open(path, verify, false)?;
            let Some(index) = file.index(decoder)? else { return Ok(opened) };
            if let Some(save) = &save {
                nifti_decode::atomically(save, |file| std::io::Write::write_all(file, &index.encode()))?;
            }
            opened.with_index(Arc::new(index))
        })?;
        Ok(Self { file, path: self.path.clone(), verify, is_mapped: false })
    }

    /// The unpacked copy of this volume in `directory`, made if it is missing: for regions of files that are read
    /// often. The copy belongs to this version of the file; a file that changes gets another one.
    fn unpacked(&self, py: Python<'_>, directory: PathBuf) -> PyResult<Self> {
        let path = self.with_file(py, SERIAL, |file, decoder| file.cached(decoder, &directory))?;
        Self::new(py, path, self.verify, self.is_mapped)
    }

    fn __len__(&self) -> usize {
        self.file.shape()[0]
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (py, this) = (slf.py(), slf.get());
        let make = py.import("assay_volumes._types")?.getattr("_open")?;
        let arguments = (this.path.as_os_str(), this.verify, this.is_mapped).into_pyobject(py)?;
        Ok((make, arguments))
    }

    fn __repr__(&self) -> PyResult<String> {
        let shape = self.file.shape().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let (stored, packing) = (self.file.datatype().name(), self.file.packing().name());
        let path = self.path.display().to_string();
        Ok(format!("Volume({path:?}, shape=({shape}), dtype={stored}, {}, {packing})", self.spatial()?))
    }
}
