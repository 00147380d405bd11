//! A running loader from the settings in `assay_volumes.Loader`.

use std::path::PathBuf;

use loader::{
    AsymmetricPatches, Builder, Cache, CenterCrop, Files, Item, Keep, Loader, LoaderError, OnFailure, PosNegCrop,
    RandomCrop, Sampler, f16,
};
use pyo3::prelude::*;

use crate::{batches::Running, errors, errors::argument, labels::Label};

/// The fields of a `Loader` of Python, which checked their ranges.
#[derive(FromPyObject)]
struct Settings<'py> {
    files: Vec<PathBuf>,
    labels: Option<Vec<Option<PathBuf>>>,
    sampler: Bound<'py, PyAny>,
    batch: usize,
    workers: usize,
    pool: Option<usize>,
    visits: usize,
    decoders: usize,
    ahead: Option<usize>,
    seed: u64,
    shuffle: bool,
    samples: Option<u64>,
    on_failure: String,
    dtype: String,
    keep: String,
}

/// What is sampled.
enum Samples {
    Patches(AsymmetricPatches),
    Random(RandomCrop),
    Center(CenterCrop),
    PosNeg(PosNegCrop),
}

impl Samples {
    fn of(sampler: &Bound<'_, PyAny>) -> PyResult<Self> {
        let kind: String = sampler.get_type().name()?.extract()?;
        let size = || sampler.getattr("size")?.extract::<[usize; 3]>();
        Ok(match kind.as_str() {
            "AsymmetricPatches" => Self::Patches(AsymmetricPatches::new(sampler.getattr("patches")?.extract()?)),
            "RandomCrop" => Self::Random(RandomCrop { size: size()? }),
            "CenterCrop" => Self::Center(CenterCrop { size: size()? }),
            "PosNegCrop" => Self::PosNeg(PosNegCrop {
                size: size()?,
                positive: sampler.getattr("positive")?.extract()?,
                negative: sampler.getattr("negative")?.extract()?,
            }),
            other => return Err(argument(format!("{other} is no sampler of this package"))),
        })
    }
}

fn running<S: Sampler>(builder: Builder, sampler: S, is_half: bool) -> Result<Box<dyn Running>, LoaderError>
where
    S::Label: Label,
{
    Ok(if is_half { Box::new(builder.build::<f16, _>(sampler)?) } else { Box::new(builder.build::<f32, _>(sampler)?) })
}

/// Starts the threads.
pub(crate) fn start(loader: &Bound<'_, PyAny>) -> PyResult<Box<dyn Running>> {
    let py = loader.py();
    let settings: Settings<'_> = loader.extract()?;
    let mut labels = settings.labels.unwrap_or_default().into_iter();
    let items = settings.files.into_iter().map(|image| Item { image, labels: labels.next().flatten() });
    let keep = if settings.keep == "float32" { Keep::F32 } else { Keep::Native };
    let mut builder = Loader::builder(Files::of(items).keeping(keep))
        .cache(settings.pool.map_or(Cache::Cold, |slots| Cache::Pool { slots, visits: settings.visits }))
        .workers(settings.workers)
        .decoders(settings.decoders)
        .batch(settings.batch)
        .seed(settings.seed)
        .shuffled(settings.shuffle)
        .on_failure(if settings.on_failure == "stop" { OnFailure::Stop } else { OnFailure::Skip });
    if let Some(batches) = settings.ahead {
        builder = builder.ahead(batches);
    }
    if let Some(samples) = settings.samples {
        builder = builder.samples(samples);
    }
    let is_half = settings.dtype == "float16";
    let started = match Samples::of(&settings.sampler)? {
        Samples::Patches(sampler) => running(builder, sampler, is_half),
        Samples::Random(sampler) => running(builder, sampler, is_half),
        Samples::Center(sampler) => running(builder, sampler, is_half),
        Samples::PosNeg(sampler) => running(builder, sampler, is_half),
    };
    started.map_err(|error| errors::of_loader(py, &error))
}
