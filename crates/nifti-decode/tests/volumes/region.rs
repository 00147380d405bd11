//! Regions: every access gives the same voxels as the whole volume.

use std::{ops::Range, path::Path, sync::Arc};

use nifti_decode::{
    Access, Decoder, Index, Kind, NiftiError, Orientation, Pack, Phantom, Plan, VolumeFile, Watch, write,
};

use op::random::SplitMix64;

const SHAPE: [usize; 4] = [60, 50, 40, 3];

fn phantom() -> Phantom {
    Phantom::new(Kind::Fmri, Some(&SHAPE), "LAS".parse().unwrap(), 2).unwrap()
}

/// The voxels of `region`, taken from the whole volume.
fn cut(whole: &[f32], region: &[Range<usize>]) -> Vec<f32> {
    let mut out = Vec::new();
    for t in region[3].clone() {
        for z in region[2].clone() {
            for y in region[1].clone() {
                let row = SHAPE[0] * (y + SHAPE[1] * (z + SHAPE[2] * t));
                out.extend_from_slice(&whole[row + region[0].start..row + region[0].end]);
            }
        }
    }
    out
}

fn random_region(random: &mut SplitMix64) -> Vec<Range<usize>> {
    SHAPE
        .iter()
        .map(|&extent| {
            let start = random.below(extent);
            let end = start + 1 + random.below(extent - start);
            if random.below(4) == 0 { 0..extent } else { start..end }
        })
        .collect()
}

fn check(file: &VolumeFile, whole: &[f32], accesses: &[Access]) {
    let mut random = SplitMix64::new(77);
    let mut decoder = Decoder::new();
    let mut seen = Vec::new();
    for _ in 0..60 {
        let region = random_region(&mut random);
        let read = file.read_region::<f32>(&mut decoder, &region, &Plan::scaled()).unwrap();
        assert!(read.voxels() == cut(whole, &region), "{region:?} {}", read.decoded().access);
        assert_eq!(read.shape(), region.iter().map(ExactSizeIterator::len).collect::<Vec<_>>());
        let first = file.affine().apply([0, 1, 2].map(|axis| region[axis].start as f64));
        assert_eq!(read.affine().apply([0.0; 3]), first);
        seen.push(read.decoded().access);
    }
    seen.sort_unstable_by_key(|access| access.name());
    seen.dedup();
    assert_eq!(seen, accesses);
}

#[test]
fn every_access_gives_the_same_voxels() {
    let phantom = phantom();
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str, pack| {
        let path = directory.path().join(name);
        write(&path, &phantom.header, &[], &phantom.voxels, pack).unwrap();
        path
    };
    let plain = place("plain.nii", Pack::Plain);
    let file = VolumeFile::open(&plain).unwrap();
    let whole = file.decode::<f32>(&mut Decoder::new(), &Plan::scaled()).unwrap();
    assert_eq!(whole.decoded().access, Access::ReadByBlocks);
    check(&file, whole.voxels(), &[Access::RunsRead]);
    // SAFETY: the file belongs to this test, which does not write to it while it is mapped.
    let mapped = unsafe { VolumeFile::map(&plain) }.unwrap();
    check(&mapped, whole.voxels(), &[Access::RowsInMemory]);
    let open = |path: &Path| VolumeFile::open(path).unwrap();
    check(&open(&place("b.nii.gz", Pack::Bgzf { level: 6 })), whole.voxels(), &[Access::Blocks]);
    check(&open(&place("m.nii.gz", Pack::Mgzip { level: 6, bytes: 99_999 })), whole.voxels(), &[Access::Blocks]);
    let gzip = place("g.nii.gz", Pack::Gzip { level: 6 });
    check(&open(&gzip), whole.voxels(), &[Access::Stream, Access::WholeStream]);
    let index = open(&gzip).index(&mut Decoder::new()).unwrap().unwrap();
    let index = Arc::new(Index::parse(&index.encode()).unwrap());
    check(&open(&gzip).with_index(index).unwrap(), whole.voxels(), &[Access::Index]);
}

