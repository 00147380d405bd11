//! Samples out of volumes that are in memory, what is done to those volumes, and batches of the pool that they come
//! from.
//!
//! Volumes are small phantoms in files of a temporary directory. What is timed is proved against the reference in f64.

// The definitions that the tests prove against.
#[path = "../crates/loader/tests/plain/mod.rs"]
mod plain;
#[path = "loader/prepared.rs"]
mod prepared;

use std::cell::OnceCell;
use std::path::PathBuf;
use std::rc::Rc;

use loader::{
    AsymmetricPatches, CenterCrop, Crop, Files, Loader, Memory, Pixel, RandomCrop, Reference, Sampler, Source, Views,
    Volume, f16, random,
};
use nifti_decode::{Decoder, Kind, Orientation, Pack, Phantom, write};
use op::{Loaded, Ran};
use proof::bench::{Bench, Ceiling, Subject, Suite};
use proof::compare;
use record::{Proof, Work};

#[global_allocator]
static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;

const SHAPE: [usize; 3] = [144, 144, 128];
const FILES: usize = 4;
const SEED: u64 = 11;

fn main() {
    let files = Rc::new(Volumes::default());
    proof::bench::main(|suite| {
        for kind in [Kind::Brain, Kind::Ct, Kind::Zscored] {
            for patches in [16, 64, 256] {
                let tier = if kind == Kind::Zscored || patches == 256 { 2 } else { 1 };
                views::<f32>(suite, &files, (kind, patches), tier);
            }
        }
        views::<f16>(suite, &files, (Kind::Brain, 64), 1);
        for (name, crop) in [("center", Cut::Center), ("random", Cut::Random)] {
            let bench = bench("crop", "f32", &format!("{name}96/resident/t1"), "auto", (96 * 96 * 96) as f64, 1);
            let files = Rc::clone(&files);
            suite.bench(bench, move || Box::new(Cropped::new(&files, crop)));
        }
        prepared::declare(suite, &files);
        for (workers, batch) in [(0, 1), (1, 1), (1, 16)] {
            let pixels = (batch * 2 * 64 * 256) as f64;
            let bench = bench("pool", "f32", &format!("n64b{batch}w{workers}/resident/t1"), "auto", pixels, 1);
            let files = Rc::clone(&files);
            suite.bench(bench, move || Box::new(Pooled::new(&files, workers, batch)));
        }
    });
}

fn bench(op: &str, ty: &str, function: &str, kernel: &str, pixels: f64, tier: u8) -> Bench {
    Bench {
        group: format!("loader/{op}/{ty}"),
        function: function.to_owned(),
        value: kernel.to_owned(),
        tier,
        work: Work { flops: None, bytes: None, elements: Some(pixels) },
        // Voxels of a patch are scattered, and many are read twice: no rate of memory is a limit.
        ceiling: Ceiling::None,
    }
}

fn views<T: Pixel + Into<f32>>(suite: &mut Suite, files: &Rc<Volumes>, (kind, patches): (Kind, usize), tier: u8) {
    let ty = if size_of::<T>() == 2 { "f16" } else { "f32" };
    let function = format!("{}n{patches}/resident/t1", kind.name());
    let bench = bench("views", ty, &function, "auto", (2 * patches * 256) as f64, tier);
    let files = Rc::clone(files);
    suite.bench(bench, move || Box::new(Viewed::<T>::new(&files, kind, patches)));
}

/// Files of phantoms, made when the first bench needs them.
#[derive(Default)]
struct Volumes {
    directory: OnceCell<tempfile::TempDir>,
}

impl Volumes {
    fn path(&self, kind: Kind, number: usize) -> PathBuf {
        let directory = self.directory.get_or_init(|| tempfile::tempdir().expect("a temporary directory"));
        let path = directory.path().join(format!("{}-{number}.nii", kind.name()));
        if !path.exists() {
            let phantom = Phantom::new(kind, Some(&SHAPE), Orientation::LPS, number as u64).expect("a shape");
            write(&path, &phantom.header, &[], &phantom.voxels, Pack::Plain).expect("room for a phantom");
        }
        path
    }

    fn volume(&self, kind: Kind) -> (Volume, Reference) {
        let path = self.path(kind, 0);
        let volume = Files::new([&path]).load(0, Memory::default(), &mut Decoder::new()).expect("a phantom");
        (volume, Reference::open(&path).expect("a phantom"))
    }
}

fn ran() -> Ran {
    Ran::new("auto", machine::isa::Isa::best().to_string())
}

