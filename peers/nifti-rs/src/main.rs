//! The crate `nifti`: from a path to scaled f32, x fastest.

use std::path::Path;

use nifti::{IntoNdArray, NiftiObject, ReaderOptions};
use peer::{Case, Description, Implementation, Load, Ran, Refusal};

struct Nifti;

impl Implementation for Nifti {
    fn describe(&mut self) -> Result<Description, String> {
        Ok(Description::new("nifti", "0.18.0", "flate2 with miniz_oxide, one thread"))
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Load<'_> {
        if case.text("make")? != "f32" {
            return Err(Refusal::Unsupported("it reads whole volumes in their own order".to_owned()));
        }
        let path = inputs.join(if case.text("pack")? == "plain" { "v.nii" } else { "v.nii.gz" });
        let work = move || -> nifti::Result<Vec<f32>> {
            let array = ReaderOptions::new().read_file(&path)?.into_volume().into_ndarray()?;
            // In memory as in the file: x fastest.
            Ok(array.into_raw_vec_and_offset().0)
        };
        peer::remade(Ran::by("nifti", "ReaderOptions, into_ndarray"), work, |voxels| {
            voxels.iter().flat_map(|value| value.to_le_bytes()).collect()
        })
    }
}

fn main() -> std::io::Result<()> {
    peer::serve(&mut Nifti)
}
