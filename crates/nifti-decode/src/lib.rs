//! Volumes in NIfTI-1, NIfTI-2 and ANALYZE 7.5 files, plain or packed by gzip: headers, voxels, regions; and a writer.
//!
//! ```
//! use nifti_decode::{Decoder, Kind, Limits, Orientation, Pack, Phantom, Plan, VolumeFile, encode};
//!
//! let phantom = Phantom::new(Kind::Tiny, None, Orientation::LPS, 1)?;
//! let bytes = encode(&phantom.header, &[], &phantom.voxels, Pack::Gzip { level: 1 })?;
//!
//! let file = VolumeFile::from_bytes(bytes, Limits::default())?; // reads the header only
//! assert_eq!(file.shape(), [16, 16, 16]);
//!
//! let plan = Plan::scaled().oriented(Orientation::RAS).with_stats();
//! assert_eq!(plan.describe(file.datatype()).to_string(), "1 pass: convert and count");
//! let mut decoder = Decoder::new(); // keeps its memory for the next file
//! let volume = file.decode::<f32>(&mut decoder, &plan)?;
//! let stats = volume.stats().expect("the plan asks for them");
//! assert!(stats.min >= 0.0 && stats.p0_5 <= stats.median);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Order.** The first axis is the fastest, as in files: voxel (x, y, z) of a volume nx x ny x nz has the index x + nx
//! (y + ny z). A [`Volume`] has the shape of the result, which differs from the file's after a reorientation.
//!
//! **Exactness.** What an output type cannot hold is counted in [`Decoded::losses`], or refused where the type is an
//! integer.
//!
//! **Hostile files.** No content of a file makes these functions panic. Memory is allocated only after the header was
//! checked against the file's length (a gzip file cannot unpack to more than 1032 times its length) and against
//! [`Limits`]. A file that ends too early is an error, never a part of a volume.
//!
//! **Semantics** are those of nibabel where the format leaves a choice: scaling, affines, orientation. Where they
//! differ, the variant of [`Warning`] or [`NiftiError`] says so.

mod affine;
mod cache;
pub mod cases;
mod conversion;
mod convert;
mod copy;
mod decode;
mod decoder;
mod error;
mod file;
mod gzip;
mod header;
mod identity;
mod indexed;
mod limits;
mod pages;
mod phantom;
mod plan;
mod region;
mod scan;
mod source;
mod stats;
mod threads;
mod view;
mod volume;
mod watch;
mod write;

pub use affine::{Affine, AffineSource, AxisCode, Orientation, UnknownOrientation};
pub use convert::{Choice, Loss, Losses, Output, Value};
pub use decode::{Access, Decoded};
pub use decoder::Decoder;
pub use error::{Got, Irregular, NiftiError};
pub use file::VolumeFile;
pub use gzip::{GzipFault, Index};
pub use half::{bf16, f16};
pub use header::{
    Datatype, Endian, Extension, Header, Scale, SpaceUnit, TimeUnit, Version, Warning, extension_name, form_name,
};
pub use limits::Limits;
pub use op::Threads;
pub use pages::zeroed;
pub use phantom::{Kind, Phantom};
pub use plan::{Clip, Description, Normalize, Pass, Plan};
pub use source::Packing;
pub use stats::{Occurrences, Stats, Voxels};
pub use view::View;
pub use volume::{Volume, VolumeView};
pub use watch::Watch;
pub use write::{Pack, atomically, encode, write, write_watched};

/// The bytes of converted voxels, in this machine's order.
pub fn bytes_of<D: Output>(voxels: &[D]) -> &[u8] {
    bytemuck::cast_slice(voxels)
}

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
