//! Voxels as a new file: which kind of file, which type, and what the user is told.

use std::{ops::Range, path::Path};

use anyhow::{Result, bail};
use clap::Args;
use nifti_decode::{
    Affine, Datatype, Decoder, Extension, Header, Losses, Orientation, Scale, Version, VolumeFile, Watch, write_watched,
};
use serde_json::{Value, json};

use super::{
    named, open,
    options::{PackOptions, orientation},
    values::{self, Bytes, Selection, Type},
};
use crate::{commands::npy, print};

/// The kind of file that a name asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// A single NIfTI file; packed or not.
    Single { is_packed: bool },
    /// Header and image; packed or not.
    Pair { is_packed: bool },
    /// NumPy's array file.
    Npy,
}

impl Target {
    pub(super) fn of(path: &Path) -> Result<Self> {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let (bare, is_packed) = name.strip_suffix(".gz").map_or((&*name, false), |bare| (bare, true));
        match bare.rsplit_once('.').map(|(_, extension)| extension) {
            Some("nii") => Ok(Self::Single { is_packed }),
            Some("hdr") => Ok(Self::Pair { is_packed }),
            Some("npy") if !is_packed => Ok(Self::Npy),
            _ => bail!("{}: the name has to end in .nii, .nii.gz, .hdr, .hdr.gz or .npy", path.display()),
        }
    }
}

/// What the new file holds.
#[derive(Debug, Args)]
pub(crate) struct ContentOptions {
    /// Type of the values. Without it, NIfTI files keep the stored type and its scaling. A .npy gets values as
    /// nibabel's `dataobj` has them: of the stored type where the header scales nothing, else float64. An integer type
    /// holds every value exactly, or the command fails; what a floating-point type rounds is counted
    #[arg(long, value_enum, value_name = "TYPE", hide_possible_values = true)]
    r#type: Option<Type>,
    /// Scaled values: of float32, or of --type
    #[arg(long)]
    scaled: bool,
    /// Axes in this order, such as RAS. The whole header follows; files beside the volume, such as .bvec, do not
    #[arg(long, value_parser = orientation)]
    pub(super) orient: Option<Orientation>,
    /// NIfTI-2 instead of the input's version
    #[arg(long)]
    nifti2: bool,
    #[command(flatten)]
    pack: PackOptions,
}

/// Voxels of the new file.
pub(super) struct Voxels {
    bytes: Box<dyn Bytes>,
    shape: Vec<usize>,
    affine: Affine,
    ty: Type,
    /// Of the input.
    datatype: Datatype,
    scale: Option<Scale>,
    losses: Losses,
    /// How they were reached.
    pub(super) access: &'static str,
}

