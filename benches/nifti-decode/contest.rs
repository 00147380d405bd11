//! One bench: a volume, the work on it, and the implementation that does the work.

use std::{
    cell::RefCell,
    hint::black_box,
    ops::Range,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use machine::isa::Isa;
use nifti::{IntoNdArray, NiftiObject};
use nifti_decode::{
    Clip, Decoder, Endian, Orientation, Phantom, Plan, Threads, VolumeFile, Voxels, bf16,
    cases::{By, Make, PATCH, Reading, SCALE},
    f16,
};
use op::{Loaded, Ran};
use proof::{bench::Subject, input::Hash};
use record::Proof;

use crate::files::{Files, Key};

/// The declaration of a bench.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) reading: Reading,
    pub(crate) volume: String,
    pub(crate) run: Run,
    pub(crate) threads: usize,
    pub(crate) kernel: &'static str,
    pub(crate) tier: u8,
}

/// The timed work.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Run {
    /// Scaled f32 from a mapped file.
    Mapped,
    /// Scaled f32 from a file that is read.
    Read,
    /// Like `Mapped`, with a big-endian file.
    Swapped,
    Half,
    Brain,
    /// Reoriented to RAS: x is reversed.
    Flipped,
    /// Reoriented to PSR: every axis moves.
    Permuted,
    /// f32 and exact statistics.
    Stats,
    /// Clipped to percentiles and normalized.
    Zscore,
    /// With an index that was built before.
    Indexed,
    Patch,
    PatchByIndex,
    PatchMapped,
    FirstSlices,
    Header,
    BuildIndex,
}

impl Run {
    /// The work of a case; `None` where no bench has it.
    pub(crate) fn of(reading: &Reading) -> Option<Self> {
        Some(match (reading.make, reading.by) {
            (Make::F32, By::Map) if reading.endian == Endian::Big => Self::Swapped,
            (Make::F32, By::Map) => Self::Mapped,
            (Make::F32, By::Any) => Self::Read,
            (Make::F32, By::Index) => Self::Indexed,
            (Make::F16, By::Map) => Self::Half,
            (Make::Bf16, By::Map) => Self::Brain,
            (Make::Ras, By::Map) => Self::Flipped,
            (Make::Psr, By::Map) => Self::Permuted,
            (Make::F32AndStats, By::Map) => Self::Stats,
            (Make::Zscore, By::Map) => Self::Zscore,
            (Make::Patch, By::Any) => Self::Patch,
            (Make::Patch, By::Index) => Self::PatchByIndex,
            (Make::Patch, By::Map) => Self::PatchMapped,
            (Make::Slices8, By::Any) => Self::FirstSlices,
            (Make::Header, By::Any) => Self::Header,
            (Make::Index, By::Any) => Self::BuildIndex,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mapped | Self::Swapped | Self::Half | Self::Brain => "-map",
            Self::Read => "",
            Self::Flipped => "-flip",
            Self::Permuted => "-psr",
            Self::Stats => "-stats",
            Self::Zscore => "-zscore",
            Self::Indexed => "-index",
            Self::Patch => "-patch64",
            Self::PatchByIndex => "-patch64-index",
            Self::PatchMapped => "-patch64-map",
            Self::FirstSlices => "-first8",
            Self::Header => "-header",
            Self::BuildIndex => "-build-index",
        }
    }

    pub(crate) fn types(self) -> &'static str {
        match self {
            Self::Swapped => "i16be-f32",
            Self::Half => "i16-f16",
            Self::Brain => "i16-bf16",
            Self::Header => "header",
            _ => "i16-f32",
        }
    }

    /// Stored and converted bytes.
    pub(crate) fn bytes(self, voxels: usize, voxel_bytes: usize) -> (usize, usize) {
        match self {
            Self::Half | Self::Brain => (voxels * voxel_bytes, voxels * 2),
            Self::Header => (348, 0),
            Self::Patch | Self::PatchByIndex | Self::PatchMapped => (PATCH.pow(3) * voxel_bytes, PATCH.pow(3) * 4),
            _ => (voxels * voxel_bytes, voxels * 4),
        }
    }

