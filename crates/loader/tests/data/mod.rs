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

/// Brains, the n-th of a shape of its own.
pub(crate) fn brains(directory: &Path, n: usize) -> Vec<PathBuf> {
    (0..n)
        .map(|i| {
            let name = format!("brain-{i}.nii{}", if i % 2 == 0 { ".gz" } else { "" });
            let orientation = if i % 3 == 0 { "PSR".parse().unwrap() } else { Orientation::LPS };
            file(directory, &name, (Kind::Brain, [36 + i, 40, 30 + 2 * i]), orientation, |header| header)
        })
        .collect()
}
