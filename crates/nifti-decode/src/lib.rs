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
//! **Order.** Arrays have x first, as files do: voxel (x, y, z) of a volume nx x ny x nz stands at x + nx (y + ny z).
//!
//! **What a file may do.** Nothing that is in a file makes these functions panic. Memory is asked for only after the header agrees with
//! the file's length (a gzip file cannot unpack to more than 1032 times its length) and with [`Limits`]. A file that ends too
//! early is an error, never a part of a volume.
//!
//! **Semantics** are those of nibabel where files leave a choice: scaling, affines, orientation. Where they differ, the variant
//! of [`Warning`] or [`NiftiError`] says so.

mod affine;
mod cache;
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
mod view;
mod volume;
mod watch;
mod write;

pub use affine::{Affine, AffineSource, AxisCode, Orientation, UnknownOrientation};
pub use convert::{Choice, Output};
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
pub use pages::zeroed;
pub use phantom::{Kind, Phantom};
pub use plan::{Clip, Description, Normalize, Pass, Plan};
pub use source::Packing;
pub use stats::{Stats, Voxels};
pub use view::View;
pub use volume::{Volume, VolumeView};
pub use watch::Watch;
pub use write::{Pack, abandon_unfinished, atomically, encode, write, write_watched};

/// The bytes of converted voxels, in this machine's order.
pub fn bytes_of<D: Output>(voxels: &[D]) -> &[u8] {
    bytemuck::cast_slice(voxels)
}
