//! No value is lost in silence: what a new file holds is exact, refused, or counted.

use std::{fs, path::Path};

use nifti_decode::{Affine, Datatype, Header, Pack, Version, write};
use serde_json::json;

use super::{assay, done, json as json_of, npy, refused};

/// Ids of an atlas, most of which f32 does not hold.
const IDS: [u32; 6] = [0, 997, 576_073_733, 614_454_277, 16_777_217, u32::MAX];

fn volume(at: &Path, name: &str, datatype: Datatype, shape: &[usize], voxels: &[u8], scale: (f64, f64)) {
    let affine = Affine([[-2.0, 0.0, 0.0, 10.0], [0.0, 2.0, 0.0, -20.0], [0.0, 0.0, 3.0, 5.0], [0.0, 0.0, 0.0, 1.0]]);
    let header = Header::new(Version::Nifti1, datatype, shape).unwrap().with_affine(&affine);
    write(&at.join(name), &header.with_scale(scale.0, scale.1), &[], voxels, Pack::Plain).unwrap();
}

fn atlas(at: &Path) {
    volume(at, "a.nii", Datatype::Uint32, &[1, 2, 3], IDS.map(u32::to_ne_bytes).as_flattened(), (0.0, 0.0));
}

/// Stderr of a command that succeeds.
fn warned(arguments: &[&str], at: &Path) -> String {
    let output = assay(arguments, at);
    assert_eq!(output.status.code(), Some(0), "{:?}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn labels_are_exact_unless_a_type_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    atlas(at);
    for command in [&["convert", "a.nii", "p.npy"][..], &["patch", "a.nii", "--region=:", "--out=p.npy"]] {
        assert_eq!(warned(command, at), "");
        let (header, array) = npy(&at.join("p.npy"));
        assert!(header.contains("'<u4'"), "{header}");
        assert_eq!(array, IDS.map(u32::to_ne_bytes).as_flattened());
        for (ty, descr) in [("float64", "'<f8'"), ("int64", "'<i8'"), ("uint32", "'<u4'")] {
            assert_eq!(warned(&[command, &["--type", ty]].concat(), at), "");
            assert!(npy(&at.join("p.npy")).0.contains(descr));
        }
        let warning = warned(&[command, &["--scaled"]].concat(), at);
        assert_eq!(
            warning,
            "warning: p.npy: float32 does not hold all of 6 values: 4 whole numbers rounded; the first is 576073733 at index 2\n"
        );
        let warning = warned(&[command, &["--type=float16"]].concat(), at);
        assert_eq!(
            warning,
            "warning: p.npy: float16 does not hold all of 6 values: 4 beyond its range; the first is 576073733 at index 2\n"
        );
        fs::remove_file(at.join("p.npy")).unwrap();
        let error = refused(&[command, &["--type=int32"]].concat(), at, 1);
        assert!(error.contains("error: a.nii: 4294967295 at index 5 is not exact in int32; 1 such values"), "{error}");
        assert!(!at.join("p.npy").exists());
    }
    let told = json_of(&["convert", "a.nii", "s.npy", "--scaled", "--json"], at);
    let losses = json!({ "whole": 4, "overflowed": 0, "underflowed": 0 });
    assert_eq!((&told["losses"], &told["is_scaled"]), (&losses, &true.into()));
    assert_eq!(json_of(&["convert", "a.nii", "s.npy", "--json"], at)["losses"]["whole"], 0);
}

#[test]
fn an_array_has_the_scaled_values() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let stored = [3_i16, -4, 32_767];
    volume(at, "s.nii", Datatype::Int16, &[3, 1, 1], stored.map(i16::to_ne_bytes).as_flattened(), (0.1, 2.0));
    let array = |options: &[&str]| {
        done(&[&["convert", "s.nii", "s.npy"], options].concat(), at);
        npy(&at.join("s.npy"))
    };
    let scale = f64::from(0.1_f32);
    let (header, values) = array(&[]);
    assert!(header.contains("'<f8'"), "{header}");
    assert_eq!(values, stored.map(|v| (f64::from(v) * scale + 2.0).to_ne_bytes()).as_flattened());
    let (header, values) = array(&["--type=stored"]);
    assert!(header.contains("'<i2'") && values == stored.map(i16::to_ne_bytes).as_flattened());
    assert!(array(&["--scaled"]).0.contains("'<f4'"));
    // A NIfTI file keeps type and scaling.
    done(&["convert", "s.nii", "t.nii"], at);
    let told = &json_of(&["info", "--json", "t.nii"], at)[0];
    assert_eq!((&told["datatype"], &told["scale"]["inter"]), (&"int16".into(), &2.0.into()));
    done(&["convert", "s.nii", "t.nii", "--type=float64"], at);
    let told = &json_of(&["info", "--json", "t.nii"], at)[0];
    assert_eq!((&told["datatype"], &told["scale"]), (&"float64".into(), &serde_json::Value::Null));
    assert!(refused(&["convert", "s.nii", "s.npy", "--scaled", "--type=stored"], at, 1).contains("contradict"));
    assert!(refused(&["convert", "s.nii", "s.nii", "--type=float16"], at, 1).contains("NIfTI has no type float16"));
    refused(&["convert", "s.nii", "s.npy", "--type=int24"], at, 2);
}

#[test]
fn magnitudes_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let stored = [0.1, 1e300, -1e300, 1e-310].map(f64::to_ne_bytes);
    volume(at, "d.nii", Datatype::Float64, &[2, 2, 1], stored.as_flattened(), (0.0, 0.0));
    let warning = warned(&["convert", "d.nii", "e.nii", "--scaled"], at);
    let expected = "warning: e.nii: float32 does not hold all of 4 values: 2 beyond its range, 1 too small for it; the first is 1e300 at index 1\n";
    assert_eq!(warning, expected);
    let text = done(&["stats", "d.nii"], at);
    assert!(text.contains("range    -1e300 to 1e300"), "{text}");
}

/// A part of a volume as a NIfTI file lies where it lay in the volume.
#[test]
fn a_patch_is_a_volume_too() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    done(&["phantom", "fmri", "v.nii.gz", "--shape=12,11,10,4", "--orient=PSR"], at);
    for orient in [&[][..], &["--orient=RAS"]] {
        let patch = ["patch", "v.nii.gz", "--region=2:5,:,3:9,1:3", "--out=p.nii.gz"];
        done(&[&patch, orient].concat(), at);
        let told = json_of(&[&patch, orient, &["--json"]].concat(), at);
        let part = &json_of(&["info", "--json", "p.nii.gz"], at)[0];
        assert_eq!((&part["shape"], &part["affine"]), (&told["shape"], &told["affine"]));
        assert_eq!((&part["datatype"], &part["scale"]["slope"]), (&"int16".into(), &0.25.into()));
        done(&["check", "p.nii.gz"], at);
    }
    let (corner, volume) =
        (&json_of(&["info", "--json", "p.nii.gz"], at)[0], &json_of(&["info", "--json", "v.nii.gz"], at)[0]);
    assert_eq!(corner["orientation"], "RAS");
    assert_eq!(corner["toffset"].as_f64(), volume["pixdim"][4].as_f64());
    // The part and the volume, both converted, agree voxel for voxel.
    done(&["patch", "v.nii.gz", "--region=2:5,:,3:9,1:3", "--out=q.nii"], at);
    done(&["convert", "q.nii", "q.npy", "--scaled"], at);
    done(&["patch", "v.nii.gz", "--region=2:5,:,3:9,1:3", "--out=r.npy", "--scaled"], at);
    assert_eq!(npy(&at.join("q.npy")), npy(&at.join("r.npy")));
}
