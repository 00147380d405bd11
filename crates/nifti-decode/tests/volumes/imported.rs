//! Indexes of indexed_gzip: one that the package itself wrote, and faults that an index can have.

use std::sync::Arc;

use nifti_decode::{Access, Decoder, GzipFault, Index, Limits, NiftiError, Pack, Plan, VolumeFile, encode};

use crate::made::{TWO, decode, open};

/// See `tests/data/README.md`.
const VOLUME: &[u8] = include_bytes!("../data/two-members.nii.gz");
const GZIDX: &[u8] = include_bytes!("../data/two-members.nii.gz.gzidx.gz");

const HEADER: usize = 35;
const POINT: usize = 18;
const POINTS: usize = 5;

/// The index as the package wrote it.
fn gzidx() -> Vec<u8> {
    let (_, member) = GZIDX.split_at(10);
    let mut bytes = vec![0; 1 << 20];
    let mut inflate = zlib_rs::Inflate::new(false, 15);
    inflate.decompress(member, &mut bytes, zlib_rs::InflateFlush::Finish).unwrap();
    bytes.truncate(inflate.total_out() as usize);
    assert_eq!(bytes.len(), HEADER + POINTS * POINT + 3 * 32768);
    bytes
}

/// `gzidx` with some bytes changed.
fn with(changes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = gzidx();
    for (at, change) in changes {
        bytes[*at..*at + change.len()].copy_from_slice(change);
    }
    bytes
}

fn import(gzidx: &[u8]) -> Result<Index, NiftiError> {
    open(VOLUME).unwrap().import_gzidx(gzidx).map(|index| index.expect("ordinary gzip"))
}

/// Checks that every voxel is the same with and without the index.
fn check(index: Index) {
    assert_eq!(Index::parse(&index.encode()).unwrap(), index);
    let whole = decode::<f32>(VOLUME).unwrap();
    let file = open(VOLUME).unwrap().with_index(Arc::new(index)).unwrap();
    let mut decoder = Decoder::new().with_threads(TWO);
    let through = file.decode::<f32>(&mut decoder, &Plan::scaled()).unwrap();
    assert_eq!(through.decoded().access, Access::GzipInParallel);
    assert!(through.voxels() == whole);
    for z in 0..40 {
        let slice = file.read_region::<f32>(&mut decoder, &[0..64, 0..48, z..z + 1], &Plan::scaled()).unwrap();
        assert_eq!(slice.decoded().access, Access::Index);
        assert!(*slice.voxels() == whole[z * 64 * 48..(z + 1) * 64 * 48], "{z}");
    }
}

#[test]
fn an_index_of_the_package_is_read() {
    let index = import(&gzidx()).unwrap();
    assert_eq!((index.parts(), index.unpacked_bytes()), (4, 352 + 64 * 48 * 40));
    check(index);
}

/// Version 0 has no flags: every point but the first has a window, even the points at members' beginnings.
#[test]
fn the_first_version_is_read() {
    let latest = gzidx();
    let (points, windows) = latest[HEADER..].split_at(POINTS * POINT);
    let mut first = latest[..HEADER].to_vec();
    first[5] = 0;
    let mut windows = windows.chunks(32768);
    let mut all_windows = Vec::new();
    for (i, point) in points.chunks(POINT).enumerate() {
        first.extend(&point[..17]);
        match point[17] {
            0 if i == 0 => {}
            0 => all_windows.resize(all_windows.len() + 32768, 0xaa),
            _ => all_windows.extend(windows.next().unwrap()),
        }
    }
    first.extend(all_windows);
    check(import(&first).unwrap());
}

#[test]
fn windows_longer_than_needed_are_read() {
    let mut long = with(&[(27, &40_000_u32.to_le_bytes())]);
    for i in (0..3).rev() {
        let at = HEADER + POINTS * POINT + i * 32768;
        long.splice(at..at, vec![7; 40_000 - 32768]);
    }
    check(import(&long).unwrap());
}

#[test]
fn blocked_and_plain_files_need_no_index() {
    let file = open(VOLUME).unwrap();
    let mut voxels = vec![0; 64 * 48 * 40];
    file.copy_into(&mut Decoder::new(), None, &mut voxels).unwrap();
    for pack in [Pack::Plain, Pack::Bgzf { level: 6 }, Pack::Mgzip { level: 6, bytes: 9999 }] {
        let other = open(&encode(file.header(), &[], &voxels, pack).unwrap()).unwrap();
        assert!(other.import_gzidx(&gzidx()).unwrap().is_none(), "{pack:?}");
    }
}