    fn plan(self) -> Plan {
        match self {
            Self::Flipped => Plan::scaled().oriented(Orientation::RAS),
            Self::Permuted => Plan::scaled().oriented("PSR".parse().expect("an orientation")),
            Self::Stats => Plan::scaled().with_stats(),
            Self::Zscore => Plan::scaled().clipped(Clip::Percentiles { low: 0.5, high: 99.5 }).zscored(Voxels::NonZero),
            _ => Plan::scaled(),
        }
    }

    fn region(self, shape: &[usize]) -> Option<Vec<Range<usize>>> {
        match self {
            Self::Patch | Self::PatchByIndex | Self::PatchMapped => {
                Some(shape.iter().map(|extent| (extent - PATCH) / 2..(extent + PATCH) / 2).collect())
            }
            Self::FirstSlices => Some(vec![0..shape[0], 0..shape[1], 0..8]),
            _ => None,
        }
    }
}

/// One implementation with its file and its memory.
pub(crate) struct Contest {
    row: Row,
    phantom: Rc<Phantom>,
    path: PathBuf,
    pool: Option<rayon::ThreadPool>,
    work: Box<dyn FnMut() -> Result<String, nifti_decode::NiftiError> + Send>,
    output: Arc<std::sync::Mutex<Output>>,
    ran: RefCell<String>,
}

/// The last result.
#[derive(Default)]
struct Output {
    single: Vec<f32>,
    half: Vec<f16>,
    brain: Vec<bf16>,
}

impl Contest {
    pub(crate) fn new(files: &Files, row: Row) -> Self {
        let Reading { kind, shape, packing, endian, .. } = row.reading;
        let path = files.path(&Key { kind, shape, packing, is_big: endian == Endian::Big });
        let output = Arc::new(std::sync::Mutex::new(Output::default()));
        let work = work(&row, &path, Arc::clone(&output));
        let pool = (row.threads > 1)
            .then(|| rayon::ThreadPoolBuilder::new().num_threads(row.threads).build().expect("threads for a pool"));
        let phantom = files.phantom(kind, shape);
        Self { row, phantom, path, pool, work, output, ran: RefCell::default() }
    }

    /// The expected voxels, computed one by one.
    fn expected(&self) -> Vec<f32> {
        let shape = self.row.reading.shape;
        let (slope, inter) = SCALE;
        let stored = self.phantom.voxels.as_chunks::<2>().0;
        let value = |at: usize| (f64::from(i16::from_ne_bytes(stored[at])) * slope + inter) as f32;
        let [nx, ny, nz] = [shape[0], shape[1], shape[2]];
        let index = |x: usize, y: usize, z: usize| x + nx * (y + ny * z);
        match self.row.run {
            Run::Flipped => {
                (0..nx * ny * nz).map(|i| value(index(nx - 1 - i % nx, i / nx % ny, i / nx / ny))).collect()
            }
            // Output axes: posterior, superior, right. Stored axes: left, anterior, superior.
            Run::Permuted => {
                (0..nx * ny * nz).map(|i| value(index(nx - 1 - i / ny / nz, ny - 1 - i % ny, i / ny % nz))).collect()
            }
            run => match run.region(&shape) {
                None => (0..stored.len()).map(value).collect(),
                Some(region) => {
                    let [xs, ys, zs] = [region[0].clone(), region[1].clone(), region[2].clone()];
                    zs.flat_map(|z| {
                        let (xs, ys) = (xs.clone(), ys.clone());
                        ys.flat_map(move |y| xs.clone().map(move |x| value(index(x, y, z))))
                    })
                    .collect()
                }
            },
        }
    }
}

