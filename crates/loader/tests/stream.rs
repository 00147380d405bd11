//! The stream of samples: the same bits whoever makes them, whatever fails or is slow.

#[path = "data/brains.rs"]
mod brains;
mod data;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use loader::{
    AsymmetricPatches, Builder, Cache, Files, Loader, LoaderError, Memory, OnFailure, Pixel, Sampler, Source, Volume,
};
use nifti_decode::Decoder;
use op::random::Random;

/// Pixels, labels and files of all samples.
fn stream(builder: Builder) -> Vec<(Vec<u32>, String, usize)> {
    let mut samples = Vec::new();
    for batch in builder.build::<f32, _>(AsymmetricPatches::new(2)).unwrap() {
        let batch = batch.unwrap();
        assert_eq!(batch.first(), samples.len() as u64);
        let size = batch.pixels().len() / batch.len();
        for (s, label) in batch.labels().iter().enumerate() {
            let bits = batch.pixels()[s * size..][..size].iter().map(|value| value.to_bits()).collect();
            samples.push((bits, format!("{label:?}"), batch.files()[s]));
        }
    }
    samples
}

#[test]
fn samples_depend_on_neither_workers_nor_batches() {
    let directory = tempfile::tempdir().unwrap();
    let paths = brains::brains(directory.path(), 5);
    for cache in [Cache::Pool { slots: 3, visits: 4 }, Cache::Cold] {
        let builder = |seed| Loader::builder(Files::new(&paths)).cache(cache).seed(seed).samples(50);
        let expected = stream(builder(1).workers(0));
        assert_eq!(expected.len(), 50);
        assert!(expected.iter().map(|sample| sample.2).collect::<BTreeSet<_>>().len() > 3);
        for workers in [0, 1, 2, 4] {
            for batch in [1, 3, 16] {
                for decoders in [1, 2] {
                    let found = stream(builder(1).workers(workers).batch(batch).decoders(decoders));
                    assert!(found == expected, "{cache:?}, {workers} workers, batches of {batch}");
                }
            }
        }
        let other = stream(builder(2));
        assert!(other.iter().zip(&expected).all(|(a, b)| a.0 != b.0), "another seed gives other samples");
    }
}

/// The samples of a volume are the same, whichever slot it was in: they are those of the schedule.
#[test]
fn files_are_those_of_the_schedule_and_the_pool_turns_over() {
    let directory = tempfile::tempdir().unwrap();
    let paths = brains::brains(directory.path(), 6);
    let builder = Loader::builder(Files::new(&paths)).pool(2, 3).seed(4).samples(60).workers(2);
    let mut loader = builder.build::<f32, _>(AsymmetricPatches::new(1)).unwrap();
    let schedule = loader.schedule();
    for (i, batch) in loader.by_ref().enumerate() {
        assert_eq!(batch.unwrap().files(), [schedule.file_of(schedule.load_of(i as u64))]);
    }
    let counters = loader.counters();
    assert_eq!(counters.samples, 60);
    assert!(counters.replacements >= 18 && counters.loads >= 20, "{counters:?}");
    assert!(counters.decoded_bytes > 20 * 2 * 36 * 40 * 30 && counters.skipped.is_empty());
    // Two slots, one ahead, and one in the hands of each worker.
    let largest = 2 * 41 * 40 * 40 + 8;
    assert!(counters.peak_volume_bytes <= 5 * largest, "{}", counters.peak_volume_bytes);
}

/// Files that are no volumes, each for a reason of its own.
fn hostile(directory: &std::path::Path) -> Vec<PathBuf> {
    let good = brains::brains(directory, 1).remove(0);
    let packed = fs::read(&good).unwrap();
    let plain = fs::read(&brains::brains(directory, 2)[1]).unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = directory.join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let mut damaged = packed.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    let mut four = plain.clone();
    four[40..50].copy_from_slice(&[4, 0, 8, 0, 8, 0, 8, 0, 2, 0]);
    let mut colors = plain.clone();
    colors[40..48].copy_from_slice(&[3, 0, 8, 0, 8, 0, 8, 0]);
    colors[70..74].copy_from_slice(&[128, 0, 24, 0]);
    vec![
        directory.join("missing.nii"),
        directory.to_path_buf(),
        file("empty.nii", &[]),
        file("text.nii", b"not a volume at all"),
        file("short.nii", &plain[..1000]),
        file("short.nii.gz", &packed[..packed.len() / 2]),
        file("damaged.nii.gz", &damaged),
        file("four.nii", &four),
        file("colors.nii", &colors),
    ]
}

