//! Errors of this crate, as values.

use std::{path::PathBuf, sync::Arc};

use nifti_decode::NiftiError;
use thiserror::Error;

/// A loader that cannot be built, or a sample that cannot be made.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum LoaderError {
    /// A file cannot be read.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: Arc<NiftiError>,
    },
    /// A file holds no single volume.
    #[error("{}: shape {shape:?}; need one volume of three axes", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Its extents.
        shape: Vec<usize>,
    },
    /// An affine that cannot be inverted, so that lengths in millimeters mean nothing.
    #[error("{}: the affine maps the volume to a plane", path.display())]
    Flat {
        /// The file.
        path: PathBuf,
    },
    /// An image and its labels have different extents.
    #[error("{}: labels of shape {labels:?} for an image of shape {image:?}", path.display())]
    Labels {
        /// The file of the labels.
        path: PathBuf,
        /// Their extents.
        labels: [usize; 3],
        /// Extents of the image.
        image: [usize; 3],
    },
    /// The sampler needs labels, and the file has none.
    #[error("the volume has no labels, which the sampler needs")]
    NoLabels,
    /// No file is left that can be read.
    #[error("none of {files} files can be read; the last one: {last}")]
    NoFile {
        /// Number of files.
        files: usize,
        /// Why the last one cannot.
        last: Box<LoaderError>,
    },
    /// A setting has a value that is not allowed.
    #[error("{setting} is {got}; need at least {need}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// Its value.
        got: usize,
        /// The smallest that is allowed.
        need: usize,
    },
    /// An option of a preparation or an augmentation that means nothing.
    #[error("{option}: {got}; need {need}")]
    Option {
        /// The option.
        option: &'static str,
        /// Its value.
        got: String,
        /// What it must be.
        need: &'static str,
    },
    /// The operating system refused to start a thread.
    #[error("failed to start a thread: {reason}")]
    Thread {
        /// What the system reported.
        reason: String,
    },
    /// A sampler or a source panicked.
    #[error("a worker panicked: {reason}")]
    Panicked {
        /// Its message.
        reason: String,
    },
}
