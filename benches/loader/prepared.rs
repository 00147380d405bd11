//! What a loader does to a volume once, and to a crop each time.

use std::path::PathBuf;
use std::rc::Rc;

use loader::{
    Augment, Augmented, Cache, CenterCrop, Changes, Clip, Crop, Files, Loader, Memory, Over, Preparation, RandomCrop,
    Reference, Sampler, Source, Step, Volume, Voxels, random,
};
use nifti_decode::{Decoder, Kind};
use op::{Loaded, Ran};
use proof::bench::{Subject, Suite};
use record::Proof;

use crate::plain::{Plain, changed};
use crate::{SEED, SHAPE, SIZE, Volumes, bench, proof, ran};

pub(crate) fn declare(suite: &mut Suite, files: &Rc<Volumes>) {
    let voxels = SHAPE.iter().product::<usize>() as f64;
    for order in [Order::Nothing, Order::Usual, Order::Range, Order::Spacing] {
        let function = format!("{}/resident/t1", order.name());
        let bench = bench("prepare", "f32", &function, "auto", voxels, if order == Order::Usual { 1 } else { 2 });
        let files = Rc::clone(files);
        suite.bench(bench, move || Box::new(Prepared::new(&files, order)));
    }
    let voxels = SIZE.iter().product::<usize>() as f64;
    for change in [Change::Flips, Change::RightAngles, Change::All] {
        let function = format!("{}96/resident/t1", change.name());
        let bench = bench("augment", "f32", &function, "auto", voxels, if change == Change::All { 1 } else { 2 });
        let files = Rc::clone(files);
        suite.bench(bench, move || Box::new(Changed::new(&files, change)));
    }
}

/// Steps that belong together.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    /// None: what decoding alone takes.
    Nothing,
    /// Of brains: clip by percentiles, z-score, foreground, padding.
    Usual,
    /// Of CTs: a range, foreground, padding.
    Range,
    /// The usual one behind a resampling.
    Spacing,
}

impl Order {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "brain-nothing",
            Self::Usual => "brain-usual",
            Self::Range => "ct-range",
            Self::Spacing => "brain-spacing",
        }
    }

    fn kind(self) -> Kind {
        if self == Self::Range { Kind::Ct } else { Kind::Brain }
    }

    fn steps(self) -> Vec<Step> {
        let pad = Step::Pad([96, 150, 96]);
        let usual = [
            Step::Clip(Clip::Percentiles { low: 0.5, high: 99.5 }),
            Step::ZScore(Over::NonZero),
            Step::Foreground { above: 0.0, margin: 2 },
            pad,
        ];
        match self {
            Self::Nothing => Vec::new(),
            Self::Usual => usual.to_vec(),
            Self::Range => {
                let range = Step::Scale { from: [-175.0, 250.0], to: [0.0, 1.0], is_clipped: true };
                vec![range, Step::Foreground { above: 0.1, margin: 0 }, pad]
            }
            Self::Spacing => std::iter::once(Step::Spacing([1.3; 3])).chain(usual).collect(),
        }
    }
}

/// A loader that decodes and prepares a volume for every sample, of which it takes one row.
struct Prepared {
    loader: Loader<CenterCrop, f32>,
    files: Files,
    path: PathBuf,
    order: Order,
}

impl Prepared {
    fn new(files: &Volumes, order: Order) -> Self {
        let path = files.path(order.kind(), 0);
        let preparation = order.steps().into_iter().fold(Preparation::new(), Preparation::step);
        let files = Files::new([&path]).prepared(preparation).expect("steps that mean something");
        let builder = Loader::builder(files.clone()).cache(Cache::Cold).workers(0).batch(1).seed(SEED);
        let loader = builder.build(CenterCrop { size: [64, 1, 1] }).expect("no threads");
        Self { loader, files, path, order }
    }
}

impl Loaded for Prepared {
    fn run(&mut self) {
        drop(self.loader.next().expect("a stream without end").expect("a phantom"));
    }

    fn ran(&self) -> Ran {
        ran()
    }
}

