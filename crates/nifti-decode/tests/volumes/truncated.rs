//! Truncated files of every kind, cut at every byte of their headers and at many later positions. Every method of
//! reading gives a typed error and never a part of a volume.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nifti_decode::{
    Datatype, Decoder, Endian, Extension, Header, Index, Kind, Limits, NiftiError, Orientation, Pack, Phantom, Plan,
    Threads, Version, VolumeFile, encode, write,
};

use crate::made::{TWO, header, voxels};

const SHAPE: [usize; 3] = [40, 30, 21];

fn stored() -> Vec<u8> {
    voxels(Datatype::Int16, SHAPE.iter().product(), 8, false)
}

fn head(version: Version, endian: Endian) -> Header {
    header(version, endian, Datatype::Int16, &SHAPE)
}

fn extension() -> Extension {
    Extension { ecode: 6, content: vec![b'x'; 56] }
}

/// Lengths to truncate to: every byte of the header, about 60 later positions, and the last bytes one by one.
fn cuts(len: usize, head: usize) -> Vec<usize> {
    let head = head.min(len);
    let mut cuts: Vec<usize> = (0..head).chain((head..len).step_by((len - head) / 60 + 1)).collect();
    cuts.extend(len.saturating_sub(40)..len);
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

/// Reads a file with every method. Returns the error of opening, or the errors of the methods that read all of it. A
/// region may succeed if all of it is present.
fn read(open: impl Fn() -> Result<VolumeFile, NiftiError>, whole: &[u8]) -> Vec<(&'static str, NiftiError)> {
    let file = match open() {
        Ok(file) => file,
        Err(error) => return vec![("open", error)],
    };
    let n = file.voxels();
    let (mut out, mut copy) = (vec![0.0_f32; n], vec![0; whole.len()]);
    let mut outcomes = Vec::new();
    for threads in [Threads::SERIAL, TWO] {
        let mut decoder = Decoder::new().with_threads(threads);
        outcomes.push(("decode", file.decode_into(&mut decoder, &Plan::scaled(), &mut out).map(drop)));
        let reoriented = Plan::scaled().oriented("PSR".parse().unwrap()).with_stats();
        outcomes.push(("reoriented", file.decode_into(&mut decoder, &reoriented, &mut out).map(drop)));
        outcomes.push(("indexed", file.decode_and_index(&mut decoder, &Plan::scaled(), &mut out).map(drop)));
        outcomes.push(("view", file.view(&mut decoder).map(drop)));
        outcomes.push(("stats", file.stats(&mut decoder).map(drop)));
        let copied = file.copy_into(&mut decoder, None, &mut copy);
        assert!(copied.is_err() || copy == whole);
        outcomes.push(("copy", copied.map(drop)));
        for z in [0..2, 19..21] {
            let slab = SHAPE[0] * SHAPE[1] * 2;
            let expected = whole[z.start * slab..z.end * slab].as_chunks::<2>().0;
            if let Ok(region) = file.read_region::<f32>(&mut decoder, &[0..40, 0..30, z], &Plan::stored()) {
                assert!(region.voxels().iter().zip(expected).all(|(&v, &s)| v == f32::from(i16::from_ne_bytes(s))));
            }
        }
    }
    outcomes.into_iter().filter_map(|(way, outcome)| Some((way, outcome.err()?))).collect()
}

/// Number of methods that [`read`] tries if a file can be opened.
const WAYS: usize = 12;

fn is_about_length(error: &NiftiError) -> bool {
    match error {
        NiftiError::Truncated { got, need, .. } => got < need,
        NiftiError::TooLarge { got, limit, .. } => got > limit,
        // A fault of a member's sizes, its magic, or its end.
        NiftiError::Gzip { .. } => true,
        _ => false,
    }
}

/// Asserts that no method succeeded, and that each error is about the length.
fn refused(errors: &[(&str, NiftiError)], place: &str) {
    assert!(errors.len() == WAYS || matches!(errors, [("open", _)]), "{place}: only {errors:?}");
    for (way, error) in errors {
        assert!(is_about_length(error), "{place}, {way}: {error}");
    }
}

#[test]
fn single_files_plain_and_packed() {
    let stored = stored();
    for pack in [
        Pack::Plain,
        Pack::Gzip { level: 6 },
        Pack::Gzip { level: 0 },
        Pack::Flushed { level: 6, bytes: 9000 },
        Pack::Members { level: 6, bytes: usize::MAX },
        Pack::Members { level: 6, bytes: 20_000 },
        Pack::Bgzf { level: 6 },
        Pack::Mgzip { level: 6, bytes: 20_000 },
    ] {
        for (version, endian) in [(Version::Nifti1, Endian::Little), (Version::Nifti2, Endian::Big)] {
            let bytes = encode(&head(version, endian), &[extension()], &stored, pack).unwrap();
            // The last member of BGZF is empty, so all voxels are present without it.
            let whole_without = bytes.len() - if matches!(pack, Pack::Bgzf { .. }) { 28 } else { 0 };
            let head = if pack == Pack::Plain { 700 } else { 100 };
            for cut in cuts(bytes.len(), head) {
                let errors = read(|| VolumeFile::from_bytes(&bytes[..cut], Limits::default()), &stored);
                let place = format!("{version:?} {pack:?} cut at {cut} of {}", bytes.len());
                if cut == whole_without {
                    assert!(errors.is_empty(), "{place}: {errors:?}");
                } else {
                    refused(&errors, &place);
                }
            }
        }
    }
}

/// Truncates the file at `path` at each position and opens `header`. `may` returns whether reading may still succeed.
fn cut_file(path: &Path, header: &Path, head: usize, stored: &[u8], may: impl Fn(usize) -> bool) {
    let bytes = fs::read(path).unwrap();
    for cut in cuts(bytes.len(), head) {
        fs::write(path, &bytes[..cut]).unwrap();
        let errors = read(|| VolumeFile::open(header), stored);
        let place = format!("{} cut at {cut} of {}", path.display(), bytes.len());
        // If reading may succeed, it must give the whole volume.
        if !(may(cut) && errors.is_empty()) {
            refused(&errors, &place);
        }
    }
    fs::write(path, bytes).unwrap();
}

#[test]
fn pairs_plain_and_packed() {
    let stored = stored();
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for (version, endian) in [(Version::Nifti1, Endian::Big), (Version::Nifti2, Endian::Little)] {
        let head = Header { is_pair: true, vox_offset: 0.0, ..head(version, endian) };
        write(&at("p.hdr"), &head, &[extension()], &stored, Pack::Plain).unwrap();
        // The four bytes after the header of a pair are not needed, and a truncated extension is a warning: the voxels
        // are in the other file.
        cut_file(&at("p.hdr"), &at("p.hdr"), 700, &stored, |cut| cut >= version.header_bytes());
        cut_file(&at("p.img"), &at("p.hdr"), 10, &stored, |_| false);
        for pack in [Pack::Gzip { level: 6 }, Pack::Mgzip { level: 6, bytes: 20_000 }] {
            write(&at("q.hdr.gz"), &head, &[extension()], &stored, pack).unwrap();
            cut_file(&at("q.hdr.gz"), &at("q.hdr.gz"), 700, &stored, |_| false);
            cut_file(&at("q.img.gz"), &at("q.img.gz"), 60, &stored, |_| false);
        }
    }
}

#[test]
fn analyze() {
    let stored = stored();
    let directory = tempfile::tempdir().unwrap();
    let (header, image) = (directory.path().join("a.hdr"), directory.path().join("a.img"));
    let mut bytes = head(Version::Nifti1, Endian::Little).encode().unwrap();
    // Clears the fields that NIfTI added; ANALYZE has other fields there, or none.
    bytes[252..348].fill(0);
    bytes[108..112].fill(0);
    fs::write(&header, bytes).unwrap();
    fs::write(&image, &stored).unwrap();
    assert_eq!(VolumeFile::open(&header).unwrap().header().version, Version::Analyze);
    assert!(read(|| VolumeFile::open(&header), &stored).is_empty());
    cut_file(&header, &header, 348, &stored, |_| false);
    cut_file(&image, &header, 10, &stored, |_| false);
}

#[test]
fn indexes() {
    let phantom = Phantom::new(Kind::Ct, Some(&[96, 96, 160]), Orientation::RAS, 5).unwrap();
    let bytes = encode(&phantom.header, &[], &phantom.voxels, Pack::Gzip { level: 6 }).unwrap();
    let file = VolumeFile::from_bytes(bytes, Limits::default()).unwrap();
    let index = file.index(&mut Decoder::new()).unwrap().unwrap().encode();
    assert!(Index::parse(&index).unwrap().parts() > 2);
    for cut in cuts(index.len(), 200) {
        let error = Index::parse(&index[..cut]).unwrap_err();
        let is_truncated = matches!(error, NiftiError::Truncated { got, need, .. } if got < need);
        // A file that is too short for its parts is refused before they are read.
        assert!(is_truncated || matches!(error, NiftiError::Index { field: "parts", .. }), "{cut}: {error}");
    }
}

/// A truncated unpacked copy is not valid, and is made again.
#[test]
fn sidecars() {
    let directory = tempfile::tempdir().unwrap();
    let source: PathBuf = directory.path().join("v.nii.gz");
    let stored = stored();
    write(&source, &head(Version::Nifti1, Endian::Big), &[], &stored, Pack::Gzip { level: 1 }).unwrap();
    let (file, mut decoder) = (VolumeFile::open(&source).unwrap(), Decoder::new());
    let copy = file.cached(&mut decoder, directory.path()).unwrap();
    let sound = fs::read(&copy).unwrap();
    for cut in cuts(sound.len(), 420) {
        fs::write(&copy, &sound[..cut]).unwrap();
        refused(&read(|| VolumeFile::open(&copy), &stored), &format!("cut at {cut}"));
        if cut % 16 == 0 {
            assert_eq!(file.cached(&mut decoder, directory.path()).unwrap(), copy);
            assert!(fs::read(&copy).unwrap() == sound, "{cut}");
        }
    }
}
