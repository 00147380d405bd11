//! `assay nifti prepare`: what a loader does to a whole volume before training.

use std::path::PathBuf;

use ::loader::{Clip, Files, Item, Over, Preparation, Source as _, Voxels};
use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, ValueEnum};
use nifti_decode::{Datatype, Decoder, Header, Version, bytes_of, write};
use serde_json::json;

use super::{
    named, open,
    options::{PackOptions, numbers},
    output::Target,
};
use crate::print;

/// Voxels that a z-score is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ZScore {
    /// All
    All,
    /// Those other than 0; zeros stay 0
    Nonzero,
}

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The volume
    input: PathBuf,
    /// The new file, of float32: .nii or .nii.gz
    output: PathBuf,
    /// Labels of the volume, resampled, cut and padded with it
    #[arg(long, requires = "labels_out")]
    labels: Option<PathBuf>,
    /// The new file of the labels, of uint8
    #[arg(long, requires = "labels")]
    labels_out: Option<PathBuf>,
    /// Distances of voxels in millimeters, X,Y,Z: MONAI's Spacing, SimpleITK's Resample
    #[arg(long, value_parser = reals)]
    spacing: Option<Reals>,
    /// Clips to the values LOW,HIGH
    #[arg(long, value_parser = reals, allow_hyphen_values = true)]
    clip: Option<Reals>,
    /// Clips to the percentiles LOW,HIGH
    #[arg(long, value_parser = reals)]
    clip_percentiles: Option<Reals>,
    /// Maps A,B to C,D and clips: MONAI's ScaleIntensityRange
    #[arg(long, value_parser = reals, allow_hyphen_values = true)]
    range: Option<Reals>,
    /// To mean 0 and standard deviation 1: MONAI's NormalizeIntensity
    #[arg(long, value_enum)]
    zscore: Option<ZScore>,
    /// Cuts the box of all values above this one: MONAI's CropForeground
    #[arg(long, allow_hyphen_values = true)]
    foreground: Option<f64>,
    /// Voxels around that box
    #[arg(long, default_value = "0", requires = "foreground")]
    margin: usize,
    /// Zeros around the volume up to X,Y,Z voxels: MONAI's SpatialPad
    #[arg(long, value_parser = size)]
    pad: Option<Size>,
    #[command(flatten)]
    pack: PackOptions,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Numbers of an option; clap takes a `Vec` for an option that is given several times.
#[derive(Debug, Clone, PartialEq)]
struct Reals(Vec<f64>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size([usize; 3]);

fn reals(text: &str) -> Result<Reals, String> {
    let number = |word: &str| word.trim().parse().map_err(|_| format!("{word:?} is not a number"));
    text.split(',').map(number).collect::<Result<_, _>>().map(Reals)
}

fn size(text: &str) -> Result<Size, String> {
    let numbers = numbers(text)?;
    <[usize; 3]>::try_from(numbers).map(Size).map_err(|_| "three numbers, X,Y,Z".to_owned())
}

impl Reals {
    fn array<const N: usize>(&self, option: &str) -> Result<[f64; N]> {
        <[f64; N]>::try_from(&self.0[..]).ok().with_context(|| format!("{option} takes {N} numbers"))
    }
}

impl Arguments {
    /// The steps in the usual order of training.
    fn preparation(&self) -> Result<Preparation> {
        let mut steps = Preparation::new();
        if let Some(mm) = &self.spacing {
            steps = steps.spacing(mm.array("--spacing")?);
        }
        if let Some(bounds) = &self.clip {
            let [low, high] = bounds.array("--clip")?;
            steps = steps.clip(Clip::Values { low, high });
        }
        if let Some(bounds) = &self.clip_percentiles {
            let [low, high] = bounds.array("--clip-percentiles")?;
            steps = steps.clip(Clip::Percentiles { low, high });
        }
        if let Some(range) = &self.range {
            let [a, b, c, d] = range.array("--range")?;
            steps = steps.scale([a, b], [c, d], true);
        }
        if let Some(over) = self.zscore {
            steps = steps.zscore(if over == ZScore::All { Over::All } else { Over::NonZero });
        }
        if let Some(above) = self.foreground {
            steps = steps.crop_foreground(above, self.margin);
        }
        Ok(match self.pad {
            Some(Size(size)) => steps.pad(size),
            None => steps,
        })
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { input, output, labels, labels_out, .. } = arguments;
    let preparation = arguments.preparation()?;
    ensure!(!preparation.steps().is_empty(), "nothing to do: give --spacing, --clip, --zscore or another step");
    let item = Item { image: input.clone(), labels: labels.clone() };
    let files = Files::of([item]).prepared(preparation)?;
    let volume = files.load(0, ::loader::Memory::default(), &mut Decoder::new())?;
    let Voxels::F32(voxels) = volume.voxels() else {
        bail!("nothing to do: the volume is as asked for already; `assay nifti convert` copies it")
    };
    let units = open(input)?.header().xyzt_units;
    let header = |datatype| -> Result<Header> {
        let header = Header::new(Version::Nifti1, datatype, &volume.shape())?.with_affine(volume.affine());
        Ok(Header { xyzt_units: units, ..header })
    };
    let write = |path: &PathBuf, header: &Header, bytes: &[u8]| -> Result<()> {
        let Target::Single { is_packed } = Target::of(path)? else {
            bail!("{}: the name has to end in .nii or .nii.gz", path.display());
        };
        write(path, header, &[], bytes, arguments.pack.pack(is_packed)).map_err(|error| named(path, error))
    };
    write(output, &header(Datatype::Float32)?, bytes_of(voxels))?;
    if let (Some(path), Some(labels)) = (labels_out, volume.labels()) {
        write(path, &header(Datatype::Uint8)?, labels)?;
    }
    if arguments.json {
        return print::json(&json!({ "output": output, "shape": volume.shape(), "spacing": volume.spacing() }));
    }
    let [x, y, z] = volume.shape();
    print::lines([format!("{}: {x} x {y} x {z} float32", output.display())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        assert_eq!(reals("1, -2.5,3").unwrap().array("x").unwrap(), [1.0, -2.5, 3.0]);
        assert!(reals("1,a").is_err() && reals("1,2").unwrap().array::<3>("x").is_err());
        assert_eq!(size("1,2,3").unwrap(), Size([1, 2, 3]));
        assert!(size("1,2").is_err());
    }
}