/// The timed work. Everything that a user keeps from one volume to the next is made before.
fn work(
    row: &Row,
    path: &Path,
    output: Arc<std::sync::Mutex<Output>>,
) -> Box<dyn FnMut() -> Result<String, nifti_decode::NiftiError> + Send> {
    let (run, path) = (row.run, path.to_owned());
    match row.kernel {
        "nifti" => Box::new(move || {
            let object = nifti::ReaderOptions::new().read_file(&path).expect("a sound file");
            let voxels = object.into_volume().into_ndarray::<f32>().expect("real voxels");
            // The same order in memory as in the file: x fastest.
            output.lock().expect("one thread at a time").single = voxels.into_raw_vec_and_offset().0;
            Ok("nifti, flate2 with miniz_oxide".to_owned())
        }),
        "libdeflate" => {
            let packed = std::fs::read(&path).expect("a file");
            let need = 352 + row.reading.shape.iter().product::<usize>() * 2;
            let mut unpacked = vec![0_u8; need];
            Box::new(move || {
                inflate(&packed, &mut unpacked);
                Ok("libdeflate, gzip to memory".to_owned())
            })
        }
        kernel => {
            let mut decoder = Decoder::new().with_threads(Threads::new(row.threads).unwrap_or_default());
            if kernel == "cpu-scalar" {
                decoder = decoder.with_isa(Isa::Scalar);
            }
            ours(run, path, decoder, output)
        }
    }
}

fn ours(
    run: Run,
    path: PathBuf,
    mut decoder: Decoder,
    output: Arc<std::sync::Mutex<Output>>,
) -> Box<dyn FnMut() -> Result<String, nifti_decode::NiftiError> + Send> {
    let plan = run.plan();
    let is_mapped = matches!(run, Run::Mapped | Run::Swapped | Run::Half | Run::Brain | Run::PatchMapped)
        || matches!(run, Run::Flipped | Run::Permuted | Run::Stats | Run::Zscore);
    let index = matches!(run, Run::Indexed | Run::PatchByIndex).then(|| {
        let file = VolumeFile::open(&path).expect("a sound file");
        Arc::new(file.index(&mut decoder).expect("a sound file").expect("ordinary gzip"))
    });
    let open = move || -> Result<VolumeFile, nifti_decode::NiftiError> {
        let file = if is_mapped {
            // SAFETY: the file is in this process's own temporary directory, and is not written to after it was made.
            unsafe { VolumeFile::map(&path) }?
        } else {
            VolumeFile::open(&path)?
        };
        match &index {
            Some(index) => file.with_index(Arc::clone(index)),
            None => Ok(file),
        }
    };
    Box::new(move || {
        let file = open()?;
        let mut output = output.lock().expect("one thread at a time");
        let decoded = match (run, run.region(file.shape())) {
            (Run::Header, _) => return Ok(format!("{:?}", black_box(file.header()).version)),
            (Run::BuildIndex, _) => {
                fit(&mut output.single, file.voxels());
                let (decoded, index) = file.decode_and_index(&mut decoder, &plan, &mut output.single)?;
                black_box(index);
                decoded
            }
            (Run::Half, _) => {
                fit(&mut output.half, file.voxels());
                file.decode_into(&mut decoder, &plan, &mut output.half)?
            }
            (Run::Brain, _) => {
                fit(&mut output.brain, file.voxels());
                file.decode_into(&mut decoder, &plan, &mut output.brain)?
            }
            (_, Some(region)) => {
                fit(&mut output.single, region.iter().map(ExactSizeIterator::len).product());
                file.read_region_into(&mut decoder, &region, &plan, &mut output.single)?
            }
            _ => {
                fit(&mut output.single, file.voxels());
                file.decode_into(&mut decoder, &plan, &mut output.single)?
            }
        };
        let kernel = decoded.ran.map_or(String::new(), |ran| ran.to_string());
        Ok(format!("{}; {kernel}", decoded.access))
    })
}

/// Resizes `voxels` to `n`; this allocates for the first volume only.
fn fit<D: nifti_decode::Output>(voxels: &mut Vec<D>, n: usize) {
    if voxels.len() != n {
        *voxels = nifti_decode::zeroed(n);
    }
}

