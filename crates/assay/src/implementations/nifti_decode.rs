//! Our side of reading volumes: from a file in the page cache to scaled f32 in memory, x fastest.
//!
//! Parameters of a case:
//!
//! - `kind`, `x`, `y`, `z` of the phantom;
//! - `pack`: `plain`, `gzip1`, `gzip6`, `bgzf`, `mgzip`;
//! - `endian`: `little`, `big`;
//! - `scale`: 0 for none, 1 for a slope and an intercept;
//! - `make`: `f32`; `ras` or `psr`, voxels in that order of axes; `stats`; `patch`; `slice`, the first one along z;
//!   `header`, extents and affine without a voxel;
//! - `by`: how we read a patch, which peers can ignore: through an access-point index that was built before (`index`),
//!   from an uncompressed sidecar (`sidecar`), or from a sidecar that is mapped once for all patches (`sidecar-kept`).
//!
//! The timed work begins with the path, except for `sidecar-kept`. Each implementation keeps what it normally keeps
//! between two volumes; ours keeps a decoder and the output.
//!
//! We also time other ways to the same results: `patch-whole`, a patch from the whole volume; `f32-stats`, voxels and
//! statistics in one pass, whose result is the statistics; `inflate`, libdeflate alone, the lower bound of a compressed
//! file; and `ras` and `psr` with `turned` as `before`, where the file is already stored in that order.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use ::nifti_decode::{
    Decoder, Endian, Header, Index, Kind, Limits, NiftiError, Orientation, Pack, Phantom, Plan, Stats, VolumeFile,
    bytes_of, encode, write, zeroed,
};
use peer::{Case, Description, Implementation, Loaded, Refusal};

use super::inflate::Floor;

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

impl Implementation for Reading {
    fn describe(&mut self) -> Result<Description, String> {
        let settings = format!("{} threads, decoder and output kept", self.threads);
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
        let (header, voxels) = match case.text("turned") {
            Ok("before") => reoriented(&header, &phantom.voxels, case.text("make")?).map_err(refused)?,
            _ => (header, phantom.voxels),
        };
        write(&path(case, dir)?, &header, &[], &voxels, pack(case)?).map_err(refused)
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Result<Loaded<'_>, Refusal> {
        let path = path(case, inputs)?;
        if case.text("make")? == "inflate" {
            return self.inflate(&path);
        }
        let mut decoder = Decoder::new().with_threads(self.threads.into());
        let (make, path) = Make::prepared(case.text("make")?, case.text("by").ok(), path, &mut decoder)?;
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

/// Header and voxels of the volume in the order `codes`.
fn reoriented(header: &Header, voxels: &[u8], codes: &str) -> Result<(Header, Vec<u8>), Box<dyn std::error::Error>> {
    let file = VolumeFile::from_bytes(encode(header, &[], voxels, Pack::Plain)?, Limits::default())?;
    let mut copy = vec![0; voxels.len()];
    let copied = file.copy_into(&mut Decoder::new(), Some(codes.to_uppercase().parse()?), &mut copy)?;
    let dim = Header::new(header.version, file.datatype(), &copied.shape)?.dim;
    Ok((Header { dim, qform_code: 0, ..header.clone().with_affine(&copied.affine) }, copy))
}

impl Reading {
    /// Times libdeflate alone. Its result is the voxels that are computed from what it decompressed.
    fn inflate(&self, path: &Path) -> Result<Loaded<'_>, Refusal> {
        let stored = open(path).map_err(refused)?;
        let need = stored.header().vox_offset as usize + stored.voxels() * stored.datatype().bytes();
        let floor = Floor::new(std::fs::read(path)?, need).map_err(refused)?;
        let floor = Rc::new(RefCell::new(floor));
        let shown = floor.clone();
        let threads = self.threads.get();
        let run = move || floor.borrow_mut().run(threads);
        let output = move || {
            let volume = VolumeFile::from_bytes(shown.borrow().unpacked(), Limits::default())
                .and_then(|file| file.decode::<f32>(&mut Decoder::new(), &Plan::scaled()));
            volume
                .map_or_else(|error| error.to_string().into_bytes(), |volume| bytes_of::<f32>(volume.voxels()).to_vec())
        };
        Ok(Loaded::new("libdeflate, memory to memory", run, output))
    }
}

/// What is read from a file.
enum Make {
    Voxels(Plan),
    /// Voxels and statistics in one pass.
    VoxelsAndStats,
    Stats,
    /// Extents x, y, z and the affine, row by row.
    Header,
    /// The first slice along z.
    Slice,
    /// A patch, through an index if there is one.
    Patch(Option<Arc<Index>>),
    /// A patch of a file that is already open.
    PatchOf(Box<VolumeFile>),
    /// A patch from the whole volume, whose memory is kept.
    PatchOfWhole(RefCell<Vec<f32>>),
}

impl Make {
    /// Looks up a `make` by name and prepares its inputs; returns it with the file to read.
    fn prepared(
        name: &str,
        by: Option<&str>,
        path: PathBuf,
        decoder: &mut Decoder,
    ) -> Result<(Self, PathBuf), Refusal> {
        let make = match name {
            "f32" => Self::Voxels(Plan::scaled()),
            "ras" | "psr" => Self::Voxels(Plan::scaled().oriented(name.to_uppercase().parse().map_err(refused)?)),
            "f32-stats" => Self::VoxelsAndStats,
            "stats" => Self::Stats,
            "header" => Self::Header,
            "slice" => Self::Slice,
            "patch" if by == Some("index") => {
                let index = open(&path).and_then(|file| file.index(decoder)).map_err(refused)?;
                Self::Patch(Some(Arc::new(index.ok_or_else(|| refused("this file needs no index"))?)))
            }
            "patch" if matches!(by, Some("sidecar" | "sidecar-kept")) => {
                let directory = path.parent().unwrap_or(Path::new("."));
                let sidecar = open(&path).and_then(|file| file.cached(decoder, directory)).map_err(refused)?;
                if by == Some("sidecar-kept") {
                    return Ok((Self::PatchOf(Box::new(open(&sidecar).map_err(refused)?)), sidecar));
                }
                return Ok((Self::Patch(None), sidecar));
            }
            "patch" => Self::Patch(None),
            "patch-whole" => Self::PatchOfWhole(RefCell::default()),
            other => return Err(refused(format!("`make` is {other}"))),
        };
        Ok((make, path))
    }

