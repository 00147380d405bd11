//! Cuts a region out of a volume and writes it as a NIfTI file of the same type, at its place in space.
//!
//! ```text
//! cargo run --release -p nifti-decode --example crop -- brain.nii.gz 40:104,60:124,30:94 crop.nii.gz
//! ```

use std::{error::Error, ops::Range, path::Path};

use nifti_decode::{Decoder, Header, Pack, VolumeFile, write};

fn main() -> Result<(), Box<dyn Error>> {
    let [input, region, output] = arguments()?;
    let file = VolumeFile::open(&input)?;
    let ranges = ranges(&region)?;

    // The stored numbers, so that nothing is rounded; the scaling stays in the header.
    let voxels: usize =
        file.shape().iter().enumerate().map(|(axis, &n)| ranges.get(axis).map_or(n, Range::len)).product();
    let mut bytes = vec![0; voxels * file.datatype().bytes()];
    let cropped = file.copy_region_into(&mut Decoder::new(), &ranges, None, &mut bytes)?;

    let stored = file.header();
    let header = Header::new(stored.version, file.datatype(), &cropped.shape)?.with_affine(&cropped.affine);
    let header = header.with_scale(stored.scl_slope, stored.scl_inter);
    let pack = if output.ends_with(".gz") { Pack::Gzip { level: 6 } } else { Pack::Plain };
    write(Path::new(&output), &header, file.extensions(), &bytes, pack)?;
    Ok(())
}

fn arguments() -> Result<[String; 3], Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    arguments.try_into().map_err(|_| "usage: crop INPUT X0:X1,Y0:Y1,Z0:Z1 OUTPUT".into())
}

/// `40:104,60:124` as ranges.
fn ranges(text: &str) -> Result<Vec<Range<usize>>, Box<dyn Error>> {
    text.split(',')
        .map(|axis| {
            let (start, end) = axis.split_once(':').ok_or_else(|| format!("{axis} is no range such as 40:104"))?;
            Ok(start.parse()?..end.parse()?)
        })
        .collect()
}
