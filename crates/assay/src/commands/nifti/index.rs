//! `assay nifti index`: access points of a .nii.gz.

use std::{io::Write, path::PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use nifti_decode::{Decoder, atomically};

use super::open;
use crate::{print, progress::Progress};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The volume
    input: PathBuf,
    /// The index; the volume's name with .gzx behind it if left out
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let name = arguments.input.display();
    let file = open(&arguments.input)?;
    let progress = Progress::bytes("index", file.packed_bytes());
    let Some(index) = file.index(&mut Decoder::new()).with_context(|| name.to_string())? else {
        return print::lines([format!("{name}: {} needs no index", file.packing().name())]);
    };
    progress.add(file.packed_bytes());
    let out = arguments.out.clone().unwrap_or_else(|| {
        let mut beside = arguments.input.clone().into_os_string();
        beside.push(".gzx");
        beside.into()
    });
    let bytes = index.encode();
    atomically(&out, |file| file.write_all(&bytes))?;
    let share = 100.0 * bytes.len() as f64 / file.packed_bytes() as f64;
    print::lines([format!(
        "{}: {} parts, {} bytes ({share:.1} % of the volume)",
        out.display(),
        index.parts(),
        bytes.len()
    )])
}
