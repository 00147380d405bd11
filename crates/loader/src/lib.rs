//! Batches for training from volumes in NIfTI files: patches and crops out of a pool of decoded volumes that is
//! replaced in the background.
//!
//! ```
//! use loader::{AsymmetricPatches, Files, Loader};
//! # let directory = tempfile::tempdir()?;
//! # let paths: Vec<_> = (0..3_u64)
//! #     .map(|seed| {
//! #         let path = directory.path().join(format!("{seed}.nii"));
//! #         let kind = nifti_decode::Kind::Brain;
//! #         let phantom = nifti_decode::Phantom::new(kind, Some(&[40, 40, 30]), nifti_decode::Orientation::LPS, seed)?;
//! #         nifti_decode::write(&path, &phantom.header, &[], &phantom.voxels, nifti_decode::Pack::Plain)?;
//! #         Ok::<_, nifti_decode::NiftiError>(path)
//! #     })
//! #     .collect::<Result<_, _>>()?;
//! let loader = Loader::builder(Files::new(paths))
//!     .pool(2, 64) // two volumes in memory, each replaced after 64 samples
//!     .workers(2)
//!     .batch(4)
//!     .seed(42)
//!     .samples(10)
//!     .build::<f32, _>(AsymmetricPatches::new(16))?;
//! for batch in loader {
//!     let batch = batch?;
//!     assert_eq!(batch.pixels().len(), batch.len() * 2 * 16 * 16 * 16); // samples, views, patches, rows, columns
//!     assert_eq!(batch.labels()[0].points[1].len(), 16);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Determinism.** What sample i is depends on the seed, the files and i alone: [`Schedule`] says which file it comes
//! from, and its random numbers are a stream of their own. Workers fill whole batches and a ring puts them in order, so
//! the samples have the same bits with any number of workers and any size of batch.
//!
//! **The pool.** Sample i is taken from slot i modulo the number of slots. Volumes keep the type of the file; their
//! statistics are computed while they are decoded. Replacements are staggered: one volume is decoded every `visits`
//! samples, by a thread of its own, ahead of its first use. The first sample waits for one volume, not for the pool.
//!
//! **The order of training.** [`Preparation`]: spacing, clips, z-scores, foreground and pads, once for each volume.
//! [`Augment`]: flips, rotations, noise and gamma of crops. Each step is defined as MONAI or SimpleITK define it.
//!
//! **Memory.** At most one volume more than the pool has slots is held by the pool; workers may hold one each for as
//! long as a sample takes. Buffers of batches come back when a [`Batch`] is dropped; those of volumes are used again.
//!
//! **Failing files** are reported in [`Counters::skipped`] and replaced by another file, or end the run:
//! [`OnFailure`].

mod batch;
mod builder;
mod counters;
mod error;
mod loader;
mod memory;
mod pool;
mod prepare;
mod reference;
mod sample;
mod schedule;
mod source;
mod volume;
mod workers;

pub use batch::Batch;
pub use builder::{Builder, Cache, OnFailure};
pub use counters::{Counters, Skipped};
pub use error::LoaderError;
pub use half::f16;
pub use loader::Loader;
pub use memory::Memory;
pub use nifti_decode::{Clip, Voxels as Over};
pub use prepare::{Preparation, Step};
pub use reference::Reference;
pub use sample::asymmetric::{AsymmetricPatches, SIDE, Views, Window};
pub use sample::augment::{Augment, Augmented, Changes, DrawnNoise, Turn};
pub use sample::classes::Classes;
pub use sample::crop::{CenterCrop, Crop, Place, PosNegCrop, RandomCrop};
pub use sample::{Pixel, Sampler, random};
pub use schedule::Schedule;
pub use source::{Files, Item, Source};
pub use volume::{Keep, Volume, Voxels};

/// The example of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
