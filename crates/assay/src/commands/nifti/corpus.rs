//! `assay nifti corpus`: every kind of file that the writer can write, with the arrays that a reader should get.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use nifti_decode::{Affine, Datatype, Endian, Header, Pack, Version, write};
use serde_json::json;

use crate::commands::npy;
use crate::print;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A directory; made if it is not there
    directory: PathBuf,
}

const SHAPE: [usize; 3] = [17, 13, 9];

const PACKS: [(&str, Pack); 7] = [
    ("plain", Pack::Plain),
    ("stored", Pack::Gzip { level: 0 }),
    ("zlib1", Pack::Gzip { level: 1 }),
    ("zlib6", Pack::Gzip { level: 6 }),
    ("members", Pack::Members { level: 6, bytes: 1000 }),
    ("bgzf", Pack::Bgzf { level: 6 }),
    ("mgzip", Pack::Mgzip { level: 6, bytes: 2000 }),
];

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let directory = &arguments.directory;
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    let mut n_files = 0;
    for datatype in Datatype::ALL {
        let voxels = voxels(datatype);
        // NumPy has no portable type for extended precision.
        if let Ok(descr) = npy::descr(datatype) {
            npy::write(
                &directory.join(format!("{}.npy", datatype.name())),
                &descr,
                &SHAPE,
                npy::Order::FirstFastest,
                &voxels,
            )?;
        }
        for endian in [Endian::Little, Endian::Big] {
            for version in [Version::Nifti1, Version::Nifti2] {
                for (pack_name, pack) in PACKS {
                    for is_pair in [false, true] {
                        let header = header(version, endian, datatype, is_pair)?;
                        let suffix = match (is_pair, pack == Pack::Plain) {
                            (false, true) => "nii",
                            (false, false) => "nii.gz",
                            (true, true) => "hdr",
                            (true, false) => "hdr.gz",
                        };
                        let (order, v) = (endian.name(), version.header_bytes());
                        let name = format!("{}-{order}-{v}-{pack_name}.{suffix}", datatype.name());
                        write(&directory.join(name), &header, &[], &voxels, pack)?;
                        n_files += 1;
                    }
                }
            }
        }
    }
    print::json(&json!({ "files": n_files, "shape": SHAPE, "slope": SLOPE, "inter": INTER }))
}

/// Scaling of the types that can be scaled; exact in f32.
const SLOPE: f64 = 0.75;
const INTER: f64 = -2.5;

fn header(version: Version, endian: Endian, datatype: Datatype, is_pair: bool) -> Result<Header> {
    let affine = Affine([[0.0, -1.5, 0.0, 10.0], [2.0, 0.0, 0.0, -5.0], [0.0, 0.0, 3.0, 1.0], [0.0, 0.0, 0.0, 1.0]]);
    let header = Header::new(version, datatype, &SHAPE)?.with_affine(&affine);
    let vox_offset = if is_pair { 0.0 } else { header.vox_offset };
    let header = Header { endian, is_pair, vox_offset, ..header };
    Ok(if datatype.is_real() { header.with_scale(SLOPE, INTER) } else { header })
}

/// All bit patterns for integers and colors, values of many magnitudes for floats.
fn voxels(datatype: Datatype) -> Vec<u8> {
    let mut state = datatype.code() as u64;
    let mut bytes = Vec::new();
    for _ in 0..SHAPE.iter().product::<usize>() * datatype.units() {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let bits = state ^ state >> 29;
        let value = (bits >> 12) as f64 / (1_u64 << 40) as f64 - 2048.0;
        match datatype {
            Datatype::Float32 | Datatype::Complex64 => bytes.extend((value as f32).to_ne_bytes()),
            Datatype::Float64 | Datatype::Complex128 => bytes.extend(value.to_ne_bytes()),
            // Extended precision is copied, never computed with: any bytes will do.
            Datatype::Float128 | Datatype::Complex256 => bytes.extend([value.to_ne_bytes(); 2].as_flattened()),
            _ => bytes.extend(&(bits >> 7).to_ne_bytes()[..datatype.unit_bytes()]),
        }
    }
    bytes
}
