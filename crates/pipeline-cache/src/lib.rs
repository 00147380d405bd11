//! What outlives a process that compiles for a GPU, on disk: blobs of the driver, compiled kernels, tuning choices.
//!
//! A driver compiles a pipeline in milliseconds to seconds, and a tuner measures variants for longer than that. Both
//! results hold as long as nothing that they depend on changes: the [`Key`]. A [`Cache`] keeps one file per key and
//! [`Layer`]. It knows no GPU interface; [`Pipelines`] ties a driver's blob to it through the trait [`Driver`].
//!
//! Three rules:
//!
//! - **A cache never fails its caller.** A file that is missing, damaged or of another key is a miss, counted by its
//!   reason ([`Reject`]), and set aside. The caller compiles as if there were no cache.
//! - **A cache that does nothing says so.** [`State::Disabled`] carries the reason, and [`CacheReport`] the bytes and
//!   the counts by which a benchmark proves that the cache was at work.
//! - **What the driver is given was written by this user.** Drivers trust a blob's content, so a planted file is code.
//!   Folders that others may write to are refused ([`FolderError`]), and a checksum guards against accidents: a
//!   driver's own check does not find a flipped bit.
//!
//! The files are in `entry`, the folder and its limits in `folder`, the decisions in `cache`.

mod cache;
mod choices;
mod digest;
mod entry;
mod folder;
mod key;
mod pipelines;
mod reject;
mod report;
mod wire;

pub use cache::{Cache, Limits, Stored};
pub use choices::{Choices, Question};
pub use digest::Digest;
pub use entry::Layer;
pub use folder::{FolderError, caches_of_user, folder_of_user};
pub use key::{DeviceKey, Key};
pub use pipelines::{Driver, Pipelines};
pub use reject::Reject;
pub use report::{CacheReport, Disabled, DriverBlob, State};

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
