//! Refused files: the message, the values and the exit code.

use std::{fs, path::Path};

use serde_json::Value;

use super::{assay, corpus, json, set, stderr, stdout};

/// The JSON of a refusal, on stdout, has every value of the message, which is on stderr.
#[test]
fn refusals_have_values_in_json() {
    let directory = tempfile::tempdir().unwrap();
    corpus(directory.path(), "index.json");
    for (name, expected) in [
        (
            "three-bytes.gguf",
            serde_json::json!({ "rule": "Truncated", "field": "Magic", "offset": 0, "got": 3, "need": 4 }),
        ),
        ("magic-swapped.gguf", serde_json::json!({ "rule": "Magic", "got": [70, 85, 71, 71] })),
        (
            "alignment-u64.gguf",
            serde_json::json!({ "rule": "AlignmentType", "key": "general.alignment", "offset": 24, "got": "u64" }),
        ),
        (
            "row-of-half-a-block.gguf",
            serde_json::json!({ "rule": "RowLength", "tensor": "t", "ty": "Q4_0", "got": 16, "need": 32 }),
        ),
        ("tensor-count-min.gguf", serde_json::json!({ "rule": "Count", "field": "TensorCount", "got": i64::MIN })),
        ("split-parts-swapped/m-00001-of-00003.gguf", serde_json::json!({ "rule": "PartNumber", "got": 3, "need": 2 })),
        ("split-part-missing/m-00001-of-00003.gguf", serde_json::json!({ "rule": "Io" })),
        ("split-no-u32/m-00001-of-00003.gguf", serde_json::json!({ "rule": "Key", "key": "split.no" })),
        ("split-part-empty/m-00001-of-00003.gguf", serde_json::json!({ "rule": "Truncated", "offset": 0 })),
        ("no-such-file.gguf", serde_json::json!({ "rule": "Io" })),
    ] {
        let path = directory.path().join(name);
        for command in ["info", "tensors", "check"] {
            let output = assay(&[command, "--json", path.to_str().unwrap()]);
            let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!((output.status.code(), &answer["ok"]), (Some(1), &Value::Bool(false)), "{command} {name}");
            for (key, value) in expected.as_object().unwrap() {
                assert_eq!(&answer[key], value, "{command} {name}: {answer}");
            }
            let message = answer["message"].as_str().unwrap();
            assert_eq!(stderr(&output), format!("error: {message}\n"));
            let file = answer["file"].as_str().unwrap();
            let part = if name.starts_with("split-part") { "m-00002-of-00003.gguf" } else { name };
            assert!(name.starts_with("split-no") || file.ends_with(part), "{file}");
        }
    }
}

