//! Where volumes come from: files, or whatever else implements [`Source`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nifti_decode::{Decoder, Limits, NiftiError, VolumeFile};

use crate::{
    LoaderError, Memory, Preparation,
    memory::Recycler,
    volume::{Keep, LabelFault, Unfit, Volume},
};

/// Volumes between decoding and preparing whose memory is kept: as many threads as decode at the same time, mostly.
const BETWEEN: usize = 4;

/// A numbered set of volumes. Threads load at the same time.
pub trait Source: Send + Sync + 'static {
    /// Number of volumes.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Loads a volume into `memory`, which held another one before. The same number gives the same volume, or fails,
    /// every time: a loader's samples are only then the same in every run.
    ///
    /// # Errors
    /// Whatever is wrong with the volume.
    fn load(&self, number: usize, memory: Memory, decoder: &mut Decoder) -> Result<Volume, LoaderError>;
}

impl<S: Source> Source for Arc<S> {
    fn len(&self) -> usize {
        S::len(self)
    }

    fn load(&self, number: usize, memory: Memory, decoder: &mut Decoder) -> Result<Volume, LoaderError> {
        S::load(self, number, memory, decoder)
    }
}

/// An image, and the file of its labels if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The image.
    pub image: PathBuf,
    /// Labels of the same extents, whole numbers from 0 to 255.
    pub labels: Option<PathBuf>,
}

/// NIfTI files, plain or packed, reoriented to RAS.
#[derive(Debug, Clone)]
pub struct Files {
    items: Vec<Item>,
    keep: Keep,
    limits: Limits,
    preparation: Option<Arc<Preparation>>,
    /// Memory of volumes that are not prepared yet.
    between: Arc<Recycler>,
}

impl Files {
    /// Images without labels.
    pub fn new<P: Into<PathBuf>>(images: impl IntoIterator<Item = P>) -> Self {
        Self::of(images.into_iter().map(|image| Item { image: image.into(), labels: None }))
    }

    /// Images with or without labels.
    pub fn of(items: impl IntoIterator<Item = Item>) -> Self {
        Self {
            items: items.into_iter().collect(),
            keep: Keep::default(),
            limits: Limits::default(),
            preparation: None,
            between: Recycler::new(BETWEEN),
        }
    }

    /// With voxels of this type in memory.
    #[must_use]
    pub fn keeping(self, keep: Keep) -> Self {
        Self { keep, ..self }
    }

    /// With these limits of what a file may make the decoder allocate.
    #[must_use]
    pub fn limited(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// With every volume prepared before samples are taken from it.
    ///
    /// # Errors
    /// [`LoaderError::Option`] for an option that means nothing.
    pub fn prepared(self, preparation: Preparation) -> Result<Self, LoaderError> {
        preparation.check()?;
        let preparation = (!preparation.steps().is_empty()).then(|| Arc::new(preparation));
        Ok(Self { preparation, ..self })
    }

    /// The files.
    pub fn items(&self) -> &[Item] {
        &self.items
    }
}

fn fault(path: &Path, error: NiftiError) -> LoaderError {
    LoaderError::File { path: path.to_owned(), error: Arc::new(error) }
}

impl Source for Files {
    fn len(&self) -> usize {
        self.items.len()
    }

    fn load(&self, number: usize, memory: Memory, decoder: &mut Decoder) -> Result<Volume, LoaderError> {
        let Some(preparation) = &self.preparation else { return self.decode(number, memory, decoder) };
        let volume = self.decode(number, self.between.memory(), decoder)?;
        preparation.run(volume, memory, &self.between)
    }
}

impl Files {
    fn decode(&self, number: usize, memory: Memory, decoder: &mut Decoder) -> Result<Volume, LoaderError> {
        let Item { image, labels } = &self.items[number];
        let file = VolumeFile::open_with(image, self.limits).map_err(|error| fault(image, error))?;
        let volume = Volume::decode(&file, self.keep, memory, decoder).map_err(|unfit| match unfit {
            Unfit::File(error) => fault(image, error),
            Unfit::Shape(shape) => LoaderError::Shape { path: image.clone(), shape },
            Unfit::Flat => LoaderError::Flat { path: image.clone() },
        })?;
        let Some(labels) = labels else { return Ok(volume) };
        let file = VolumeFile::open_with(labels, self.limits).map_err(|error| fault(labels, error))?;
        let shape = volume.shape();
        volume.with_labels(&file, decoder).map_err(|unfit| match unfit {
            LabelFault::File(error) => fault(labels, error),
            LabelFault::Shape(found) => LoaderError::Labels { path: labels.clone(), labels: found, image: shape },
        })
    }
}
