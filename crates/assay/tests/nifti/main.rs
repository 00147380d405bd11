//! `assay nifti`, as a user runs it.

mod header;
mod refusals;
#[cfg(unix)]
mod replaced;
mod values;

use std::{
    path::Path,
    process::{Command, Output},
};

fn assay(arguments: &[&str], directory: &Path) -> Output {
    let program = env!("CARGO_BIN_EXE_assay");
    Command::new(program).arg("nifti").args(arguments).current_dir(directory).output().expect("assay runs")
}

/// Stdout of a command that has to succeed.
fn done(arguments: &[&str], directory: &Path) -> String {
    let output = assay(arguments, directory);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Stderr of a command that has to fail with `code`.
fn refused(arguments: &[&str], directory: &Path, code: i32) -> String {
    let output = assay(arguments, directory);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Header and array of a .npy file.
fn npy(path: &Path) -> (String, Vec<u8>) {
    let bytes = std::fs::read(path).unwrap();
    assert!(bytes.starts_with(b"\x93NUMPY\x01\0"));
    let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    (String::from_utf8(bytes[10..end].to_vec()).unwrap(), bytes[end..].to_vec())
}

#[test]
fn a_phantom_is_described_and_found_sound() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    done(&["phantom", "brain", "b.nii.gz", "--shape", "30,20,10", "--orient", "PSR", "--big-endian", "--nifti2"], at);
    let text = done(&["info", "b.nii.gz"], at);
    for expected in ["NIfTI-2, big-endian", "30 x 20 x 10 int16", "PSR (from sform)", "packing      gzip"] {
        assert!(text.contains(expected), "{text}");
    }
    let json: serde_json::Value = serde_json::from_str(&done(&["info", "--json", "b.nii.gz"], at)).unwrap();
    assert_eq!(json[0]["shape"], serde_json::json!([30, 20, 10]));
    assert_eq!(json[0]["orientation"], "PSR");
    assert_eq!(json[0]["warnings"], serde_json::json!([]));
    assert_eq!(done(&["check", "b.nii.gz"], at), "b.nii.gz: sound\n");
}

#[test]
fn every_kind_and_packing_of_phantom() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for (kind, shape) in [
        ("brain", "9,8,7"),
        ("ct", "9,8,7"),
        ("labels", "9,8,7"),
        ("fmri", "9,8,7,3"),
        ("zscored", "9,8,7"),
        ("tiny", "16,16,16"),
    ] {
        for pack in ["gzip", "pigz", "libdeflate", "members", "bgzf", "mgzip"] {
            let name = format!("{kind}-{pack}.nii.gz");
            done(&["phantom", kind, &name, "--shape", shape, "--pack", pack], at);
            done(&["check", &name], at);
        }
    }
    let pair = done(&["phantom", "tiny", "p.hdr"], at);
    assert!(pair.starts_with("p.hdr: 8192 bytes of voxels"), "{pair}");
    assert!(done(&["info", "p.img"], at).contains("16 x 16 x 16 int16"));
}

#[test]
fn conversion_keeps_voxels_through_every_kind_of_file() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    done(&["phantom", "fmri", "a.nii", "--shape", "12,11,10,4", "--orient", "LPS"], at);
    done(&["convert", "a.nii", "direct.npy", "--type=stored"], at);
    for steps in [["b.nii.gz", "gzip"], ["c.nii.gz", "bgzf"], ["d.hdr.gz", "mgzip"], ["e.nii", "gzip"]].windows(2) {
        done(&["convert", "a.nii", steps[0][0], "--pack", steps[0][1]], at);
        done(&["convert", steps[0][0], steps[1][0], "--pack", steps[1][1], "--nifti2"], at);
        done(&["convert", steps[1][0], "through.npy", "--type=stored"], at);
        assert_eq!(npy(&at.join("through.npy")), npy(&at.join("direct.npy")));
    }
    let (header, stored) = npy(&at.join("direct.npy"));
    assert!(header.starts_with("{'descr': '<i2', 'fortran_order': True, 'shape': (12, 11, 10, 4,), }"), "{header}");
    done(&["convert", "a.nii", "scaled.npy", "--scaled"], at);
    let (header, scaled) = npy(&at.join("scaled.npy"));
    assert!(header.starts_with("{'descr': '<f4'"));
    for (&stored, &scaled) in stored.as_chunks::<2>().0.iter().zip(scaled.as_chunks::<4>().0) {
        assert_eq!(f32::from_le_bytes(scaled), f32::from(i16::from_le_bytes(stored)) * 0.25 + 10.0);
    }
    done(&["convert", "a.nii", "half.npy", "--scaled", "--type", "float16"], at);
    assert!(npy(&at.join("half.npy")).0.starts_with("{'descr': '<f2'"));
}

