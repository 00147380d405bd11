//! Phantoms on disk, created once per process and kind.

use std::{cell::RefCell, collections::HashMap, path::PathBuf, rc::Rc};

use nifti_decode::{Endian, Header, Kind, Orientation, Pack, Phantom, write};

/// What identifies a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) shape: &'static [usize],
    pub(crate) pack: &'static str,
    pub(crate) is_big: bool,
}

/// Kind and extents.
type Volume = (Kind, &'static [usize]);

/// Files and the phantoms in them.
#[derive(Default)]
pub(crate) struct Files {
    directory: RefCell<Option<tempfile::TempDir>>,
    made: RefCell<HashMap<Key, PathBuf>>,
    phantoms: RefCell<HashMap<Volume, Rc<Phantom>>>,
}

impl Files {
    /// Slope and intercept of every file: the numbers that an MR scanner might write.
    pub(crate) const SCALE: (f64, f64) = (0.5, -24.0);

    pub(crate) fn phantom(&self, kind: Kind, shape: &'static [usize]) -> Rc<Phantom> {
        let mut phantoms = self.phantoms.borrow_mut();
        let made = phantoms.entry((kind, shape)).or_insert_with(|| {
            // LAS, so that reorienting to RAS reverses x and reorienting to PSR moves every axis.
            let orientation: Orientation = "LAS".parse().expect("an orientation");
            Rc::new(Phantom::new(kind, Some(shape), orientation, 1).expect("a shape that fits"))
        });
        Rc::clone(made)
    }

    pub(crate) fn path(&self, key: &Key, pack: Pack) -> PathBuf {
        if let Some(path) = self.made.borrow().get(key) {
            return path.clone();
        }
        let mut directory = self.directory.borrow_mut();
        let directory = directory.get_or_insert_with(|| tempfile::tempdir().expect("a temporary directory"));
        let phantom = self.phantom(key.kind, key.shape);
        let suffix = if pack == Pack::Plain { "nii" } else { "nii.gz" };
        let path = directory.path().join(format!("{}.{suffix}", self.made.borrow().len()));
        let endian = if key.is_big { Endian::Big } else { Endian::Little };
        let header = Header { endian, ..phantom.header.clone().with_scale(Self::SCALE.0, Self::SCALE.1) };
        write(&path, &header, &[], &phantom.voxels, pack).expect("room for a phantom");
        self.made.borrow_mut().insert(key.clone(), path.clone());
        path
    }
}
