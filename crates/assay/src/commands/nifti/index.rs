//! `assay nifti index`: access points of a .nii.gz.

use std::{io::Write, path::PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use nifti_decode::{Decoder, Index, VolumeFile, Watch, atomically};
use serde_json::json;

use super::{input, named, open, voxel_bytes};
use crate::{print, progress::Progress};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The volume; `-` for stdin, with --out
    input: PathBuf,
    /// The index; by default the volume's name with .gzx appended
    #[arg(long)]
    out: Option<PathBuf>,
    /// Convert an index of indexed_gzip (.gzidx) of the same volume instead
    #[arg(long, value_name = "GZIDX")]
    import: Option<PathBuf>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let name = arguments.input.display();
    let file = open(&arguments.input)?;
    let Some(index) = made(arguments, &file)? else {
        let packing = file.packing().name();
        if arguments.json {
            return print::json(&json!({ "file": name.to_string(), "packing": packing, "index": null }));
        }
        return print::lines([format!("{name}: {packing} needs no index")]);
    };
    if input::is_stdin(&arguments.input) && arguments.out.is_none() {
        bail!("an index of stdin has no name: give --out");
    }
    let out = arguments.out.clone().unwrap_or_else(|| {
        let mut beside = arguments.input.clone().into_os_string();
        beside.push(".gzx");
        beside.into()
    });
    let bytes = index.encode();
    atomically(&out, |file| file.write_all(&bytes))?;
    let (parts, n_bytes) = (index.parts(), bytes.len());
    if arguments.json {
        return print::json(&json!({
            "file": name.to_string(),
            "packing": file.packing().name(),
            "index": out.display().to_string(),
            "parts": parts,
            "bytes": n_bytes,
            "packed_bytes": file.packed_bytes(),
            "unpacked_bytes": index.unpacked_bytes(),
        }));
    }
    let share = 100.0 * n_bytes as f64 / file.packed_bytes() as f64;
    print::lines([format!("{}: {parts} parts, {n_bytes} bytes ({share:.1} % of the volume)", out.display())])
}

/// The index: built by unpacking the volume, or converted from another index.
fn made(arguments: &Arguments, file: &VolumeFile) -> Result<Option<Index>> {
    if let Some(path) = &arguments.import {
        let gzidx = input::read(path)?;
        let _progress = Progress::elapsed("import");
        return file.import_gzidx(&gzidx).map_err(|error| named(path, error));
    }
    let watch = Watch::new();
    let _progress = Progress::watching("index", voxel_bytes(file), watch.clone());
    file.index(&mut Decoder::new().watched(watch)).map_err(|error| named(&arguments.input, error))
}