fn json(arguments: &[&str], directory: &Path) -> serde_json::Value {
    serde_json::from_str(&done(arguments, directory)).unwrap()
}

fn bytes(path: &Path) -> u64 {
    path.metadata().unwrap().len()
}

/// A script learns what was written, and nothing else is said.
#[test]
fn what_was_written_is_told_as_json() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    done(&["phantom", "fmri", "a.nii.gz", "--shape=12,11,10,4", "--orient=LPS"], at);
    let made = json(&["convert", "a.nii.gz", "b.nii", "--orient=PSR", "--json"], at);
    assert_eq!((made["file"].as_str(), made["out"].as_str()), (Some("a.nii.gz"), Some("b.nii")));
    assert_eq!((made["datatype"].as_str(), &made["shape"]), (Some("int16"), &serde_json::json!([11, 10, 12, 4])));
    assert_eq!(made["bytes"], bytes(&at.join("b.nii")));
    assert_eq!(made["affine"], json(&["info", "b.nii", "--json"], at)[0]["affine"]);
    let pair = json(&["convert", "a.nii.gz", "p.hdr.gz", "--json"], at);
    assert_eq!(pair["bytes"], bytes(&at.join("p.hdr.gz")) + bytes(&at.join("p.img.gz")));
    let half = json(&["convert", "a.nii.gz", "h.npy", "--scaled", "--type=float16", "--json"], at);
    assert_eq!((half["datatype"].as_str(), &half["bytes"]), (Some("float16"), &(128 + 2 * 5280).into()));
    let text = done(&["convert", "a.nii.gz", "c.nii"], at);
    assert_eq!(text, format!("c.nii: 12 x 11 x 10 x 4 int16, {} bytes\n", 352 + 2 * 5280));

    let patch = json(&["patch", "a.nii.gz", "--region=2:5,:,3:4", "--out=p.npy", "--json"], at);
    assert_eq!((patch["out"].as_str(), &patch["shape"]), (Some("p.npy"), &serde_json::json!([3, 11, 1, 4])));
    assert_eq!((&patch["bytes"], patch["way"].as_str()), (&(128 + 8 * 132).into(), Some("whole stream")));

    let index = json(&["index", "a.nii.gz", "--json"], at);
    assert_eq!((index["index"].as_str(), &index["parts"]), (Some("a.nii.gz.gzx"), &1.into()));
    assert_eq!(index["bytes"], bytes(&at.join("a.nii.gz.gzx")));
    assert_eq!(
        (&index["packed_bytes"], &index["unpacked_bytes"]),
        (&bytes(&at.join("a.nii.gz")).into(), &10_912.into())
    );
    let none = json(&["index", "b.nii", "--json"], at);
    assert_eq!((&none["index"], none["packing"].as_str()), (&serde_json::Value::Null, Some("plain")));
    // No terminal, no progress.
    assert_eq!(String::from_utf8_lossy(&assay(&["stats", "a.nii.gz"], at).stderr), "");
}

