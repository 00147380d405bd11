//! The files that are loaded: phantoms, or a directory of the user's; and files that are out of the page cache.

use std::fs::File;
use std::path::{Path, PathBuf};

use ::loader::{Files, LoaderError, Memory, Source, Volume};
use anyhow::{Context as _, Result, ensure};
use nifti_decode::{Decoder, Kind, Orientation, Pack, Phantom, write};

use crate::scenarios::own;

/// Of a file in the page cache, at most, where it counts as cold: its header is read ahead.
const COLD: f64 = 0.25;

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

/// Files that are dropped from the page cache after they were read, and checked to be out of it before.
pub(super) struct ColdFiles(Files);

impl ColdFiles {
    pub(super) fn new(files: Files) -> Result<Self> {
        for item in files.items() {
            gguf::file::evict(&item.image).with_context(|| item.image.display().to_string())?;
        }
        Ok(Self(files))
    }
}

impl Source for ColdFiles {
    fn len(&self) -> usize {
        self.0.len()
    }

    /// # Panics
    /// Where the file is still in the page cache: the cell would not measure what it says.
    fn load(&self, number: usize, memory: Memory, decoder: &mut Decoder) -> Result<Volume, LoaderError> {
        let path = &self.0.items()[number].image;
        let share = cached_share(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let percent = 100.0 * share;
        assert!(share <= COLD, "{percent:.0} % of {} stay in the page cache: is it on a disk?", path.display());
        let volume = self.0.load(number, memory, decoder);
        gguf::file::evict(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        volume
    }
}

/// How much of a file is in the page cache.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the system's only account of its page cache wants a map and a pointer")]
fn cached_share(path: &Path) -> std::io::Result<f64> {
    // SAFETY: the map is only asked for the state of its pages; its bytes are not read.
    let map = unsafe { memmap2::Mmap::map(&File::open(path)?) }?;
    // SAFETY: a number is passed, and nothing else happens.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let mut states = vec![0_u8; map.len().div_ceil(page)];
    // SAFETY: the range is that of the map, and `states` has a byte for each of its pages.
    if unsafe { libc::mincore(map.as_ptr().cast_mut().cast(), map.len(), states.as_mut_ptr()) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(states.iter().filter(|state| **state & 1 == 1).count() as f64 / states.len().max(1) as f64)
}

#[cfg(not(target_os = "linux"))]
fn cached_share(path: &Path) -> std::io::Result<f64> {
    File::open(path)?;
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_that_was_just_written_is_cached_and_refused() {
        let data = Data::make("small").unwrap();
        assert!(cached_share(&data.paths[0]).unwrap() > 0.9);
        let cold = ColdFiles(Files::new(&data.paths));
        let load = || cold.load(0, Memory::default(), &mut Decoder::new()).is_ok();
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(load)).is_err());
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
