//! The files that are loaded: phantoms, or a directory of the user's; and files that are out of the page cache.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ::loader::{Files, LoaderError, Memory, Source, Volume};
use anyhow::{Context as _, Result, ensure};
use nifti_decode::{Decoder, Kind, Orientation, Pack, Phantom, write};

use crate::scenarios::{cold, own};

/// Files, and the directory that holds them as long as this value lives.
pub(super) struct Data {
    pub(super) paths: Vec<PathBuf>,
    /// Whether a cell is to take seconds.
    pub(super) is_small: bool,
    _directory: Option<tempfile::TempDir>,
}

impl Data {
    /// The files of a value of the axis `data`.
    pub(super) fn make(name: &str) -> Result<Self> {
        let brain = |seed, shape: Option<[usize; 3]>, level| (Kind::Brain, shape, seed, level);
        let phantoms: Vec<_> = match name {
            "small" => (0..6).map(|seed| brain(seed, Some([96, 96, 64]), 1)).collect(),
            "mixed" => {
                let ct = (6..8).map(|seed| (Kind::Ct, Some([256, 256, 150]), seed, 6));
                (0..6).map(|seed| brain(seed, None, 6)).chain(ct).collect()
            }
            _ => return Self::own(&own::path()?.context("give the directory: --set data=DIR, as in ./volumes")?),
        };
        let directory = tempfile::tempdir()?;
        let mut paths = Vec::new();
        for (kind, shape, seed, level) in phantoms {
            let shape = shape.as_ref().map(|shape| &shape[..]);
            let phantom = Phantom::new(kind, shape, Orientation::LPS, seed)?;
            let path = directory.path().join(format!("{}-{seed}.nii.gz", kind.name()));
            write(&path, &phantom.header, &[], &phantom.voxels, Pack::Gzip { level })?;
            paths.push(path);
        }
        Ok(Self { paths, is_small: name == "small", _directory: Some(directory) })
    }

    fn own(directory: &Path) -> Result<Self> {
        let mut paths = Vec::new();
        for entry in directory.read_dir().with_context(|| format!("cannot list {}", directory.display()))? {
            let path = entry?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
            if name.ends_with(".nii") || name.ends_with(".nii.gz") {
                paths.push(path);
            }
        }
        ensure!(!paths.is_empty(), "no .nii or .nii.gz file in {}", directory.display());
        paths.sort();
        Ok(Self { paths, is_small: false, _directory: None })
    }
}

/// Files that are dropped from the page cache before each of them is decoded, which is checked.
pub(super) struct ColdFiles {
    files: Files,
    /// Two workers may want the same file: while one reads it, it is not cold for the other.
    in_use: Vec<Mutex<()>>,
}

impl ColdFiles {
    pub(super) fn new(files: Files) -> Result<Self> {
        let in_use = files.items().iter().map(|_| Mutex::default()).collect();
        for item in files.items() {
            cold::evict(&item.image)?;
        }
        Ok(Self { files, in_use })
    }
}

impl Source for ColdFiles {
    fn len(&self) -> usize {
        self.files.len()
    }

    /// # Panics
    /// Where the file stays in the page cache: the cell would not measure what it says.
    fn load(&self, number: usize, memory: Memory, decoder: &mut Decoder) -> Result<Volume, LoaderError> {
        let _alone = self.in_use[number].lock().unwrap_or_else(PoisonError::into_inner);
        let evicted = cold::evict(&self.files.items()[number].image);
        evicted.unwrap_or_else(|error| panic!("{error:#}"));
        self.files.load(number, memory, decoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_is_cold_whenever_it_is_decoded_or_refused() {
        let data = Data::make("small").unwrap();
        let (path, mut decoder) = (&data.paths[0], Decoder::new());
        assert!(cold::cached_share(path).unwrap() > 0.9);
        match ColdFiles::new(Files::new(&data.paths)) {
            Ok(files) => {
                for _ in 0..2 {
                    files.load(0, Memory::default(), &mut decoder).unwrap();
                    assert!(cold::cached_share(path).unwrap() > 0.9);
                }
            }
            // A file system in memory has nothing to read again from.
            Err(error) => assert!(error.to_string().contains("page cache"), "{error}"),
        }
    }

    #[test]
    fn a_directory_gives_its_volumes_in_order() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b.nii", "a.nii.gz", "note.txt"] {
            std::fs::write(directory.path().join(name), b"").unwrap();
        }
        let data = Data::own(directory.path()).unwrap();
        assert_eq!(data.paths, ["a.nii.gz", "b.nii"].map(|name| directory.path().join(name)));
        assert!(Data::own(&directory.path().join("none")).is_err());
    }
}