/// Header and points of indexed_gzip's files, here without windows: a point at the beginning is one.
#[test]
fn an_index_of_indexed_gzip_is_imported() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    done(&["phantom", "tiny", "t.nii.gz"], at);
    let gzidx = |unpacked: u64| {
        let mut gzidx = b"GZIDX\x01\0".to_vec();
        gzidx.extend(bytes(&at.join("t.nii.gz")).to_le_bytes());
        gzidx.extend(unpacked.to_le_bytes());
        for number in [1_u32 << 20, 1 << 15, 1] {
            gzidx.extend(number.to_le_bytes());
        }
        gzidx.extend([10_u64, 0].map(u64::to_le_bytes).as_flattened());
        gzidx.extend([0, 0]);
        gzidx
    };
    std::fs::write(at.join("t.gzidx"), gzidx(8544)).unwrap();
    let made = json(&["index", "t.nii.gz", "--import=t.gzidx", "--json"], at);
    assert_eq!((&made["parts"], &made["unpacked_bytes"]), (&1.into(), &8544.into()));
    let text = done(&["patch", "t.nii.gz", "--index=t.nii.gz.gzx", "--region=:,:,8:9", "--out=p.npy"], at);
    assert_eq!(text, "p.npy: 16 x 16 x 1 int16, reached by: index\n");
    std::fs::remove_file(at.join("t.nii.gz.gzx")).unwrap();
    std::fs::write(at.join("t.gzidx"), gzidx(0)).unwrap();
    let error = refused(&["index", "t.nii.gz", "--import=t.gzidx"], at, 1);
    assert_eq!(error, "error: t.gzidx: index: unpacked bytes at byte 15 is 0; need 8544\n");
    assert!(!at.join("t.nii.gz.gzx").exists());
}

#[test]
fn a_turned_file_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    done(&["phantom", "tiny", "a.nii.gz", "--shape", "9,8,7", "--orient", "IRP"], at);
    done(&["convert", "a.nii.gz", "b.nii.gz", "--orient", "RAS"], at);
    let json: serde_json::Value = serde_json::from_str(&done(&["info", "--json", "b.nii.gz"], at)).unwrap();
    assert_eq!((json[0]["orientation"].as_str(), json[0]["shape"].to_string()), (Some("RAS"), "[8,7,9]".to_owned()));
    let stats = |file| done(&["stats", "--json", file], at).replace(file, "");
    assert_eq!(stats("a.nii.gz"), stats("b.nii.gz"));
}

#[test]
fn a_patch_is_the_same_by_every_way() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    done(&["phantom", "ct", "v.nii.gz", "--shape", "64,64,300"], at);
    done(&["phantom", "ct", "v.nii", "--shape", "64,64,300"], at);
    done(&["phantom", "ct", "w.nii.gz", "--shape", "64,64,300", "--pack", "bgzf"], at);
    let index = done(&["index", "v.nii.gz"], at);
    assert!(index.starts_with("v.nii.gz.gzx: 3 parts"), "{index}");
    assert!(done(&["index", "w.nii.gz"], at).contains("needs no index"));
    let region = "--region=3:40,:,200:260";
    let mut first = None;
    for (file, more, way) in [
        ("v.nii", &[][..], "runs read"),
        ("v.nii.gz", &[], "whole stream"),
        ("v.nii.gz", &["--index", "v.nii.gz.gzx"], "index"),
        ("w.nii.gz", &[], "blocks"),
        ("v.nii.gz", &["--cache", "cache"], "runs read"),
    ] {
        let text = done(&[&["patch", file, region, "--out", "p.npy"], more].concat(), at);
        assert_eq!(text, format!("p.npy: 37 x 64 x 60 int16, reached by: {way}\n"));
        let patch = npy(&at.join("p.npy"));
        assert_eq!(first.get_or_insert_with(|| patch.clone()), &patch, "{file} {more:?}");
    }
}

