//! The crate `nifti`: from a path to scaled f32, x fastest.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use nifti::{IntoNdArray, NiftiObject, ReaderOptions};
use peer::{Case, Implementation, Description, Loaded, Refusal};

struct Nifti;

impl Implementation for Nifti {
    fn describe(&mut self) -> Result<Description, String> {
        Ok(Description::new("nifti", "0.18.0", "flate2 with miniz_oxide, one thread"))
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Result<Loaded<'_>, Refusal> {
        if case.text("make")? != "f32" {
            return Err(Refusal::Unsupported("it reads whole volumes in their own order".to_owned()));
        }
        let path = inputs.join(if case.text("pack")? == "plain" { "v.nii" } else { "v.nii.gz" });
        let work = move || -> nifti::Result<Vec<f32>> {
            let array = ReaderOptions::new().read_file(&path)?.into_volume().into_ndarray()?;
            // In memory as in the file: x fastest.
            Ok(array.into_raw_vec_and_offset().0)
        };
        let voxels = Rc::new(RefCell::new(work().map_err(|error| Refusal::Error(error.to_string()))?));
        let shown = voxels.clone();
        let run = move || {
            // Reading the same file succeeded above.
            if let Ok(read) = work() {
                *voxels.borrow_mut() = read;
            }
        };
        let output = move || shown.borrow().iter().flat_map(|value| value.to_le_bytes()).collect();
        Ok(Loaded::new("ReaderOptions, into_ndarray", run, output))
    }
}

fn main() -> std::io::Result<()> {
    peer::serve(&mut Nifti)
}