#[test]
fn failing_files_are_reported_and_skipped_or_end_the_run() {
    let directory = tempfile::tempdir().unwrap();
    let bad = hostile(directory.path());
    let good = brains::brains(directory.path(), 3);
    let paths: Vec<PathBuf> = bad.iter().chain(&good).cloned().collect();
    let builder = || Loader::builder(Files::new(&paths)).pool(3, 2).seed(8).samples(60);

    let expected = stream(builder().workers(0));
    for (_, _, file) in &expected {
        assert!(*file >= bad.len(), "{} was read", paths[*file].display());
    }
    for workers in [1, 4] {
        assert!(stream(builder().workers(workers).batch(3).decoders(2)) == expected);
    }
    let mut loader = builder().build::<f32, _>(AsymmetricPatches::new(1)).unwrap();
    assert!(loader.by_ref().all(|batch| batch.is_ok()));
    let skipped: BTreeSet<usize> = loader.counters().skipped.iter().map(|skipped| skipped.file).collect();
    assert_eq!(skipped, (0..bad.len()).collect());
    for skipped in loader.counters().skipped {
        assert!(skipped.error.to_string().contains(directory.path().to_str().unwrap()), "{}", skipped.error);
    }

    let stopping = builder().on_failure(OnFailure::Stop).batch(4).workers(2);
    let batches: Vec<_> = stopping.build::<f32, _>(AsymmetricPatches::new(1)).unwrap().collect();
    assert!(batches.iter().rev().skip(1).all(Result::is_ok) && batches.last().unwrap().is_err());

    for workers in [0, 2] {
        let none = Loader::builder(Files::new(&bad)).workers(workers).build::<f32, _>(AsymmetricPatches::new(1));
        let batches: Vec<_> = none.unwrap().collect();
        assert!(matches!(batches[..], [Err(LoaderError::NoFile { files: 9, .. })]), "{batches:?}");
    }
}

#[test]
fn numbers_that_must_not_be_zero_are_refused() {
    let of = |change: &dyn Fn(Builder) -> Builder, files: usize| {
        let paths = vec![PathBuf::from("a.nii"); files];
        change(Loader::builder(Files::new(paths))).build::<f32, _>(AsymmetricPatches::new(1)).err()
    };
    let refused = |error: Option<LoaderError>| matches!(error, Some(LoaderError::Setting { got: 0, need: 1, .. }));
    assert!(refused(of(&|builder| builder, 0)));
    assert!(refused(of(&|builder| builder.batch(0), 1)));
    assert!(refused(of(&|builder| builder.pool(0, 1), 1)));
    assert!(refused(of(&|builder| builder.pool(1, 0), 1)));
    assert!(refused(of(&|builder| builder.decoders(0), 1)));
    assert!(refused(of(&|builder| builder.ahead(0), 1)));
    let none = Loader::builder(Files::new(["a.nii"])).build::<f32, _>(AsymmetricPatches::new(0)).err();
    assert!(refused(none));
}

/// Files of which all but the first wait until they are let through.
struct Gated {
    files: Files,
    open: Arc<(Mutex<bool>, Condvar)>,
}

impl Source for Gated {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn load(&self, number: usize, memory: Memory, decoder: &mut Decoder) -> Result<Volume, LoaderError> {
        let (is_open, opened) = &*self.open;
        let mut guard = is_open.lock().unwrap();
        while number > 0 && !*guard {
            guard = opened.wait(guard).unwrap();
        }
        drop(guard);
        self.files.load(number, memory, decoder)
    }
}