impl Subject for Prepared {
    /// All voxels of a volume, and that the timed samples are of it.
    fn prove(&mut self) -> Proof {
        let (reference, volume) = (Reference::open(&self.path).expect("a phantom"), load(&self.files));
        let decoded = load(&Files::new([&self.path]));
        let values = reference.values().to_vec();
        let plain =
            Plain { labels: vec![0.0; values.len()], values, shape: reference.shape(), affine: *decoded.affine() };
        let expected = self.order.steps().into_iter().fold(plain, |plain, step| plain.step(step));
        assert_eq!(volume.shape(), expected.shape);
        let batch = self.loader.next().expect("a stream without end").expect("a phantom");
        let mut found = scaled(&volume);
        let start = batch.labels()[0].start.map(|at| usize::try_from(at).expect("the volume is larger"));
        let first = start[0] + expected.shape[0] * (start[1] + expected.shape[1] * start[2]);
        found.extend(batch.pixels());
        let row = expected.values[first..first + batch.pixels().len()].iter();
        let wanted: Vec<f64> = expected.values.iter().chain(row).copied().collect();
        let largest = wanted.iter().fold(1.0, |largest: f64, value| largest.max(value.abs()));
        proof(&found, &wanted, 1e-5 * largest)
    }
}

fn load(files: &Files) -> Volume {
    files.load(0, Memory::default(), &mut Decoder::new()).expect("a phantom")
}

fn scaled(volume: &Volume) -> Vec<f32> {
    let (slope, inter) = (volume.scale().slope as f32, volume.scale().inter as f32);
    match volume.voxels() {
        Voxels::I16(voxels) => voxels.iter().map(|&voxel| slope * f32::from(voxel) + inter).collect(),
        Voxels::F32(voxels) => voxels.to_vec(),
        _ => unreachable!("phantoms are i16, prepared volumes f32"),
    }
}

/// Changes of crops.
#[derive(Clone, Copy, PartialEq)]
enum Change {
    Flips,
    /// About y, so that x may become the fastest axis.
    RightAngles,
    All,
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Self::Flips => "flips",
            Self::RightAngles => "angles",
            Self::All => "all",
        }
    }

    fn augment(self) -> Augment {
        match self {
            Self::Flips => Augment::new().flips([0.5; 3]),
            Self::RightAngles => Augment::new().rotations(1.0, [0, 2]),
            Self::All => {
                Augment::new().flips([0.5; 3]).rotations(0.5, [0, 1]).noise(1.0, 0.0, 10.0).gamma(1.0, [0.7, 1.5])
            }
        }
    }
}

/// Random crops of one volume, each changed.
struct Changed {
    volume: Volume,
    reference: Reference,
    sampler: Augmented<RandomCrop>,
    out: Vec<f32>,
    label: (Crop, Changes),
    next: u64,
}

impl Changed {
    fn new(files: &Volumes, change: Change) -> Self {
        let (volume, reference) = files.volume(Kind::Brain);
        let sampler = Augmented::new(RandomCrop { size: SIZE }, change.augment()).expect("cubes");
        Self { volume, reference, sampler, out: vec![0.0; SIZE.iter().product()], label: Default::default(), next: 0 }
    }
}

impl Loaded for Changed {
    fn run(&mut self) {
        let mut random = random(SEED, self.next);
        self.next += 1;
        let made = self.sampler.sample(&self.volume, &mut random, &mut self.out, &mut self.label);
        made.expect("this sampler needs nothing that a volume may lack");
    }

    fn ran(&self) -> Ran {
        ran()
    }
}

impl Subject for Changed {
    fn prove(&mut self) -> Proof {
        self.out.fill(f32::NAN);
        self.run();
        let (crop, changes) = &self.label;
        let expected = changed(&self.reference.crop(crop.start, SIZE), SIZE, changes);
        // Values are up to 600; noise and gamma round in f32.
        let is_exact = changes.noise.is_none() && changes.gamma.is_none();
        proof(&self.out, &expected, if is_exact { 0.0 } else { 5e-3 })
    }
}
