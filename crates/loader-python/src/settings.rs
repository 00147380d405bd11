//! A running loader from the settings in `assay_volumes.Loader`.

use std::path::PathBuf;

use loader::{
    AsymmetricPatches, Augment, Augmented, Builder, Cache, CenterCrop, Clip, Files, Item, Keep, Loader, LoaderError,
    OnFailure, Over, Place, PosNegCrop, Preparation, RandomCrop, Sampler, Step, f16,
};
use pyo3::prelude::*;

use crate::{batches::Running, errors, errors::argument, labels::Label};

/// The fields of a `Loader` of Python, which checked their ranges.
#[derive(FromPyObject)]
struct Settings<'py> {
    files: Vec<PathBuf>,
    labels: Option<Vec<Option<PathBuf>>>,
    sampler: Bound<'py, PyAny>,
    prepare: Vec<Bound<'py, PyAny>>,
    augment: Option<Bound<'py, PyAny>>,
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
        let kind = kind_of(sampler)?;
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

/// The name of a value's class.
fn kind_of(value: &Bound<'_, PyAny>) -> PyResult<String> {
    value.get_type().name()?.extract()
}

/// A step of the preparation, from the class of `assay_volumes` that stands for it.
fn step(value: &Bound<'_, PyAny>) -> PyResult<Step> {
    let pair = |field: &str| value.getattr(field)?.extract::<(f64, f64)>().map(|(a, b)| [a, b]);
    let bounds = || Ok::<_, PyErr>((value.getattr("low")?.extract()?, value.getattr("high")?.extract()?));
    let kind = kind_of(value)?;
    Ok(match kind.as_str() {
        "Spacing" => Step::Spacing(value.getattr("mm")?.extract()?),
        "Clip" => bounds().map(|(low, high)| Step::Clip(Clip::Values { low, high }))?,
        "ClipPercentiles" => bounds().map(|(low, high)| Step::Clip(Clip::Percentiles { low, high }))?,
        "ScaleRange" => {
            Step::Scale { from: pair("source")?, to: pair("target")?, is_clipped: value.getattr("clip")?.extract()? }
        }
        "ZScore" => match value.getattr("over")?.extract::<String>()?.as_str() {
            "nonzero" => Step::ZScore(Over::NonZero),
            _ => Step::ZScore(Over::All),
        },
        "CropForeground" => {
            Step::Foreground { above: value.getattr("above")?.extract()?, margin: value.getattr("margin")?.extract()? }
        }
        "Pad" => Step::Pad(value.getattr("size")?.extract()?),
        other => return Err(argument(format!("{other} is no step of a preparation"))),
    })
}

/// The changes that `assay_volumes.Augment` describes.
fn augment(value: &Bound<'_, PyAny>) -> PyResult<Augment> {
    let mut changes = Augment::new().flips(value.getattr("flips")?.extract()?);
    if let Some((probability, axes)) = value.getattr("rotations")?.extract::<Option<(f64, [usize; 2])>>()? {
        changes = changes.rotations(probability, axes);
    }
    if let Some((probability, mean, std)) = value.getattr("noise")?.extract::<Option<(f64, f64, f64)>>()? {
        changes = changes.noise(probability, mean, std);
    }
    if let Some((probability, range)) = value.getattr("gamma")?.extract::<Option<(f64, [f64; 2])>>()? {
        changes = changes.gamma(probability, range);
    }
    Ok(changes)
}

/// Crops, changed at random if that is asked for.
fn crops<P: Place>(
    builder: Builder,
    place: P,
    changes: Option<Augment>,
    is_half: bool,
) -> Result<Box<dyn Running>, LoaderError> {
    match changes {
        None => running(builder, place, is_half),
        Some(changes) => running(builder, Augmented::new(place, changes)?, is_half),
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
    let steps = settings.prepare.iter().map(step).collect::<PyResult<Vec<_>>>()?;
    let preparation = steps.into_iter().fold(Preparation::new(), Preparation::step);
    let files = Files::of(items).keeping(keep).prepared(preparation).map_err(|error| errors::of_loader(py, &error))?;
    let changes = settings.augment.as_ref().map(augment).transpose()?;
    let mut builder = Loader::builder(files)
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
        Samples::Random(sampler) => crops(builder, sampler, changes, is_half),
        Samples::Center(sampler) => crops(builder, sampler, changes, is_half),
        Samples::PosNeg(sampler) => crops(builder, sampler, changes, is_half),
    };
    started.map_err(|error| errors::of_loader(py, &error))
}