/// The lower bound of the time: libdeflate alone, one gzip member into existing memory.
fn inflate(packed: &[u8], out: &mut [u8]) {
    use libdeflate_sys as sys;
    // SAFETY: allocated, used with slices and their lengths, freed.
    let result = unsafe {
        let decompressor = sys::libdeflate_alloc_decompressor();
        let (input, room) = (packed.as_ptr().cast(), out.as_mut_ptr().cast());
        let result =
            sys::libdeflate_gzip_decompress(decompressor, input, packed.len(), room, out.len(), std::ptr::null_mut());
        sys::libdeflate_free_decompressor(decompressor);
        result
    };
    assert_eq!(result, sys::libdeflate_result_LIBDEFLATE_SUCCESS);
}

impl Subject for Contest {
    fn prove(&mut self) -> Proof {
        self.run();
        let input = Hash::default().bytes(&self.phantom.voxels).finish();
        if matches!(self.row.run, Run::Header) || self.row.kernel == "libdeflate" {
            // Nothing is converted, so success is all that there is to check.
            return proof::compare::same_hash("", "", input);
        }
        let output = self.output.lock().expect("one thread at a time");
        let expected = self.expected();
        let hash = |values: &mut dyn Iterator<Item = u32>| {
            let mut hash = Hash::default();
            let bytes: Vec<u8> = values.flat_map(u32::to_le_bytes).collect();
            hash.bytes(&bytes);
            hash.finish()
        };
        let (got, want) = match self.row.run {
            Run::Half => (
                hash(&mut output.half.iter().map(|v| u32::from(v.to_bits()))),
                hash(&mut expected.iter().map(|&v| u32::from(f16::from_f32_const(v).to_bits()))),
            ),
            Run::Brain => (
                hash(&mut output.brain.iter().map(|v| u32::from(v.to_bits()))),
                hash(&mut expected.iter().map(|&v| u32::from(bf16::from_f32_const(v).to_bits()))),
            ),
            Run::Zscore => {
                let want = zscored(&expected);
                let error = output.single.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0_f32, f32::max);
                let is_near = error < 1e-5 && output.single.len() == want.len();
                (if is_near { "near" } else { "far" }.to_owned(), "near".to_owned())
            }
            _ => {
                (hash(&mut output.single.iter().map(|v| v.to_bits())), hash(&mut expected.iter().map(|v| v.to_bits())))
            }
        };
        proof::compare::same_hash(&got, &want, input)
    }
}

impl Loaded for Contest {
    fn run(&mut self) {
        let work = &mut self.work;
        let ran = match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        };
        *self.ran.borrow_mut() = ran.expect("a sound file");
    }

    fn ran(&self) -> Ran {
        let (stored, output) = self.row.run.bytes(self.row.reading.shape.iter().product(), 2);
        let isa = if self.row.kernel == "auto" { Isa::best().to_string() } else { String::new() };
        Ran {
            path: format!("{} ({} bytes)", self.ran.borrow(), self.path.metadata().map_or(0, |m| m.len())),
            threads: self.row.threads,
            bytes: (stored + output) as u64,
            ..Ran::new(self.row.kernel, isa)
        }
    }
}

/// The values clipped to the 0.5th and 99.5th percentile, found by sorting, and normalized by the nonzero values.
fn zscored(values: &[f32]) -> Vec<f32> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let percentile = |q: f64| {
        let at = (sorted.len() - 1) as f64 * q;
        let (a, b) = (f64::from(sorted[at as usize]), f64::from(sorted[(at as usize + 1).min(sorted.len() - 1)]));
        a + (b - a) * at.fract()
    };
    let (low, high) = (percentile(0.005), percentile(0.995));
    let clipped = |v: f32| f64::from(v).clamp(low, high);
    let inside: Vec<f64> = values.iter().filter(|v| **v != 0.0).map(|&v| clipped(v)).collect();
    let mean = inside.iter().sum::<f64>() / inside.len() as f64;
    let std = (inside.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / inside.len() as f64).sqrt();
    values.iter().map(|&v| ((clipped(v) - mean) / std) as f32).collect()
}