/// Runs `check` on a file, as text and as JSON; returns the message of the refusal and the values.
fn refused(path: &Path) -> (String, Value) {
    let output = assay(&["check", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}: {}", path.display(), stdout(&output));
    (stderr(&output), json(&["check", "--json", path.to_str().unwrap()]))
}

/// Every refusal of an entry names the key or the tensor, in the message and in the JSON.
#[test]
fn refusals_name_the_key_or_the_tensor() {
    let directory = tempfile::tempdir().unwrap();
    corpus(directory.path(), "index.json");
    for (file, field, name, text) in [
        ("keys-duplicate", "key", "a", "key \"a\": it occurs twice, at byte 24 and at byte 38"),
        ("value-type-13", "key", "k", "key \"k\": value type 13 at byte 33 is unknown"),
        ("alignment-3", "key", "general.alignment", "its value is 3, not a power of two"),
        ("string-beyond-the-end", "key", "k", "key \"k\": the file is truncated: the value at byte 45 needs 51 bytes"),
        ("tensor-names-duplicate", "tensor", "a", "tensor \"a\": it occurs twice"),
        ("dimensions-5", "tensor", "t", "tensor \"t\": it has 5 dimensions"),
        (
            "row-of-half-a-block",
            "tensor",
            "t",
            "its rows have 16 elements, not a multiple of 32, the length of a Q4_0 block",
        ),
        ("type-4-removed", "tensor", "t", "tensor type 4 at byte 45 is unknown or was removed"),
        ("offset-gap", "tensor", "b", "its data offset is 64, but the padded data before it end at 32"),
        (
            "data-cut-by-a-byte",
            "tensor",
            "b",
            "the file is truncated: the tensor's data end at byte 140, the file has 139 bytes",
        ),
    ] {
        let (message, values) = refused(&directory.path().join(format!("{file}.gguf")));
        assert!(message.contains(text) && message.contains(name), "{file}: {message}");
        assert_eq!(values[field], name, "{file}: {values}");
    }
    // The path once, and each cause once.
    let (message, _) = refused(&directory.path().join("offset-gap.gguf"));
    assert_eq!(
        (message.matches("offset-gap.gguf").count(), message.matches("data offset").count()),
        (1, 1),
        "{message}"
    );
}

/// A later part names the first one; parts in one file are recognized; parts are counted from 1.
#[test]
fn parts_of_a_set_are_explained() {
    let directory = tempfile::tempdir().unwrap();
    let files = set(directory.path(), "split-of-3");
    let (message, values) = refused(&files[1]);
    assert!(message.contains("this is part 2 of 3; open ") && message.contains("m-00001-of-00003.gguf"), "{message}");
    assert_eq!((&values["got"], &values["count"]), (&2.into(), &3.into()));
    assert_eq!(values["first"], files[0].to_str().unwrap());

    let joined = directory.path().join("joined.gguf");
    let bytes: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    fs::write(&joined, bytes.concat()).unwrap();
    let (message, values) = refused(&joined);
    assert!(message.contains("another GGUF file joined to it at byte"), "{message}");
    assert_eq!((&values["rule"], &values["offset"]), (&"Joined".into(), &bytes[0].len().into()));

    let tensors = json(&["tensors", "--json", files[0].to_str().unwrap()]);
    let parts: Vec<_> = tensors.as_array().unwrap().iter().map(|tensor| tensor["part"].as_u64().unwrap()).collect();
    assert_eq!(parts, [1, 1, 2, 2, 3]);
}

/// A file that is something else: its name and what to do, instead of the bytes that it begins with.
#[test]
fn other_files_are_recognized() {
    let directory = tempfile::tempdir().unwrap();
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let safetensors = [&99_u64.to_le_bytes()[..], b"{\"a\":", &[b' '; 99]].concat();
    let old = |magic: &[u8; 4]| [&magic[..], &[0; 99]].concat();
    for (bytes, name, advice) in [
        (lfs.to_vec(), "a Git LFS pointer", "git lfs pull"),
        (b"<!DOCTYPE html><html>404</html>".to_vec(), "an HTML page", "download again"),
        (old(b"tjgg"), "GGJT", "convert"),
        (old(b"fmgg"), "GGMF", "convert"),
        (old(b"lmgg"), "an old GGML model", "convert"),
        (safetensors, "a safetensors file", "convert_hf_to_gguf.py"),
        (old(b"PK\x03\x04"), "a ZIP archive", "unpack"),
        (Vec::new(), "an empty file", "download"),
    ] {
        let path = directory.path().join("model.gguf");
        fs::write(&path, &bytes).unwrap();
        let (message, values) = refused(&path);
        assert!(message.contains(": this is ") && message.contains(name), "{message}");
        assert!(message.contains(advice) && message.matches("model.gguf").count() == 1, "{message}");
        assert!(values["identity"].as_str().unwrap().contains(name), "{values}");
        assert!(["Magic", "Truncated"].contains(&values["rule"].as_str().unwrap()), "{values}");
    }
    // Unknown bytes are shown as text.
    let path = directory.path().join("model.gguf");
    fs::write(&path, b"what is this").unwrap();
    assert!(refused(&path).0.contains(r#"the file begins with "what", not with "GGUF""#));
}
