//! Small volumes in files.

use std::path::{Path, PathBuf};

use nifti_decode::{Header, Kind, Orientation, Pack, Phantom, write};

/// A phantom in a file.
pub(crate) fn file(
    directory: &Path,
    name: &str,
    (kind, shape): (Kind, [usize; 3]),
    orientation: Orientation,
    change: impl FnOnce(Header) -> Header,
) -> PathBuf {
    let seed = name.bytes().map(u64::from).sum();
    let phantom = Phantom::new(kind, Some(&shape), orientation, seed).unwrap();
    let path = directory.join(name);
    let pack = if name.ends_with(".gz") { Pack::Gzip { level: 1 } } else { Pack::Plain };
    write(&path, &change(phantom.header), &[], &phantom.voxels, pack).unwrap();
    path
}