impl ContentOptions {
    /// The type of the new file's values.
    fn resolved(&self, file: &VolumeFile, target: Target) -> Result<Type> {
        let is_scaled = file.scale().is_some_and(|scale| scale != Scale::NONE) && file.datatype().is_real();
        Ok(match self.r#type {
            Some(Type::Stored) if self.scaled => bail!("--type stored and --scaled contradict each other"),
            Some(wanted) => wanted,
            None if self.scaled => Type::Float32,
            None if is_scaled && target == Target::Npy => Type::Float64,
            None => Type::Stored,
        })
    }

    /// The voxels of the new file: all of `file`, or those of a region.
    pub(super) fn voxels(
        &self,
        file: &VolumeFile,
        decoder: &mut Decoder,
        target: Target,
        region: Option<&[Range<usize>]>,
        input: &Path,
    ) -> Result<Voxels> {
        let ty = self.resolved(file, target)?;
        if target != Target::Npy && ty != Type::Stored && ty.datatype().is_none() {
            bail!("NIfTI has no type {}: choose float32, or a .npy", ty.name());
        }
        let selection = Selection { region, orientation: self.orient };
        let (bytes, decoded) = values::read(file, decoder, ty, selection).map_err(|error| named(input, error))?;
        let nifti_decode::Decoded { shape, affine, losses, access, .. } = decoded;
        let (datatype, scale) = (file.datatype(), file.scale());
        Ok(Voxels { bytes, shape, affine, ty, datatype, scale, losses, access: access.name() })
    }

    /// Writes them to `out`; returns the bytes of the new files. `header` is the input's, with the axes in the new
    /// order.
    pub(super) fn write(
        &self,
        out: &Path,
        target: Target,
        voxels: &Voxels,
        (header, extensions): (&Header, &[Extension]),
        watch: &Watch,
    ) -> Result<u64> {
        let (is_pair, is_packed) = match target {
            Target::Npy => {
                npy::write(out, &voxels.descr()?, &voxels.shape, npy::Order::FirstFastest, voxels.bytes.bytes())?;
                return Ok(super::file_bytes(out));
            }
            Target::Single { is_packed } => (false, is_packed),
            Target::Pair { is_packed } => (true, is_packed),
        };
        let (slope, inter) = match voxels.scale {
            Some(scale) if voxels.ty == Type::Stored => (scale.slope, scale.inter),
            _ => (0.0, 0.0),
        };
        let datatype = voxels.ty.datatype().unwrap_or(voxels.datatype);
        let vox_offset = if is_pair { 0.0 } else { header.version.least_vox_offset() as f64 };
        let header = Header { is_pair, datatype: datatype.code().into(), vox_offset, ..header.clone() };
        let header = header.with_scale(slope, inter);
        write_watched(out, &header, extensions, voxels.bytes.bytes(), self.pack.pack(is_packed), watch)?;
        let image = if is_pair { open(out)?.packed_bytes() } else { 0 };
        Ok(super::file_bytes(out) + image)
    }

    /// The header of `file` in the version that the new file has, its axes as they are.
    pub(super) fn header(&self, file: &VolumeFile) -> Result<Header> {
        let version = match file.header().version {
            _ if self.nifti2 => Version::Nifti2,
            Version::Analyze => Version::Nifti1,
            version => version,
        };
        Ok(file.header().to_version(version)?)
    }
}

impl Voxels {
    /// NumPy's name of their type.
    fn descr(&self) -> Result<String> {
        let order = if cfg!(target_endian = "big") { '>' } else { '<' };
        match self.ty {
            Type::Float16 => Ok(format!("'{order}f2'")),
            // NumPy has no bfloat16: its bits.
            Type::Bfloat16 => Ok(format!("'{order}u2'")),
            ty => npy::descr(ty.datatype().unwrap_or(self.datatype)),
        }
    }

    pub(super) fn type_name(&self) -> &'static str {
        if self.ty == Type::Stored { self.datatype.name() } else { self.ty.name() }
    }

    /// `3 x 4 x 5`.
    pub(super) fn extents(&self) -> String {
        self.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
    }

    /// Warns of values that the type could not hold.
    pub(super) fn warn(&self, out: &Path) {
        let Losses { whole, overflowed, underflowed, first, .. } = self.losses;
        let Some(first) = first else { return };
        let parts =
            [(overflowed, "beyond its range"), (whole, "whole numbers rounded"), (underflowed, "too small for it")];
        let parts = parts.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
        let (out, ty, n) = (out.display(), self.type_name(), self.shape.iter().product::<usize>());
        let (parts, value, index) = (parts.collect::<Vec<_>>().join(", "), first.value, first.index);
        print::warning(format!(
            "{out}: {ty} does not hold all of {n} values: {parts}; the first is {value} at index {index}"
        ));
    }

    /// What was written, for scripts.
    pub(super) fn json(&self, input: &Path, out: &Path, bytes: u64) -> Value {
        json!({
            "file": super::name(input),
            "out": out.display().to_string(),
            "bytes": bytes,
            "datatype": self.type_name(),
            "shape": self.shape,
            "affine": self.affine,
            "is_scaled": self.ty != Type::Stored,
            "scale": self.scale,
            "losses": {
                "whole": self.losses.whole,
                "overflowed": self.losses.overflowed,
                "underflowed": self.losses.underflowed,
            },
        })
    }
}
