//! The header, as `info` tells it and as `convert --orient` carries it along.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{done, json as json_of};

/// Writes `values` at places of a NIfTI-1 header.
fn edit(path: &Path, edits: &[(usize, &[u8])]) {
    let mut bytes = fs::read(path).unwrap();
    for (at, value) in edits {
        bytes[*at..at + value.len()].copy_from_slice(value);
    }
    fs::write(path, bytes).unwrap();
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn info(at: &Path, name: &str) -> Value {
    json_of(&["info", "--json", name], at)[0].clone()
}

const DIM_INFO: usize = 39;
const PIXDIM: usize = 76;
const SLICE_END: usize = 120;
const SLICE_CODE: usize = 122;
const UNITS: usize = 123;
const QFORM_CODE: usize = 252;
const SROWS: usize = 280;

#[test]
fn units_codes_and_names_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    done(&["phantom", "fmri", "t.nii", "--shape=4,4,4,3", "--orient=RAS"], at);
    let row = |i: usize| floats(&[0, 1, 2].map(|j| if i == j { 400.0 } else { 0.0 }));
    let mut rows = Vec::new();
    for i in 0..3 {
        rows.extend([row(i), floats(&[10.0])].concat());
    }
    let edits: [(usize, &[u8]); 14] = [
        (DIM_INFO, &[0b11_01_10]),
        (68, &1002_i16.to_le_bytes()),
        (PIXDIM, &floats(&[1.0, 400.0, 400.0, 400.0, 2000.0])),
        (SLICE_END, &3_i16.to_le_bytes()),
        (SLICE_CODE, &[3]),
        (UNITS, &[3 + 16]),
        (124, &floats(&[100.0, -5.0])),
        (132, &floats(&[500.0, 250.0])),
        (148, b"made\x1b[2Jby hand"),
        (228, b"other.txt"),
        (QFORM_CODE, &[0, 0, 4, 0]),
        (SROWS, &rows),
        (328, b"atlas"),
        (56, &floats(&[1.5, 0.0, 0.0])),
    ];
    edit(&at.join("t.nii"), &edits);
    let text = done(&["info", "t.nii"], at);
    for expected in [
        "header       NIfTI-1, little-endian",
        "spacing      0.4000 x 0.4000 x 0.4000 mm (the header is in µm)",
        "transforms   qform unknown (0), sform mni (4)",
        " 10.00000 µm",
        "time step    2000 ms",
        "time offset  250 ms",
        "encoding     frequency y, phase x, slice z",
        "slices       alternating increasing (3), 0 to 3, 500 ms each",
        "intent       label (1002) \"atlas\", parameters 1.5, 0, 0",
        "display      -5 to 100",
        "description  made\\u{1b}[2Jby hand",
        "other file   other.txt",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let told = info(at, "t.nii");
    let expected = json!({
        "spacing_mm": [0.4, 0.4, 0.4], "space_unit": "micron", "time_unit": "msec", "time_step_s": 2.0, "toffset": 250.0,
        "qform_code": 0, "sform_code": 4, "qform": "unknown", "sform": "mni", "intent_code": 1002, "intent": "label",
        "intent_name": "atlas", "intent_p1": 1.5, "slice_code": 3, "slice_order": "alternating increasing",
        "slice_duration": 500.0, "slice_end": 3, "dim_info": 54, "frequency_axis": 1, "phase_axis": 0, "slice_axis": 2,
        "cal_max": 100.0, "cal_min": -5.0, "aux_file": "other.txt", "bitpix": 16, "datatype": "int16", "datatype_code": 4,
        "dim": [4, 4, 4, 4, 3, 1, 1, 1], "srow_x": [400.0, 0.0, 0.0, 10.0], "warnings": [],
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&told[key], value, "{key}");
    }
    // Seconds, and no unit at all.
    edit(&at.join("t.nii"), &[(UNITS, &[2 + 8])]);
    assert!(done(&["info", "t.nii"], at).contains("spacing      400.0000 x 400.0000 x 400.0000 mm\n"));
    edit(&at.join("t.nii"), &[(UNITS, &[0])]);
    let text = done(&["info", "t.nii"], at);
    assert!(
        text.contains("400.0000 mm (the header gives no unit)\n") && text.contains("time step    2000\n"),
        "{text}"
    );
    assert_eq!(info(at, "t.nii")["time_step_s"], Value::Null);
    edit(&at.join("t.nii"), &[(UNITS, &[2 + 40])]);
    assert!(done(&["info", "t.nii"], at).contains("fourth step  2000 ppm\n"));
}

#[test]
fn an_order_that_is_there_already_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    done(&["phantom", "tiny", "a.nii", "--shape=5,4,3", "--orient=RAS"], at);
    edit(&at.join("a.nii"), &[(QFORM_CODE, &[4, 0, 4, 0]), (DIM_INFO, &[0b11_10_01]), (SLICE_CODE, &[1])]);
    done(&["convert", "a.nii", "b.nii", "--orient=RAS"], at);
    assert_eq!(fs::read(at.join("a.nii")).unwrap(), fs::read(at.join("b.nii")).unwrap());
}