#[test]
fn errors_name_the_file_and_the_field_and_leave_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    done(&["phantom", "tiny", "t.nii"], at);
    let sound = std::fs::read(at.join("t.nii")).unwrap();
    let mut bad = sound.clone();
    bad[70] = 99;
    std::fs::write(at.join("bad.nii"), bad).unwrap();
    let error = refused(&["info", "bad.nii"], at, 1);
    assert!(error.starts_with("error: bad.nii: datatype at byte 70 is 99"), "{error}");
    std::fs::write(at.join("cut.nii"), &sound[..5000]).unwrap();
    let error = refused(&["convert", "cut.nii", "out.nii.gz"], at, 1);
    assert!(error.contains("truncated: the voxels at byte 352: need 8192 bytes, got 4648"), "{error}");
    done(&["phantom", "tiny", "t.nii.gz"], at);
    let mut damaged = std::fs::read(at.join("t.nii.gz")).unwrap();
    let end = damaged.len();
    damaged[end - 6] ^= 1;
    std::fs::write(at.join("crc.nii.gz"), damaged).unwrap();
    for command in [
        &["convert", "crc.nii.gz", "out.npy"][..],
        &["patch", "crc.nii.gz", "--region", ":,:,8:16", "--out", "out.npy"],
    ] {
        assert!(refused(command, at, 1).contains("CRC-32"));
    }
    assert!(!at.join("out.nii.gz").exists() && !at.join("out.npy").exists());
    let both = assay(&["check", "--json", "crc.nii.gz", "t.nii"], at);
    assert_eq!(both.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&both.stdout).unwrap();
    assert_eq!((json[0]["ok"].as_bool(), json[1]["ok"].as_bool()), (Some(false), Some(true)));
    refused(&["info"], at, 2);
    refused(&["phantom", "heart", "h.nii"], at, 2);
    assert!(refused(&["convert", "t.nii", "t.png"], at, 1).contains("has to end in"));
}

#[test]
fn the_corpus_is_sound() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let json: serde_json::Value = serde_json::from_str(&done(&["corpus", "c"], at)).unwrap();
    assert_eq!(json["files"], 16 * 2 * 2 * 7 * 2);
    let names: Vec<String> = std::fs::read_dir(at.join("c"))
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .filter(|name| name.contains(".nii") || name.contains(".hdr"))
        .collect();
    let arguments: Vec<&str> = std::iter::once("check").chain(names.iter().map(String::as_str)).collect();
    assert_eq!(done(&arguments, at).lines().count(), names.len());
}

/// Truncated input is an error, and no output file is left, not even a hidden one: every kind of file, into every kind.
#[test]
fn nothing_is_left_of_a_file_that_was_cut() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let names = || {
        let mut names: Vec<_> = std::fs::read_dir(at).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let kinds: [(&str, &str, &[&str]); 7] = [
        ("plain.nii", "plain.nii", &[]),
        ("one.nii.gz", "one.nii.gz", &[]),
        ("members.nii.gz", "members.nii.gz", &["--pack=members"]),
        ("blocks.nii.gz", "blocks.nii.gz", &["--pack=bgzf"]),
        ("sized.nii.gz", "sized.nii.gz", &["--pack=mgzip"]),
        ("pair.hdr", "pair.img", &[]),
        ("packed.hdr.gz", "packed.img.gz", &[]),
    ];
    for (name, _, more) in kinds {
        done(&[&["phantom", "ct", name, "--shape=40,30,20"], more].concat(), at);
    }
    done(&["phantom", "ct", "v.nii.gz", "--shape=40,30,20"], at);
    done(&["index", "v.nii.gz"], at);
    let before = names();
    for (name, cut_name, _) in kinds {
        let sound = std::fs::read(at.join(cut_name)).unwrap();
        for cut in [0, 1, 100, sound.len() / 2, sound.len() - 33] {
            std::fs::write(at.join(cut_name), &sound[..cut]).unwrap();
            for out in ["out.npy", "out.nii", "out.nii.gz", "out.hdr"] {
                let error = refused(&["convert", name, out], at, 1);
                assert!(error.starts_with("error: "), "{error}");
                assert_eq!(names(), before, "{name} cut at {cut} into {out}");
            }
        }
        std::fs::write(at.join(cut_name), sound).unwrap();
    }
    let index = std::fs::read(at.join("v.nii.gz.gzx")).unwrap();
    for cut in [0, 7, 20, 40, index.len() - 1] {
        std::fs::write(at.join("v.nii.gz.gzx"), &index[..cut]).unwrap();
        refused(&["patch", "v.nii.gz", "--index=v.nii.gz.gzx", "--region=:", "--out=out.npy"], at, 1);
        assert_eq!(names(), before);
    }
}
