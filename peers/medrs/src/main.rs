//! medrs: from a path to scaled f32, x fastest.

use std::path::{Path, PathBuf};

use medrs::nifti::{load, load_cropped};
use peer::{Case, Description, Implementation, Load, Ran, Refusal};

struct Medrs;

/// Edge of a patch.
const PATCH: usize = 64;

type Read = Box<dyn Fn() -> Result<Vec<f32>, String>>;

fn work(make: &str, path: PathBuf, shape: [usize; 3]) -> Option<Read> {
    // Its arrays keep the order of the file, first axis fastest.
    fn voxels(image: &medrs::nifti::NiftiImage) -> Result<Vec<f32>, String> {
        let array = image.to_f32().map_err(|error| error.to_string())?;
        if array.t().is_standard_layout() {
            return Ok(array.into_raw_vec_and_offset().0);
        }
        Ok(array.t().iter().copied().collect())
    }
    match make {
        "f32" => Some(Box::new(move || voxels(&load(&path).map_err(|error| error.to_string())?))),
        "patch" => {
            let start = shape.map(|n| n.saturating_sub(PATCH) / 2);
            let part = move || load_cropped(&path, start, [PATCH; 3]).map_err(|error| error.to_string());
            Some(Box::new(move || voxels(&part()?)))
        }
        "slice" => {
            let part = move || load_cropped(&path, [0; 3], [shape[0], shape[1], 1]).map_err(|error| error.to_string());
            Some(Box::new(move || voxels(&part()?)))
        }
        _ => None,
    }
}

impl Implementation for Medrs {
    fn describe(&mut self) -> Result<Description, String> {
        Ok(Description::new("medrs", "0.2.0", "load, to_f32; its own cache of ten files for patches of .nii.gz"))
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Load<'_> {
        let path = inputs.join(if case.text("pack")? == "plain" { "v.nii" } else { "v.nii.gz" });
        let shape = [case.number("x")?, case.number("y")?, case.number("z")?];
        let Some(work) = work(case.text("make")?, path, shape) else {
            return Err(Refusal::Unsupported("it has no such call on a file".to_owned()));
        };
        peer::remade(Ran::by("medrs", "load, to_f32"), work, |voxels| {
            voxels.iter().flat_map(|value| value.to_le_bytes()).collect()
        })
    }
}

fn main() -> std::io::Result<()> {
    peer::serve(&mut Medrs)
}