/// A watch counts the bytes that were unpacked for a region, with every access.
#[test]
fn a_watch_follows_the_reading_of_a_region() {
    let directory = tempfile::tempdir().unwrap();
    let phantom = phantom();
    let path = directory.path().join("v.nii.gz");
    let region = [0..60, 0..50, 20..22, 1..2];
    let region_bytes = 60 * 50 * 2 * 2;
    for (pack, access) in [(Pack::Bgzf { level: 1 }, Access::Blocks), (Pack::Gzip { level: 1 }, Access::Stream)] {
        write(&path, &phantom.header, &[], &phantom.voxels, pack).unwrap();
        let file = VolumeFile::open(&path).unwrap();
        let watch = Watch::new();
        let mut decoder = Decoder::new().watched(watch.clone());
        let volume = file.read_region::<f32>(&mut decoder, &region, &Plan::stored()).unwrap();
        assert_eq!(volume.decoded().access, access);
        let end = 352 + 2 * (60 * 50 * (40 + 22)) as u64;
        // A stream is unpacked up to the region's end. Of blocks, only those that hold the region are unpacked.
        let expected = if access == Access::Stream { end..=end } else { region_bytes..=region_bytes + (128 << 10) };
        assert!(expected.contains(&watch.bytes()), "{access}: {}", watch.bytes());
    }
}

#[test]
fn rows_of_a_wide_volume_are_read_one_by_one() {
    let phantom = Phantom::new(Kind::Ct, Some(&[2000, 300, 2]), Orientation::RAS, 1).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wide.nii");
    write(&path, &phantom.header, &[], &phantom.voxels, Pack::Plain).unwrap();
    let file = VolumeFile::open(&path).unwrap();
    let read = file.read_region::<f32>(&mut Decoder::new(), &[5..9, 10..300, 1..2], &Plan::stored()).unwrap();
    assert_eq!(read.decoded().access, Access::RowsRead);
    let whole = file.decode::<f32>(&mut Decoder::new(), &Plan::stored()).unwrap().into_voxels();
    let expected: Vec<f32> = (10..300).flat_map(|y| whole[2000 * (300 + y) + 5..][..4].to_vec()).collect();
    assert_eq!(read.voxels(), expected);
}

#[test]
fn a_region_is_reoriented_like_the_whole() {
    let phantom = phantom();
    let bytes = nifti_decode::encode(&phantom.header, &[], &phantom.voxels, Pack::Plain).unwrap();
    let file = crate::made::open(&bytes).unwrap();
    let plan = Plan::scaled().oriented("SPR".parse().unwrap());
    let region = [3..20, 5..37, 1..9, 2..3];
    let straight = file.read_region::<f32>(&mut Decoder::new(), &region, &Plan::scaled()).unwrap();
    let reoriented = file.read_region::<f32>(&mut Decoder::new(), &region, &plan).unwrap();
    assert_eq!(reoriented.shape(), [8, 32, 17, 1]);
    // Output axes: z, reversed y, reversed x of a volume whose axes are left, anterior, superior.
    for (z, y, x) in [(0, 0, 0), (7, 31, 16), (3, 20, 9)] {
        let there = reoriented.voxels()[z + 8 * (y + 32 * x)];
        assert_eq!(there, straight.voxels()[(16 - x) + 17 * ((31 - y) + 32 * z)]);
        let mm = reoriented.affine().apply([z as f64, y as f64, x as f64]);
        assert_eq!(mm, straight.affine().apply([16.0 - x as f64, 31.0 - y as f64, z as f64]));
    }
}

#[test]
fn invalid_regions_are_refused() {
    let phantom = phantom();
    let bytes = nifti_decode::encode(&phantom.header, &[], &phantom.voxels, Pack::Plain).unwrap();
    let file = crate::made::open(&bytes).unwrap();
    let read = |region: &[Range<usize>]| file.read_region::<f32>(&mut Decoder::new(), region, &Plan::scaled());
    for (region, axis) in [(vec![0..61, 0..50], 0), (vec![0..60, 7..7], 1), (vec![0..60, 0..50, 0..40, 0..3, 0..1], 4)]
    {
        let error = read(&region).unwrap_err();
        assert!(matches!(error, NiftiError::Region { axis: a, .. } if a == axis), "{error}");
    }
    #[expect(clippy::reversed_empty_ranges, reason = "what is to be refused")]
    let backward = read(&[9..3, 0..50]);
    assert!(matches!(backward.unwrap_err(), NiftiError::Region { start: 9, end: 3, extent: 60, .. }));
}
