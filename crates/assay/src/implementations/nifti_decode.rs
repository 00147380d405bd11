//! Our side of reading volumes: from a file in the page cache to scaled f32 in memory, x fastest.
//!
//! [`::nifti_decode::cases`] has the cases.
//!
//! The timed work begins with the path, except for a sidecar that is kept. Each implementation keeps what it normally
//! keeps between two volumes; ours keeps a decoder and the output.
//!
//! Other ways to the same results are timed as peers of ours: a patch from the whole volume; libdeflate alone, the
//! lower bound of a compressed file; and a file that is already stored in the order that is asked for.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use ::nifti_decode::{
    Decoder, Header, Index, Limits, NiftiError, Orientation, Pack, Phantom, Plan, Stats, VolumeFile, bytes_of,
    cases::{self, By, PATCH, Packing, Reading, SCALE},
    encode, write, zeroed,
};
use op::CaseRow;
use peer::{Case, Closures, Description, Implementation, Load, Ran, Refusal};

use super::inflate::Floor;

pub(super) struct Volumes {
    threads: NonZeroUsize,
}

impl Volumes {
    pub(super) fn new(threads: NonZeroUsize) -> Self {
        Self { threads }
    }
}

impl Implementation for Volumes {
    fn describe(&mut self) -> Result<Description, String> {
        let settings = format!("{} threads, decoder and output kept", self.threads);
        Ok(Description::new("assay", env!("CARGO_PKG_VERSION"), settings))
    }

    fn cases(&mut self) -> Result<Vec<CaseRow>, Refusal> {
        Ok(super::rows(&cases::cases()))
    }

    fn inputs(&mut self, case: &Case, dir: &Path) -> Result<(), Refusal> {
        let reading: Reading = case.read()?;
        let orientation: Orientation = "LAS".parse().map_err(refused)?;
        let phantom = Phantom::new(reading.kind, Some(&reading.shape), orientation, 1).map_err(refused)?;
        let header = Header { endian: reading.endian, ..phantom.header };
        let header = if reading.is_scaled { header.with_scale(SCALE.0, SCALE.1) } else { header };
        let order = if reading.is_turned { order(reading.make) } else { None };
        let (header, voxels) = match order {
            Some(order) => reoriented(&header, &phantom.voxels, order).map_err(refused)?,
            None => (header, phantom.voxels),
        };
        write(&path(&reading, dir), &header, &[], &voxels, reading.packing.pack()).map_err(refused)
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Load<'_> {
        let reading: Reading = case.read()?;
        let path = path(&reading, inputs);
        if reading.make == cases::Make::Inflated {
            return self.inflate(&path);
        }
        let mut decoder = Decoder::new().with_threads(self.threads.into());
        let (make, path) = Make::prepared(&reading, path, &mut decoder)?;
        let out = Rc::new(RefCell::new((Vec::new(), None)));
        let shown = out.clone();
        let mut work = move || {
            let (voxels, stats) = &mut *out.borrow_mut();
            once(&path, &make, &mut decoder, voxels, stats)
        };
        let (path, bytes) = work().map_err(refused)?;
        let ran = Ran { bytes: bytes as u64, threads: self.threads.get(), ..Ran::by("nifti-decode", path) };
        let run = move || {
            // The same call succeeded above, on the same file.
            let _ = work();
        };
        let output = move || {
            let (voxels, stats) = &*shown.borrow();
            stats.as_ref().map_or_else(|| bytes_of::<f32>(voxels).to_vec(), figures)
        };
        Ok(Closures::boxed(ran, run, output))
    }
}

/// The order of the axes that a make asks for.
fn order(make: cases::Make) -> Option<Orientation> {
    match make {
        cases::Make::Ras => "RAS".parse().ok(),
        cases::Make::Psr => "PSR".parse().ok(),
        _ => None,
    }
}

/// Header and voxels of the volume in another order.
fn reoriented(
    header: &Header,
    voxels: &[u8],
    order: Orientation,
) -> Result<(Header, Vec<u8>), Box<dyn std::error::Error>> {
    let file = VolumeFile::from_bytes(encode(header, &[], voxels, Pack::Plain)?, Limits::default())?;
    let mut copy = vec![0; voxels.len()];
    let copied = file.copy_into(&mut Decoder::new(), Some(order), &mut copy)?;
    let dim = Header::new(header.version, file.datatype(), &copied.shape)?.dim;
    Ok((Header { dim, qform_code: 0, ..header.clone().with_affine(&copied.affine) }, copy))
}

impl Volumes {
    /// Times libdeflate alone. Its result is the voxels that are computed from what it decompressed.
    fn inflate(&self, path: &Path) -> Load<'_> {
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
        let ran = Ran { threads, ..Ran::by("libdeflate", "memory to memory") };
        Ok(Closures::boxed(ran, run, output))
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
    /// Prepares what a case asks for; returns it with the file to read.
    fn prepared(reading: &Reading, path: PathBuf, decoder: &mut Decoder) -> Result<(Self, PathBuf), Refusal> {
        let make = match reading.make {
            cases::Make::F32 => Self::Voxels(Plan::scaled()),
            cases::Make::Ras | cases::Make::Psr => {
                Self::Voxels(Plan { orientation: order(reading.make), ..Plan::scaled() })
            }
            cases::Make::F32AndStats => Self::VoxelsAndStats,
            cases::Make::Stats => Self::Stats,
            cases::Make::Header => Self::Header,
            cases::Make::Slice => Self::Slice,
            cases::Make::Patch if reading.by == By::Index => {
                let index = open(&path).and_then(|file| file.index(decoder)).map_err(refused)?;
                Self::Patch(Some(Arc::new(index.ok_or_else(|| refused("this file needs no index"))?)))
            }
            cases::Make::Patch if matches!(reading.by, By::Sidecar | By::SidecarKept) => {
                let directory = path.parent().unwrap_or(Path::new("."));
                let sidecar = open(&path).and_then(|file| file.cached(decoder, directory)).map_err(refused)?;
                if reading.by == By::SidecarKept {
                    return Ok((Self::PatchOf(Box::new(open(&sidecar).map_err(refused)?)), sidecar));
                }
                return Ok((Self::Patch(None), sidecar));
            }
            cases::Make::Patch => Self::Patch(None),
            cases::Make::PatchOfWhole => Self::PatchOfWhole(RefCell::default()),
            other => return Err(Refusal::Unsupported(format!("{other:?} is for benches alone"))),
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

fn path(reading: &Reading, dir: &Path) -> PathBuf {
    dir.join(if reading.packing == Packing::Plain { "v.nii" } else { "v.nii.gz" })
}
