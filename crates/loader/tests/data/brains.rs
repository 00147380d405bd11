//! Brains in files.

use std::path::{Path, PathBuf};

use nifti_decode::{Kind, Orientation};

use super::data::file;

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
