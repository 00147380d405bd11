//! Checks and statistics take a few MiB, regardless of the size of the volume. The allocator and the decoder count the
//! bytes.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use nifti_decode::{
    Datatype, Decoder, Endian, Header, Limits, NiftiError, Pack, Stats, Threads, Version, VolumeFile, encode, write,
};

/// The system's allocator, with counters for the bytes in use and their peak.
struct Peak;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grow(bytes: usize) {
    let now = IN_USE.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(now, Relaxed);
}

// SAFETY: every call goes to `System` with the caller's own arguments; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Peak {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is the same for `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is the same for `System`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `block` came from `System` with this layout, because every allocation above did.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // Both blocks can exist for a moment.
        grow(new_size);
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `block` came from `System` with this layout, and the caller vouches for the new size.
        unsafe { System.realloc(block, layout, new_size) }
    }
}

/// The smallest number of threads that share work.
const TWO: Threads = Threads::new(2).unwrap();

#[global_allocator]
static ALLOCATOR: Peak = Peak;

const MIB: u64 = 1 << 20;
const SHAPE: [usize; 3] = [256, 192, 128];

/// Values that repeat and have equal top bits, and some values that differ.
fn voxels(datatype: Datatype) -> Vec<u8> {
    let n: usize = SHAPE.iter().product();
    let mut state = 1_u64;
    let mut bytes = Vec::with_capacity(n * datatype.bytes());
    for i in 0..n as u64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let noise = (state >> 33) as f64 / f64::from(1_u32 << 31);
        let value = if i % 3 == 0 { 0.0 } else { ((i / 50_000) % 40) as f64 + noise };
        match datatype {
            Datatype::Float32 => bytes.extend((value as f32).to_ne_bytes()),
            Datatype::Float64 => bytes.extend(value.to_ne_bytes()),
            _ => bytes.extend_from_slice(&((value * 100.0) as u64).to_ne_bytes()[..datatype.bytes()]),
        }
    }
    bytes
}

fn header(datatype: Datatype) -> Header {
    let header = Header::new(Version::Nifti1, datatype, &SHAPE).unwrap().with_scale(0.5, -1.0);
    Header { endian: Endian::Big, ..header }
}

/// Returns the result of `f`, and the peak of the bytes that it held in addition to those allocated before.
fn peak<T>(decoder: &mut Decoder, f: impl FnOnce(&mut Decoder) -> T) -> (T, u64) {
    decoder.shrink(0);
    let before = IN_USE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = f(decoder);
    let allocated = (PEAK.load(Relaxed) - before) as u64;
    (result, allocated + decoder.scratch_bytes() as u64)
}

const PACKS: [Pack; 6] = [
    Pack::Plain,
    Pack::Gzip { level: 1 },
    Pack::Members { level: 1, bytes: usize::MAX },
    Pack::Members { level: 1, bytes: 3_000_001 },
    Pack::Bgzf { level: 1 },
    Pack::Mgzip { level: 1, bytes: 1_000_003 },
];

fn check(datatype: Datatype, most: u64, packs: &[Pack], directory: &Path) {
    let stored = voxels(datatype);
    // The bound must be smaller than the volume, or it would prove nothing.
    assert!(most < stored.len() as u64);
    let in_memory = encode(&header(datatype), &[], &stored, Pack::Plain).unwrap();
    let file = VolumeFile::from_bytes(in_memory, Limits::default()).unwrap();
    let expected: Stats = file.stats(&mut Decoder::new()).unwrap();
    for (i, &pack) in packs.iter().enumerate() {
        let path = directory.join(format!("{i}.nii"));
        write(&path, &header(datatype), &[], &stored, pack).unwrap();
        let file = VolumeFile::open(&path).unwrap();
        for threads in [Threads::SERIAL, TWO] {
            let place = format!("{datatype:?} {pack:?} {threads} threads");
            let mut decoder = Decoder::new().with_threads(threads);
            let (verified, bytes) = peak(&mut decoder, |decoder| file.verify(decoder));
            verified.unwrap();
            // Threads unpack 4 MiB at a time, and hold as many packed bytes if necessary.
            let of_threads = if threads.is_serial() { 0 } else { 4 * MIB };
            assert!(bytes < 4 * MIB + of_threads, "{place}: a check took {bytes} bytes");
            let (stats, bytes) = peak(&mut decoder, |decoder| file.stats(decoder));
            let stats = stats.unwrap();
            assert!(bytes < most + of_threads, "{place}: statistics took {bytes} bytes");
            // The passes and their order are the same; only the ends of the pieces differ.
            let exact = |s: &Stats| [s.min, s.max, s.p0_5, s.median, s.p99_5].map(f64::to_bits);
            assert_eq!((stats.n, stats.n_nan, stats.n_nonzero), (expected.n, expected.n_nan, expected.n_nonzero));
            assert_eq!(exact(&stats), exact(&expected), "{place}");
            for (got, need) in [
                (stats.mean, expected.mean),
                (stats.std, expected.std),
                (stats.robust_mean, expected.robust_mean),
                (stats.robust_std, expected.robust_std),
            ] {
                assert!((got - need).abs() <= 1e-12 * need.abs(), "{place}: {got}, need {need}");
            }
        }
    }
}

/// A single test, because the process has a single counter.
#[test]
fn checks_and_statistics_of_large_volumes_take_a_few_mib() {
    let directory = tempfile::tempdir().unwrap();
    check(Datatype::Int16, 5 * MIB, &PACKS, directory.path());
    check(Datatype::Float32, 8 * MIB, &PACKS, directory.path());
    check(Datatype::Float64, 8 * MIB, &PACKS[..2], directory.path());
    damage_is_found(directory.path());
}

/// Streamed volumes are checked like whole volumes.
fn damage_is_found(directory: &Path) {
    let stored = voxels(Datatype::Int16);
    let path = directory.join("damaged.nii.gz");
    for pack in PACKS {
        let sound = encode(&header(Datatype::Int16), &[], &stored, pack).unwrap();
        for cut in [1, 5, 29, sound.len() / 2] {
            std::fs::write(&path, &sound[..sound.len() - cut]).unwrap();
            let Ok(file) = VolumeFile::open(&path) else { continue };
            for threads in [Threads::SERIAL, TWO] {
                let error = file.verify(&mut Decoder::new().with_threads(threads)).unwrap_err();
                assert!(
                    matches!(error, NiftiError::Truncated { .. } | NiftiError::Gzip { .. }),
                    "{pack:?} cut by {cut}: {error}"
                );
            }
        }
        if pack != Pack::Plain {
            let mut changed = sound.clone();
            let middle = changed.len() / 2;
            changed[middle] ^= 0x10;
            std::fs::write(&path, &changed).unwrap();
            let error = VolumeFile::open(&path).unwrap().verify(&mut Decoder::new()).unwrap_err();
            assert!(matches!(error, NiftiError::Gzip { .. }), "{pack:?}: {error}");
        }
    }
}