#[test]
fn the_first_batch_waits_for_one_volume_alone() {
    let directory = tempfile::tempdir().unwrap();
    let paths = brains::brains(directory.path(), 4);
    for workers in [0, 2] {
        let open = Arc::<(Mutex<bool>, Condvar)>::default();
        let source = Gated { files: Files::new(&paths), open: Arc::clone(&open) };
        let builder = Loader::builder(source).pool(4, 8).shuffled(false).workers(workers).samples(20);
        let mut loader = builder.build::<f32, _>(AsymmetricPatches::new(1)).unwrap();
        // Would never return if it waited for another volume.
        assert_eq!(loader.next().unwrap().unwrap().files(), [0]);
        *open.0.lock().unwrap() = true;
        open.1.notify_all();
        assert_eq!(loader.by_ref().filter(Result::is_ok).count(), 19);
        assert!(loader.counters().volume_waits > 0);
    }
}

#[test]
fn dropping_a_running_loader_ends_its_threads() {
    let directory = tempfile::tempdir().unwrap();
    let paths = brains::brains(directory.path(), 4);
    for (workers, taken) in [(0, 1), (1, 0), (4, 0), (4, 3)] {
        let open = Arc::<(Mutex<bool>, Condvar)>::default();
        let source = Gated { files: Files::new(&paths), open: Arc::clone(&open) };
        let builder = Loader::builder(source).pool(4, 8).shuffled(false).workers(workers).decoders(2);
        let mut loader = builder.build::<f32, _>(AsymmetricPatches::new(1)).unwrap();
        if taken > 0 {
            loader.next().unwrap().unwrap();
        }
        // A decode that is slow: it goes on while the loader is dropped.
        let gate = Arc::clone(&open);
        let opener = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            *gate.0.lock().unwrap() = true;
            gate.1.notify_all();
        });
        drop(loader);
        // The source is gone with the last thread that could use it.
        assert_eq!(Arc::strong_count(&open), if opener.is_finished() { 1 } else { 2 });
        opener.join().unwrap();
    }
}

/// Fails for some samples, and panics for one.
struct Odd;

impl Sampler for Odd {
    type Label = u64;

    fn shape(&self) -> Vec<usize> {
        vec![1]
    }

    fn sample<T: Pixel>(
        &self,
        _: &Volume,
        random: &mut Random,
        out: &mut [T],
        label: &mut u64,
    ) -> Result<(), LoaderError> {
        *label = random.bits() % 4;
        out.fill(T::default());
        match *label {
            0 => Err(LoaderError::NoLabels),
            1 => panic!("odd"),
            _ => Ok(()),
        }
    }
}

#[test]
fn samplers_that_fail_or_panic_give_errors_and_block_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let paths = brains::brains(directory.path(), 4);
    for (workers, batch) in [(0, 1), (2, 1), (3, 4)] {
        let builder = Loader::builder(Files::new(&paths)).pool(2, 2).workers(workers).batch(batch).samples(80);
        let batches: Vec<_> = builder.build::<f32, _>(Odd).unwrap().collect();
        assert_eq!(batches.len(), 80 / batch);
        let count =
            |wanted: fn(&LoaderError) -> bool| batches.iter().filter(|batch| batch.as_ref().is_err_and(wanted)).count();
        assert!(count(|error| matches!(error, LoaderError::NoLabels)) > 3);
        assert!(count(|error| matches!(error, LoaderError::Panicked { reason } if reason == "odd")) > 3);
    }
}

#[test]
fn memory_of_batches_is_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let paths = brains::brains(directory.path(), 2);
    let builder = Loader::builder(Files::new(&paths)).workers(0).batch(2).samples(20);
    let loader = builder.build::<f32, _>(AsymmetricPatches::new(1)).unwrap();
    let places: BTreeSet<usize> = loader.map(|batch| batch.unwrap().pixels().as_ptr() as usize).collect();
    assert_eq!(places.len(), 1);
}