#[test]
fn damaged_headers_and_points_are_refused_by_name() {
    let point = |i: usize, field: usize| HEADER + i * POINT + field;
    let far = u64::MAX.to_le_bytes();
    for (name, at, change) in [
        ("magic", 0, &b"GZIDY"[..]),
        ("version", 5, &[2]),
        ("reserved flags", 6, &[1]),
        ("packed bytes", 7, &4734_u64.to_le_bytes()),
        ("unpacked bytes", 15, &0_u64.to_le_bytes()),
        ("unpacked bytes", 15, &123_231_u64.to_le_bytes()),
        ("unpacked bytes", 15, &far),
        ("window bytes", 27, &32767_u32.to_le_bytes()),
        ("points", 31, &u32::MAX.to_le_bytes()),
        ("first point", 31, &0_u32.to_le_bytes()),
        ("packed offset", point(0, 0), &11_u64.to_le_bytes()),
        ("packed offset", point(1, 0), &far),
        ("packed offset", point(1, 0), &0_u64.to_le_bytes()),
        ("packed offset", point(2, 0), &900_u64.to_le_bytes()),
        ("first point", point(0, 8), &1_u64.to_le_bytes()),
        ("unpacked offset", point(2, 8), &36_040_u64.to_le_bytes()),
        ("unpacked offset", point(4, 8), &0_u64.to_le_bytes()),
        ("bits", point(1, 16), &[8]),
        // Beyond the bytes between two points, and beyond the end of a member.
        ("unpacked offset", point(1, 8), &69_000_u64.to_le_bytes()),
        ("unpacked offset", point(3, 8), &80_001_u64.to_le_bytes()),
        ("packed offset", point(3, 0), &3562_u64.to_le_bytes()),
    ] {
        let error = import(&with(&[(at, change)])).unwrap_err();
        let is_named = matches!(error, NiftiError::Index { field, .. } if field == name);
        // The unpacked bytes before and after the moved point are different.
        let is_data = matches!(error, NiftiError::Gzip { .. }) && name.ends_with("offset");
        assert!(is_named || is_data, "{name} at {at}: {error}");
    }
}

/// With a wrong window, unpacking succeeds but gives other voxels. The member's checksum reveals it.
#[test]
fn a_forged_window_is_detected() {
    let windows = HEADER + POINTS * POINT;
    let mut forged = gzidx();
    forged[windows..windows + 32768].iter_mut().for_each(|byte| *byte ^= 1);
    let error = import(&forged).unwrap_err();
    assert!(matches!(error, NiftiError::Gzip { offset: 0, fault: GzipFault::Crc { .. } }), "{error}");
}

#[test]
fn the_index_of_another_file_is_refused() {
    let mut other = VOLUME.to_vec();
    // The same length, but other voxels.
    let middle = other.len() / 3;
    other[middle] ^= 4;
    let error = open(&other).unwrap().import_gzidx(&gzidx()).unwrap_err();
    assert!(matches!(error, NiftiError::Gzip { .. }), "{error}");
    let mut longer = VOLUME.to_vec();
    longer.push(0);
    let error = open(&longer).unwrap().import_gzidx(&gzidx()).unwrap_err();
    assert!(matches!(error, NiftiError::Index { field: "packed bytes", got: 4733, need: 4734, .. }), "{error}");
}

#[test]
fn a_truncated_index_is_refused() {
    let whole = gzidx();
    for cut in (0..HEADER + POINTS * POINT + 9).chain((200..whole.len()).step_by(997)) {
        let error = import(&whole[..cut]).unwrap_err();
        let is_told = match error {
            NiftiError::Truncated { what: "index", got, need, .. } => got < need,
            NiftiError::Index { field: "points", .. } => cut < HEADER + POINTS * POINT,
            _ => false,
        };
        assert!(is_told, "{cut}: {error}");
    }
}

#[test]
fn what_follows_the_voxels_is_limited() {
    let mut limits = Limits::default();
    limits.trailing_bytes = 10;
    let mut header = open(VOLUME).unwrap().header().clone();
    header.dim[3] = 39;
    // A header with one slice less, in its own stored block. The rest is unchanged, so only the length matters here.
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let plain = [header.encode().unwrap(), vec![0; 4 + 64 * 48 * 40]].concat();
    bytes.extend(crate::gzip::member(&plain, 1)[10..].iter());
    let file = VolumeFile::from_bytes(bytes.clone(), limits).unwrap();
    let lengths = (bytes.len() as u64).to_le_bytes();
    let error = file.import_gzidx(&with(&[(7, &lengths), (15, &(plain.len() as u64).to_le_bytes())])).unwrap_err();
    assert!(matches!(error, NiftiError::TooLarge { got: 3072, limit: 10, .. }), "{error}");
}
