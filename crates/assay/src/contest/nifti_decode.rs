//! Our side of reading volumes: a file in the system's cache to scaled f32 in memory, x fastest.
//!
//! Parameters of a case: `kind`, `x`, `y`, `z` of the phantom, `pack` (`plain`, `gzip1`, `gzip6`, `bgzf`, `mgzip`), `endian`
//! (`little`, `big`), `scale` (0 for none, 1 for a slope and an intercept), `make` (`f32`, `ras`, `stats`, `patch`). What is timed
//! begins with the path. Everyone keeps what it keeps between two volumes; ours is a decoder and the output.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ::nifti_decode::{
    Decoder, Endian, Header, Kind, NiftiError, Orientation, Pack, Phantom, Plan, Stats, VolumeFile, bytes_of, write,
    zeroed,
};
use peer::{Case, Contestant, Description, Loaded, Refusal};

pub(super) struct Reading {
    threads: NonZeroUsize,
}

impl Reading {
    pub(super) fn new(threads: NonZeroUsize) -> Self {
        Self { threads }
    }
}

/// Edge of a patch.
const PATCH: usize = 64;
const SLOPE: f64 = 0.5;
const INTER: f64 = -24.0;

impl Contestant for Reading {
    fn describe(&mut self) -> Result<Description, String> {
        let settings = format!("{} threads, plain files mapped, decoder and output kept", self.threads);
        Ok(Description::new("assay", env!("CARGO_PKG_VERSION"), settings))
    }

    fn inputs(&mut self, case: &Case, dir: &Path) -> Result<(), Refusal> {
        let kind = Kind::from_name(case.text("kind")?).ok_or_else(|| refused("`kind` names no phantom"))?;
        let shape = [case.number("x")?, case.number("y")?, case.number("z")?];
        let orientation: Orientation = "LAS".parse().map_err(refused)?;
        let phantom = Phantom::new(kind, Some(&shape), orientation, 1).map_err(refused)?;
        let endian = if case.text("endian")? == "big" { Endian::Big } else { Endian::Little };
        let header = Header { endian, ..phantom.header };
        let header = if case.number("scale")? == 1 { header.with_scale(SLOPE, INTER) } else { header };
        write(&path(case, dir)?, &header, &[], &phantom.voxels, pack(case)?).map_err(refused)
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Result<Loaded<'_>, Refusal> {
        let (path, make) = (path(case, inputs)?, case.text("make")?.to_owned());
        if !matches!(&*make, "f32" | "ras" | "stats" | "patch") {
            return Err(refused(format!("`make` is {make}")));
        }
        let mut decoder = Decoder::new().parallel(self.threads.get() > 1);
        let out = Rc::new(RefCell::new((Vec::new(), None)));
        let shown = out.clone();
        let mut work = move || {
            let (voxels, stats) = &mut *out.borrow_mut();
            once(&path, &make, &mut decoder, voxels, stats)
        };
        let (ran, bytes) = work().map_err(refused)?;
        let run = move || {
            // The same call succeeded above, on the same file.
            let _ = work();
        };
        let output = move || {
            let (voxels, stats) = &*shown.borrow();
            stats.as_ref().map_or_else(|| bytes_of::<f32>(voxels).to_vec(), figures)
        };
        let mut loaded = Loaded::new(ran, run, output);
        loaded.bytes = Some(bytes as f64);
        Ok(loaded)
    }
}

/// Reads a file once; says what ran, and how many bytes of voxels were read and written.
fn once(
    path: &Path,
    make: &str,
    decoder: &mut Decoder,
    voxels: &mut Vec<f32>,
    stats: &mut Option<Stats>,
) -> Result<(String, usize), NiftiError> {
    let file = open(path)?;
    let stored = file.voxels() * file.datatype().bytes();
    let plan = if make == "ras" { Plan::scaled().oriented(Orientation::RAS) } else { Plan::scaled() };
    let decoded = match make {
        "stats" => {
            *stats = Some(file.stats(decoder)?);
            return Ok(("counted".to_owned(), stored));
        }
        "patch" => {
            let ranges: Vec<_> = file.shape().iter().map(|n| (n - PATCH) / 2..(n + PATCH) / 2).collect();
            fit(voxels, PATCH.pow(3));
            file.read_region_into(decoder, &ranges, &plan, voxels)?
        }
        _ => {
            fit(voxels, file.voxels());
            file.decode_into(decoder, &plan, voxels)?
        }
    };
    let kernel = decoded.ran.map_or(String::new(), |ran| ran.to_string());
    Ok((format!("{}, {kernel}", decoded.way), stored + size_of_val(&voxels[..])))
}

/// Memory for `n` voxels: new for the first volume only.
fn fit(voxels: &mut Vec<f32>, n: usize) {
    if voxels.len() != n {
        *voxels = zeroed(n);
    }
}

#[expect(unsafe_code, reason = "plain files are mapped, as the peers map them")]
fn open(path: &Path) -> Result<VolumeFile, NiftiError> {
    // SAFETY: the parent's inputs are written before a case is loaded, and by nobody afterwards.
    unsafe { VolumeFile::map(path) }
}

/// What a peer's statistics are compared with, as f32.
fn figures(s: &Stats) -> Vec<u8> {
    let figures = [s.min, s.max, s.mean, s.std, s.p0_5, s.median, s.p99_5, s.robust_std];
    figures.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect()
}

fn refused(error: impl ToString) -> Refusal {
    Refusal::Error(error.to_string())
}

fn path(case: &Case, dir: &Path) -> Result<PathBuf, Refusal> {
    Ok(dir.join(if case.text("pack")? == "plain" { "v.nii" } else { "v.nii.gz" }))
}

fn pack(case: &Case) -> Result<Pack, Refusal> {
    Ok(match case.text("pack")? {
        "plain" => Pack::Plain,
        "gzip1" => Pack::Gzip { level: 1 },
        "gzip6" => Pack::Gzip { level: 6 },
        "bgzf" => Pack::Bgzf { level: 6 },
        "mgzip" => Pack::Mgzip { level: 6, bytes: 1 << 20 },
        other => return Err(refused(format!("`pack` is {other}"))),
    })
}