    /// Opens the file in the way that suits its use. An uncompressed file whose voxels are all read once is read; a
    /// compressed file, or one that is read in parts, is mapped.
    fn open(&self, path: &Path) -> Result<VolumeFile, NiftiError> {
        let takes_all = matches!(self, Self::Voxels(_) | Self::VoxelsAndStats | Self::Stats);
        let is_plain = path.extension().is_some_and(|extension| extension == "nii");
        let file = if takes_all && is_plain { VolumeFile::open(path)? } else { open(path)? };
        if let Self::Patch(Some(index)) = self { file.with_index(Arc::clone(index)) } else { Ok(file) }
    }
}

/// The region of a patch.
fn middle(file: &VolumeFile) -> Vec<Range<usize>> {
    file.shape().iter().map(|n| (n - PATCH) / 2..(n + PATCH) / 2).collect()
}

/// Reads a file once; returns what ran, and how many bytes of voxels were read and written.
fn once(
    path: &Path,
    make: &Make,
    decoder: &mut Decoder,
    voxels: &mut Vec<f32>,
    stats: &mut Option<Stats>,
) -> Result<(String, usize), NiftiError> {
    let opened;
    let file = match make {
        Make::PatchOf(kept) => kept,
        _ => {
            opened = make.open(path)?;
            &opened
        }
    };
    let stored = file.voxels() * file.datatype().bytes();
    let decoded = match make {
        Make::Stats => {
            *stats = Some(file.stats(decoder)?);
            return Ok(("counted".to_owned(), stored));
        }
        Make::Header => {
            let extents = file.spatial_shape().map(|extent| extent as f32);
            *voxels = extents.into_iter().chain(file.affine().0.into_iter().flatten().map(|v| v as f32)).collect();
            return Ok(("header alone".to_owned(), size_of_val(&voxels[..])));
        }
        Make::Slice => {
            let [x, y, _] = file.spatial_shape();
            fit(voxels, x * y);
            file.read_region_into(decoder, &[0..x, 0..y, 0..1], &Plan::scaled(), voxels)?
        }
        Make::VoxelsAndStats => {
            fit(voxels, file.voxels());
            let decoded = file.decode_into(decoder, &Plan::scaled().with_stats(), voxels)?;
            *stats = decoded.stats;
            decoded
        }
        Make::Patch(_) | Make::PatchOf(_) => {
            fit(voxels, PATCH.pow(3));
            file.read_region_into(decoder, &middle(file), &Plan::scaled(), voxels)?
        }
        Make::PatchOfWhole(whole) => {
            let whole = &mut *whole.borrow_mut();
            fit(whole, file.voxels());
            fit(voxels, PATCH.pow(3));
            let decoded = file.decode_into(decoder, &Plan::scaled(), whole)?;
            let ([x, y, _], ranges) = (file.spatial_shape(), middle(file));
            let starts = ranges[2].clone().flat_map(|k| ranges[1].clone().map(move |j| (k * y + j) * x));
            for (row, start) in voxels.chunks_exact_mut(PATCH).zip(starts) {
                row.copy_from_slice(&whole[start + ranges[0].start..][..PATCH]);
            }
            decoded
        }
        Make::Voxels(plan) => {
            fit(voxels, file.voxels());
            file.decode_into(decoder, plan, voxels)?
        }
    };
    let kernel = decoded.ran.map_or(String::new(), |ran| ran.to_string());
    Ok((format!("{}, {kernel}", decoded.access), stored + size_of_val(&voxels[..])))
}

/// Resizes `voxels` to `n`; this allocates for the first volume only.
fn fit(voxels: &mut Vec<f32>, n: usize) {
    if voxels.len() != n {
        *voxels = zeroed(n);
    }
}

#[expect(unsafe_code, reason = "plain files are mapped, as the peers map them")]
fn open(path: &Path) -> Result<VolumeFile, NiftiError> {
    // SAFETY: the parent writes the inputs before a case is loaded, and nothing writes to them afterward.
    unsafe { VolumeFile::map(path) }
}

/// The statistics as f32, in the form in which they are compared with a peer's.
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
