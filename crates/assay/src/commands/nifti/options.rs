//! Options that several commands share.

use std::ops::Range;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use nifti_decode::{Orientation, Pack};

/// How a .gz file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Packing {
    /// One member, by zlib
    Gzip,
    /// One member with a flush every 128 KiB, as pigz writes it
    Pigz,
    /// One member, by libdeflate
    Libdeflate,
    /// Members of 1 MiB without their sizes
    Members,
    /// BGZF: blocks of 64 KiB that can be found and unpacked one by one, or in parallel
    Bgzf,
    /// Blocks of 1 MiB with their sizes, as mgzip writes it
    Mgzip,
}

#[derive(Debug, Args)]
pub(crate) struct PackOptions {
    /// How a .gz file is packed
    #[arg(long, value_enum, default_value = "gzip")]
    pack: Packing,
    /// How hard: 0 stores, 1 is fast, 9 is small (12 for libdeflate, members, bgzf, mgzip)
    #[arg(long, default_value = "6", value_parser = clap::value_parser!(u8).range(0..=12))]
    level: u8,
}

impl PackOptions {
    pub(super) fn pack(&self, is_packed: bool) -> Pack {
        let level = self.level;
        match self.pack {
            _ if !is_packed => Pack::Plain,
            Packing::Gzip => Pack::Gzip { level },
            Packing::Pigz => Pack::Flushed { level, bytes: 128 << 10 },
            Packing::Libdeflate => Pack::Members { level, bytes: usize::MAX },
            Packing::Members => Pack::Members { level, bytes: 1 << 20 },
            Packing::Bgzf => Pack::Bgzf { level },
            Packing::Mgzip => Pack::Mgzip { level, bytes: 1 << 20 },
        }
    }
}

/// `RAS`, `LPS`, ..
pub(super) fn orientation(text: &str) -> Result<Orientation, String> {
    text.parse().map_err(|error: nifti_decode::UnknownOrientation| error.to_string())
}

/// `x,y,z` of whole numbers.
pub(super) fn numbers(text: &str) -> Result<Vec<usize>, String> {
    text.split(',').map(|n| n.trim().parse().map_err(|_| format!("{n:?} is not a whole number"))).collect()
}

/// `x0:x1,y0:y1,z0:z1`; `:` for a whole axis.
pub(super) fn region(text: &str, shape: &[usize]) -> Result<Vec<Range<usize>>> {
    let axes: Vec<&str> = text.split(',').collect();
    if axes.len() > shape.len() {
        bail!("the region has {} axes, the volume {}", axes.len(), shape.len());
    }
    axes.iter()
        .zip(shape)
        .map(|(axis, &extent)| {
            let Some((start, end)) = axis.split_once(':') else { bail!("{axis:?} is no range such as 10:74") };
            let number = |text: &str, default: usize| match text.trim() {
                "" => Ok(default),
                text => text.parse().map_err(|_| anyhow::anyhow!("{text:?} is not a whole number")),
            };
            Ok(number(start, 0)?..number(end, extent)?)
        })
        .collect()
}