#[test]
fn codes_and_axes_follow_a_reorientation() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    done(&["phantom", "tiny", "a.nii", "--shape=5,4,3", "--orient=PSL"], at);
    for (qform, sform) in [(0, 2), (1, 3), (4, 4), (2, 0)] {
        let codes = [qform, 0, sform, 0];
        edit(&at.join("a.nii"), &[(QFORM_CODE, &codes), (DIM_INFO, &[0b11_01_10]), (SLICE_CODE, &[5])]);
        done(&["convert", "a.nii", "b.nii", "--orient=RAS"], at);
        let (before, after) = (info(at, "a.nii"), info(at, "b.nii"));
        assert_eq!((&after["qform_code"], &after["sform_code"]), (&qform.into(), &sform.into()));
        // z, the slices, ran to the left and is x now, the other way.
        if sform != 0 {
            assert_eq!((&before["slice_axis"], &after["slice_axis"]), (&2.into(), &0.into()));
            assert_eq!((&after["slice_code"], after["orientation"].as_str()), (&6.into(), Some("RAS")));
            assert_eq!((&after["frequency_axis"], &after["phase_axis"]), (&2.into(), &1.into()));
        }
    }
    // Codes that say nothing: the affine that the extents stood for is written down.
    edit(&at.join("a.nii"), &[(QFORM_CODE, &[0; 4])]);
    done(&["convert", "a.nii", "b.nii", "--orient=PIR"], at);
    let after = info(at, "b.nii");
    assert_eq!((&after["sform"], after["orientation"].as_str()), (&"aligned".into(), Some("PIR")));
}

#[test]
fn a_transform_that_cannot_be_one_is_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    done(&["phantom", "tiny", "z.nii", "--shape=5,4,3"], at);
    edit(&at.join("z.nii"), &[(QFORM_CODE, &[1]), (SROWS, &[0; 48])]);
    let warning = "sform_code is 1, but srow_x, y, z map an axis to nothing; used instead: qform";
    assert_eq!(done(&["check", "z.nii"], at), format!("z.nii: sound\n  warning: {warning}\n"));
    assert!(done(&["info", "z.nii"], at).contains(&format!("  warning      {warning}\n")));
    assert_eq!(json_of(&["check", "--json", "z.nii"], at)[0]["warnings"], json!([warning]));
    let told = info(at, "z.nii");
    assert_eq!((&told["warnings"], &told["affine_source"]), (&json!([warning]), &"qform".into()));
}

#[test]
fn long_vectors_of_freesurfer_are_converted() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    // 27307 x 6 as a volume, relabeled as FreeSurfer labels its surface.
    done(&["phantom", "tiny", "s.nii", "--shape=27307,1,6,2"], at);
    done(&["convert", "s.nii", "s.npy"], at);
    let array = super::npy(&at.join("s.npy"));
    assert!(array.0.contains("'shape': (163842, 1, 1, 2,)"), "{}", array.0);
    done(&["convert", "s.nii", "t.nii.gz"], at);
    assert_eq!(info(at, "t.nii.gz")["dim"], json!([4, 27307, 1, 6, 2, 1, 1, 1]));
    done(&["convert", "s.nii", "u.nii", "--nifti2"], at);
    assert_eq!(info(at, "u.nii")["dim"], json!([4, 163_842, 1, 1, 2, 1, 1, 1]));
    // Cut to 40000: -1 and a length.
    let mut bytes = fs::read(at.join("s.nii")).unwrap();
    bytes.truncate(352 + 2 * 40_000);
    bytes[40..50].copy_from_slice(&[3, 0, 255, 255, 1, 0, 1, 0, 1, 0]);
    bytes[144..148].copy_from_slice(&40_000_i32.to_le_bytes());
    fs::write(at.join("v.nii"), bytes).unwrap();
    done(&["convert", "v.nii", "w.nii"], at);
    assert_eq!(
        (&info(at, "w.nii")["dim"], &info(at, "w.nii")["glmin"]),
        (&json!([3, -1, 1, 1, 1, 1, 1, 1]), &40_000.into())
    );
    assert_eq!(info(at, "w.nii")["shape"], json!([40_000, 1, 1]));
}