/// The proof that pixels are those of the reference.
fn proof(found: &[f32], expected: &[f64], tolerance: f64) -> Proof {
    compare::proof(compare::check(found, expected, |_| tolerance), format!("{SEED:016x}"))
}

/// Samples of one volume, one after the other.
struct Viewed<T> {
    volume: Volume,
    reference: Reference,
    sampler: AsymmetricPatches,
    out: Vec<T>,
    views: Views,
    next: u64,
}

impl<T: Pixel> Viewed<T> {
    fn new(files: &Volumes, kind: Kind, patches: usize) -> Self {
        let (volume, reference) = files.volume(kind);
        let sampler = AsymmetricPatches::new(patches);
        let out = vec![T::default(); sampler.shape().iter().product()];
        Self { volume, reference, sampler, out, views: Views::default(), next: 0 }
    }
}

impl<T: Pixel> Loaded for Viewed<T> {
    fn run(&mut self) {
        let mut random = random(SEED, self.next);
        self.next += 1;
        let made = self.sampler.sample(&self.volume, &mut random, &mut self.out, &mut self.views);
        made.expect("this sampler needs nothing that a volume may lack");
    }

    fn ran(&self) -> Ran {
        ran()
    }
}

impl<T: Pixel + Into<f32>> Subject for Viewed<T> {
    fn prove(&mut self) -> Proof {
        self.run();
        let found: Vec<f32> = self.out.iter().map(|&value| value.into()).collect();
        // Half a unit in the last place of f16 near 1 is 2.4e-4.
        proof(&found, &self.reference.views(&self.views), if size_of::<T>() == 2 { 4e-4 } else { 1e-4 })
    }
}

#[derive(Clone, Copy)]
enum Cut {
    Center,
    Random,
}

/// Crops of one volume.
struct Cropped {
    volume: Volume,
    reference: Reference,
    cut: Cut,
    out: Vec<f32>,
    crop: Crop,
    next: u64,
}

const SIZE: [usize; 3] = [96; 3];

impl Cropped {
    fn new(files: &Volumes, cut: Cut) -> Self {
        let (volume, reference) = files.volume(Kind::Brain);
        let out = vec![0.0; SIZE.iter().product()];
        Self { volume, reference, cut, out, crop: Crop::default(), next: 0 }
    }
}

impl Loaded for Cropped {
    fn run(&mut self) {
        let mut random = random(SEED, self.next);
        self.next += 1;
        let Self { volume, out, crop, .. } = self;
        let made = match self.cut {
            Cut::Center => CenterCrop { size: SIZE }.sample(volume, &mut random, out, crop),
            Cut::Random => RandomCrop { size: SIZE }.sample(volume, &mut random, out, crop),
        };
        made.expect("this sampler needs nothing that a volume may lack");
    }

    fn ran(&self) -> Ran {
        ran()
    }
}

impl Subject for Cropped {
    fn prove(&mut self) -> Proof {
        self.out.fill(f32::NAN);
        self.run();
        proof(&self.out, &self.reference.crop(self.crop.start, SIZE), 0.0)
    }
}

/// Batches of a loader whose pool is full and never replaced.
struct Pooled {
    loader: Loader<AsymmetricPatches, f32>,
    references: Vec<Reference>,
    workers: usize,
}

impl Pooled {
    fn new(files: &Volumes, workers: usize, batch: usize) -> Self {
        let paths: Vec<PathBuf> = (0..FILES).map(|number| files.path(Kind::Brain, number)).collect();
        let references = paths.iter().map(|path| Reference::open(path).expect("a phantom")).collect();
        let builder = Loader::builder(Files::new(paths)).pool(FILES, usize::MAX).workers(workers).batch(batch);
        let loader = builder.seed(SEED).build(AsymmetricPatches::new(64)).expect("threads");
        Self { loader, references, workers }
    }
}

impl Loaded for Pooled {
    fn run(&mut self) {
        drop(self.loader.next().expect("a stream without end").expect("a phantom"));
    }

    fn ran(&self) -> Ran {
        Ran { threads: self.workers.max(1), ..ran() }
    }
}

impl Subject for Pooled {
    fn prove(&mut self) -> Proof {
        let batch = self.loader.next().expect("a stream without end").expect("a phantom");
        let expected = self.references[batch.files()[0]].views(&batch.labels()[0]);
        let proof = proof(&batch.pixels()[..expected.len()], &expected, 1e-4);
        drop(batch);
        // Afterward all volumes are there.
        (0..2 * FILES).for_each(|_| self.run());
        proof
    }
}
