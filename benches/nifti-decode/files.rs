//! Phantoms on disk, created once per process and kind.

use std::{cell::RefCell, collections::HashMap, path::PathBuf, rc::Rc};

use nifti_decode::{
    Endian, Header, Kind, Orientation, Phantom,
    cases::{Packing, SCALE},
    write,
};

/// What identifies a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) shape: [usize; 3],
    pub(crate) packing: Packing,
    pub(crate) is_big: bool,
}

/// Kind and extents.
type Volume = (Kind, [usize; 3]);

/// Files and the phantoms in them.
#[derive(Default)]
pub(crate) struct Files {
    directory: RefCell<Option<tempfile::TempDir>>,
    made: RefCell<HashMap<Key, PathBuf>>,
    phantoms: RefCell<HashMap<Volume, Rc<Phantom>>>,
}

impl Files {
    pub(crate) fn phantom(&self, kind: Kind, shape: [usize; 3]) -> Rc<Phantom> {
        let mut phantoms = self.phantoms.borrow_mut();
        let made = phantoms.entry((kind, shape)).or_insert_with(|| {
            // LAS, so that reorienting to RAS reverses x and reorienting to PSR moves every axis.
            let orientation: Orientation = "LAS".parse().expect("an orientation");
            Rc::new(Phantom::new(kind, Some(&shape), orientation, 1).expect("a shape that fits"))
        });
        Rc::clone(made)
    }

    pub(crate) fn path(&self, key: &Key) -> PathBuf {
        if let Some(path) = self.made.borrow().get(key) {
            return path.clone();
        }
        let mut directory = self.directory.borrow_mut();
        let directory = directory.get_or_insert_with(|| tempfile::tempdir().expect("a temporary directory"));
        let phantom = self.phantom(key.kind, key.shape);
        let suffix = if key.packing == Packing::Plain { "nii" } else { "nii.gz" };
        let path = directory.path().join(format!("{}.{suffix}", self.made.borrow().len()));
        let endian = if key.is_big { Endian::Big } else { Endian::Little };
        let header = Header { endian, ..phantom.header.clone().with_scale(SCALE.0, SCALE.1) };
        write(&path, &header, &[], &phantom.voxels, key.packing.pack()).expect("room for a phantom");
        self.made.borrow_mut().insert(key.clone(), path.clone());
        path
    }
}
