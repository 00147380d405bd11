//! A loader that runs: `assay_volumes.Batches`, the iterator of `iter(Loader(…))`.

use std::process;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use loader::{Counters, Loader, LoaderError, Sampler};
use pyo3::{prelude::*, sync::PyOnceLock, types::PyType};

use crate::{
    batch::{Batch, Content, Shown},
    errors::{self, detached},
    labels::Label,
    settings,
};

/// How long a wait for a batch lasts before signals, such as Ctrl-C, are looked for.
const SIGNALS_EVERY: Duration = Duration::from_millis(50);

/// A loader of whatever types.
pub(crate) trait Running: Send {
    /// Whether [`next`](Self::next) returns without waiting for a worker, now or within `at_most`.
    fn wait(&self, at_most: Duration) -> bool;
    fn next(&mut self) -> Option<Result<Box<dyn Content>, LoaderError>>;
    fn counters(&self) -> Counters;
    fn ready(&self) -> usize;
}

impl<S: Sampler, T: Shown> Running for Loader<S, T>
where
    S::Label: Label,
{
    fn wait(&self, at_most: Duration) -> bool {
        self.wait(at_most)
    }

    fn next(&mut self) -> Option<Result<Box<dyn Content>, LoaderError>> {
        Iterator::next(self).map(|batch| batch.map(|batch| Box::new(batch) as Box<dyn Content>))
    }

    fn counters(&self) -> Counters {
        self.counters()
    }

    fn ready(&self) -> usize {
        self.ready()
    }
}

/// A loader, or what is left of it.
enum State {
    Open(Box<dyn Running>),
    Closed(Counters),
}

/// A running loader: an iterator of batches. Its threads end with `close()`, with the `with` block, or with the
/// iterator.
///
/// Ctrl-C interrupts a wait for a batch, and no batch is lost. An exception about a file ends the iteration where
/// `on_failure` is "stop". In a forked process, it raises `ForkError`.
#[pyclass(frozen, module = "assay_volumes", name = "Batches")]
pub(crate) struct Batches {
    state: Mutex<State>,
    loader: Py<PyAny>,
    process: u32,
}

/// What became of a try to take a batch.
enum Step {
    Waits,
    Ended,
    Taken(Result<Box<dyn Content>, LoaderError>),
}

impl Batches {
    fn check_process(&self, py: Python<'_>) -> PyResult<()> {
        if self.process == process::id() {
            return Ok(());
        }
        let message = "this iterator was made in another process, and its threads did not survive the fork: \
                       call iter(loader) in the process that uses it";
        Err(errors::raise(py, "ForkError", message, None))
    }

    /// Runs `work` with the state, without the GIL.
    fn with_state<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut State) -> T + Send) -> PyResult<T> {
        self.check_process(py)?;
        detached(py, || work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Drop for Batches {
    /// Dropping a loader waits for its threads. In a forked process there are none, and the wait would not end.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let state = std::mem::replace(state, State::Closed(Counters::default()));
        if self.process != process::id() {
            std::mem::forget(state);
            return;
        }
        // Without an interpreter, `state` is dropped with the closure.
        let _ = Python::try_attach(|py| py.detach(|| drop(state)));
    }
}

#[pymethods]
impl Batches {
    #[new]
    fn new(loader: Bound<'_, PyAny>) -> PyResult<Self> {
        let state = Mutex::new(State::Open(settings::start(&loader)?));
        Ok(Self { state, loader: loader.unbind(), process: process::id() })
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        loop {
            let step = self.with_state(py, |state| match state {
                State::Closed(_) => Step::Ended,
                State::Open(loader) if !loader.wait(SIGNALS_EVERY) => Step::Waits,
                State::Open(loader) => loader.next().map_or(Step::Ended, Step::Taken),
            })?;
            match step {
                // No batch is lost: it is there when the iterator is asked again.
                Step::Waits => py.check_signals()?,
                Step::Ended => return Ok(None),
                Step::Taken(Ok(content)) => return Ok(Some(Batch::new(content))),
                Step::Taken(Err(error)) => return Err(errors::of_loader(py, &error)),
            }
        }
    }

    /// The settings.
    #[getter]
    fn loader(&self, py: Python<'_>) -> Py<PyAny> {
        self.loader.clone_ref(py)
    }

    /// What was done so far.
    #[getter]
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static COUNTERS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let counters = self.with_state(py, |state| match state {
            State::Open(loader) => loader.counters(),
            State::Closed(counters) => counters.clone(),
        })?;
        let skipped: Vec<(usize, String)> =
            counters.skipped.iter().map(|skipped| (skipped.file, skipped.error.to_string())).collect();
        COUNTERS.import(py, "assay_volumes._types", "Counters")?.call_method1(
            "_of",
            (
                counters.samples,
                counters.loads,
                counters.replacements,
                counters.decoded_bytes,
                counters.volume_waits,
                counters.volume_wait.as_secs_f64(),
                counters.batch_waits,
                counters.batch_wait.as_secs_f64(),
                counters.peak_volume_bytes,
                skipped,
            ),
        )
    }

    /// Batches that are filled and wait to be taken.
    #[getter]
    fn ready(&self, py: Python<'_>) -> PyResult<usize> {
        self.with_state(py, |state| match state {
            State::Open(loader) => loader.ready(),
            State::Closed(_) => 0,
        })
    }

    /// Ends the threads, after the volumes that are being decoded, and frees the pool. Counters stay.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.with_state(py, |state| {
            if let State::Open(loader) = state {
                let counters = loader.counters();
                *state = State::Closed(counters);
            }
        })
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _class: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.close(py)
    }
}
