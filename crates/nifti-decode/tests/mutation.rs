//! Tens of thousands of damaged files from fixed seeds: no panic, no hang, and no more memory than the limits and the
//! file allow.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use nifti_decode::{
    Datatype, Decoder, Endian, Extension, Header, Index, Limits, NiftiError, Orientation, Pack, Plan, Threads, Version,
    VolumeFile, encode,
};
use op::random::SplitMix64;

/// The system's allocator, which records the largest single request.
struct Largest;

static LARGEST: AtomicUsize = AtomicUsize::new(0);
/// Serializes the tests, because the largest request is one number for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

// SAFETY: every call goes to `System` with the caller's own arguments.
unsafe impl GlobalAlloc for Largest {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same for `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is the same for `System`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `System` with this layout, because every allocation above did.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        LARGEST.fetch_max(new_size, Relaxed);
        // SAFETY: `block` came from `System` with this layout, and the caller vouches for the new size.
        unsafe { System.realloc(block, layout, new_size) }
    }
}

/// The smallest number of threads that share work.
const TWO: Threads = Threads::new(2).unwrap();

#[global_allocator]
static ALLOCATOR: Largest = Largest;

/// Small files with different versions, byte orders, types, extensions and packings.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let extensions = [Extension { ecode: 6, content: vec![b'x'; 24] }, Extension { ecode: 4, content: vec![0; 40] }];
    let packs = [
        Pack::Plain,
        Pack::Gzip { level: 6 },
        Pack::Flushed { level: 1, bytes: 300 },
        Pack::Members { level: 6, bytes: 500 },
        Pack::Bgzf { level: 6 },
        Pack::Mgzip { level: 6, bytes: 400 },
    ];
    for (i, pack) in packs.into_iter().cycle().take(12).enumerate() {
        let datatype = [Datatype::Int16, Datatype::Float32, Datatype::Uint8, Datatype::Rgb24, Datatype::Float64][i % 5];
        let version = if i % 4 < 2 { Version::Nifti1 } else { Version::Nifti2 };
        let endian = if i % 2 == 0 { Endian::Little } else { Endian::Big };
        let header = Header { endian, sform_code: 1, ..Header::new(version, datatype, &[7, 5, 3, 2]).unwrap() };
        let header = Header { srow_x: [0.0, 1.0, 0.0, 3.0], srow_y: [-1.0, 0.0, 0.0, 1.0], ..header };
        let header = Header { srow_z: [0.0, 0.0, 2.0, 0.0], ..header.with_scale(0.5, 2.0) };
        let voxels: Vec<u8> = (0..210 * datatype.bytes()).map(|v| (v * 31 % 251) as u8).collect();
        seeds.push(encode(&header, &extensions[..i % 3], &voxels, pack).unwrap());
    }
    seeds
}

/// Changes bits, bytes or critical numbers, truncates, or copies.
fn mutate(bytes: &mut Vec<u8>, random: &mut SplitMix64) {
    for _ in 0..1 + random.below(4) {
        let at = match random.below(3) {
            // Headers have the greatest effect.
            0 => random.below(bytes.len().min(560)),
            _ => random.below(bytes.len()),
        };
        if bytes.is_empty() {
            return;
        }
        match random.below(7) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            2 => bytes[at] = random.bits() as u8,
            3 => {
                let number = [0, 1, -1, i16::MAX, i16::MIN, 32, 352][random.below(7)].to_le_bytes();
                let n = 2.min(bytes.len() - at);
                bytes[at..at + n].copy_from_slice(&number[..n]);
            }
            4 => {
                let number = [f32::NAN, f32::INFINITY, -1.0, 1e30, 0.5][random.below(5)].to_le_bytes();
                let n = 4.min(bytes.len() - at);
                bytes[at..at + n].copy_from_slice(&number[..n]);
            }
            5 => bytes.truncate(at),
            _ => {
                let part: Vec<u8> = bytes[at..].iter().copied().take(1 + random.below(64)).collect();
                let to = random.below(bytes.len());
                bytes.splice(to..to, part);
            }
        }
    }
}

/// Calls every function that reads a file. The results do not matter; the calls must return.
fn exercise(bytes: Vec<u8>, limits: Limits, decoder: &mut Decoder, serial: u64) {
    let Ok(mut file) = VolumeFile::from_bytes(bytes, limits) else { return };
    let n = file.voxels();
    let plan = match serial % 3 {
        0 => Plan::scaled(),
        1 => Plan::scaled().oriented(Orientation::RAS).with_stats(),
        _ => Plan::scaled().zscored(nifti_decode::Voxels::NonZero),
    };
    if n <= 1 << 16 {
        let mut out = vec![0.0_f32; n];
        let _ = file.decode_into(decoder, &plan, &mut out);
        if let Ok((_, Some(index))) = file.decode_and_index(decoder, &plan, &mut out) {
            file = file.with_index(index.into()).expect("the index of this file");
            let _ = file.decode_into(decoder, &plan, &mut out);
        }
    }
    let region: Vec<_> = file.shape().iter().map(|&extent| extent / 2..extent.min(extent / 2 + 2)).collect();
    let _ = file.read_region::<f32>(decoder, &region, &Plan::stored());
    let _ = file.view(decoder).map(|view| view.len());
    let _ = file.affine().orientation();
    let _ = file.warnings().iter().map(ToString::to_string).collect::<String>();
}

const CASES: u64 = 50_000;
/// Maximum number of bytes of voxels that these files may have. A single request may have that many bytes, plus buffers
/// of fixed size and tables.
const DATA_BYTES: u64 = 1 << 20;
const MOST_REQUEST: usize = 6 << 20;

#[test]
fn damaged_files_are_refused_without_panic() {
    let _alone = ALONE.lock();
    let seeds = seeds();
    let mut limits = Limits::default().with_data_bytes(DATA_BYTES);
    (limits.extension_bytes, limits.trailing_bytes) = (1 << 16, 1 << 20);
    let mut random = SplitMix64::new(20_261_122);
    // One thread and several.
    let mut decoders = [Decoder::new(), Decoder::new().with_threads(TWO)];
    for seed in &seeds {
        VolumeFile::from_bytes(seed.clone(), limits).expect("a sound file");
    }
    LARGEST.store(0, Relaxed);
    for serial in 0..CASES {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        mutate(&mut bytes, &mut random);
        exercise(bytes, limits, &mut decoders[serial as usize / 3 % 2], serial);
    }
    let largest = LARGEST.load(Relaxed);
    assert!(largest <= MOST_REQUEST, "{largest} bytes were asked for at once");
    for decoder in &decoders {
        assert!(decoder.scratch_bytes() <= 3 * (DATA_BYTES as usize * 2), "{}", decoder.scratch_bytes());
    }
}

/// By the rules of DEFLATE, a member of 4 MiB may unpack to 4 GiB. No such memory is allocated for a false claim.
#[test]
fn a_false_claim_of_gigabytes_allocates_no_memory() {
    let _alone = ALONE.lock();
    let header = Header::new(Version::Nifti1, Datatype::Uint8, &[256, 256, 80]).unwrap();
    let mut random = SplitMix64::new(6);
    let voxels: Vec<u8> = (0..256 * 256 * 80).map(|_| random.bits() as u8).collect();
    let mut bytes = encode(&header, &[], &voxels, Pack::Mgzip { level: 1, bytes: 16 << 20 }).unwrap();
    assert!(bytes.len() > 4 << 20);
    let size = bytes.len() - 4;
    bytes[size..].copy_from_slice(&0xf000_0000_u32.to_le_bytes());
    let bytes: std::sync::Arc<[u8]> = bytes.into();
    for threads in [Threads::SERIAL, TWO] {
        for verify in [true, false] {
            let limits = Limits::default().with_verify(verify);
            let file = VolumeFile::from_bytes(bytes.clone(), limits).unwrap();
            let mut decoder = Decoder::new().with_threads(threads);
            LARGEST.store(0, Relaxed);
            let region = file.read_region::<f32>(&mut decoder, &[0..8, 0..8, 40..44], &Plan::stored());
            assert!(matches!(region, Err(NiftiError::TooLarge { .. })), "{threads} {verify}: {region:?}");
            let mut out = vec![0.0_f32; file.voxels()];
            let whole = file.decode_into(&mut decoder, &Plan::stored(), &mut out);
            assert!(!verify || whole.is_err(), "{threads}: {whole:?}");
            assert!(LARGEST.load(Relaxed) <= 64 << 20, "{threads} {verify}: {}", LARGEST.load(Relaxed));
        }
    }
}

/// Extents of up to 63 bits in headers of 348 and 540 bytes with nothing after them: refused before any memory is
/// allocated.
#[test]
fn extents_that_overflow_allocate_no_memory() {
    let _alone = ALONE.lock();
    let shapes: [&[i64]; 5] = [
        &[i64::MAX, i64::MAX, i64::MAX, i64::MAX, i64::MAX, i64::MAX, i64::MAX],
        &[1 << 32, 1 << 32],
        &[i64::MAX],
        &[1 << 58, 1 << 5, 2],
        &[1 << 21, 1 << 21, 1 << 14],
    ];
    let small: [&[i64]; 2] = [&[32767; 7], &[32767, 32767, 32767]];
    for (version, shape) in
        shapes.map(|shape| (Version::Nifti2, shape)).into_iter().chain(small.map(|shape| (Version::Nifti1, shape)))
    {
        for datatype in Datatype::ALL {
            for pack in [Pack::Plain, Pack::Gzip { level: 6 }] {
                let mut header = Header::new(version, datatype, &[1]).unwrap();
                header.dim[0] = shape.len() as i64;
                header.dim[1..=shape.len()].copy_from_slice(shape);
                let sound = Header::new(version, datatype, &[1]).unwrap();
                let voxel = vec![0; datatype.bytes()];
                let mut bytes = encode(&sound, &[], &voxel, Pack::Plain).unwrap();
                let head = header.encode().unwrap();
                bytes[..head.len()].copy_from_slice(&head);
                if pack != Pack::Plain {
                    bytes = gzip(&bytes);
                }
                LARGEST.store(0, Relaxed);
                let error = VolumeFile::from_bytes(bytes, Limits::default()).unwrap_err();
                assert!(matches!(error, NiftiError::TooLarge { .. }), "{shape:?} {datatype:?}: {error}");
                assert!(LARGEST.load(Relaxed) <= 1 << 20, "{shape:?} {datatype:?}: {}", LARGEST.load(Relaxed));
            }
        }
    }
}

/// `bytes` as one stored gzip member.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u16;
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    packed.extend(length.to_le_bytes());
    packed.extend((!length).to_le_bytes());
    packed.extend(bytes);
    packed.extend(zlib_rs::crc32::crc32(0, bytes).to_le_bytes());
    packed.extend(u32::from(length).to_le_bytes());
    packed
}

#[test]
fn damaged_indexes_are_refused_without_panic() {
    let _alone = ALONE.lock();
    let header = Header::new(Version::Nifti1, Datatype::Int16, &[64, 64, 200]).unwrap();
    let mut random = SplitMix64::new(4);
    let voxels: Vec<u8> = (0..64 * 64 * 200 * 2).map(|_| (random.bits() % 7) as u8).collect();
    let bytes: std::sync::Arc<[u8]> = encode(&header, &[], &voxels, Pack::Gzip { level: 1 }).unwrap().into();
    let file = VolumeFile::from_bytes(bytes.clone(), Limits::default()).unwrap();
    let sound = file.index(&mut Decoder::new()).unwrap().unwrap().encode();
    let mut read = 0;
    for _ in 0..2_000 {
        let mut damaged = sound.clone();
        let at = random.below(damaged.len() - 4);
        damaged[at] ^= 1 << random.below(8);
        // With a correct checksum, so that the parts themselves are read.
        let end = damaged.len() - 4;
        let crc = zlib_rs::crc32::crc32(0, &damaged[..end]);
        damaged[end..].copy_from_slice(&crc.to_le_bytes());
        let Ok(index) = Index::parse(&damaged) else { continue };
        let file = VolumeFile::from_bytes(bytes.clone(), Limits::default()).unwrap();
        let Ok(file) = file.with_index(index.into()) else { continue };
        read += 1;
        // A forged index may give wrong voxels, but must not cause a panic.
        let _ = file.read_region::<f32>(&mut Decoder::new(), &[0..64, 0..64, 90..110], &Plan::stored());
    }
    assert!(read > 100, "{read}");
}

/// Indexes of indexed_gzip with some bytes changed: refused, or equivalent to the valid one, because the file itself is
/// checked.
#[test]
fn damaged_imports_are_refused_without_panic() {
    let _alone = ALONE.lock();
    let bytes: std::sync::Arc<[u8]> = include_bytes!("data/two-members.nii.gz").as_slice().into();
    let packed = include_bytes!("data/two-members.nii.gz.gzidx.gz");
    let mut sound = vec![0; 1 << 18];
    let mut inflate = zlib_rs::Inflate::new(false, 15);
    inflate.decompress(&packed[10..], &mut sound, zlib_rs::InflateFlush::Finish).unwrap();
    sound.truncate(inflate.total_out() as usize);
    let open = || VolumeFile::from_bytes(bytes.clone(), Limits::default()).unwrap();
    let mut whole = vec![0.0_f32; open().voxels()];
    open().decode_into(&mut Decoder::new(), &Plan::stored(), &mut whole).unwrap();
    let (mut random, mut refused, mut read) = (SplitMix64::new(9), 0, 0);
    LARGEST.store(0, Relaxed);
    for serial in 0..3_000 {
        let mut damaged = sound.clone();
        // The header and the points, or the windows.
        let most = if serial % 3 == 0 { damaged.len() } else { 125 };
        for _ in 0..1 + random.below(3) {
            let at = random.below(most);
            damaged[at] = if random.below(2) == 0 { random.bits() as u8 } else { damaged[at] ^ 1 << random.below(8) };
        }
        let Ok(index) = open().import_gzidx(&damaged) else {
            refused += 1;
            continue;
        };
        read += 1;
        let file = open().with_index(index.expect("ordinary gzip").into()).unwrap();
        let mut out = vec![0.0_f32; whole.len()];
        file.decode_into(&mut Decoder::new().with_threads(TWO), &Plan::stored(), &mut out).unwrap();
        assert!(out == whole, "{serial}");
    }
    assert!(refused > 500 && read > 100, "{refused} {read}");
    assert!(LARGEST.load(Relaxed) <= MOST_REQUEST, "{}", LARGEST.load(Relaxed));
}
