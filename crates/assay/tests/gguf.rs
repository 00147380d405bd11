//! `assay gguf`, driven as a user does.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

fn assay(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_assay")).arg("gguf").args(words).output().expect("the binary was built")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(words: &[&str]) -> Value {
    let output = assay(words);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", stdout(&output), stderr(&output)))
}

/// A tiny model.
fn synth(directory: &Path, words: &[&str]) -> (PathBuf, String) {
    let path = directory.join(format!("{}.gguf", words.join("_").replace('-', "")));
    let name = path.to_str().unwrap().to_owned();
    let fixed = ["synth", "rwkv7", "--size", "tiny", "--vocabulary", "bytes"];
    let output = assay(&[&fixed[..], words, &[&name]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    (path, name)
}

#[test]
fn a_model_is_made_shown_and_sound() {
    let directory = tempfile::tempdir().unwrap();
    let (path, name) = synth(directory.path(), &["--type", "Q4_K_M"]);
    let info = stdout(&assay(&["info", &name]));
    for part in [
        "GGUF version 3, little-endian",
        "62 tensors",
        "Q4_K",
        "Q6_K",
        "general.architecture (str) = \"rwkv7\"",
        "257 of str",
    ] {
        assert!(info.contains(part), "{part}: {info}");
    }
    let info = json(&["info", "--json", &name]);
    assert_eq!(info["file_bytes"], fs::metadata(&path).unwrap().len());
    let tensors = json(&["tensors", "--json", &name]);
    let find = |name: &str| tensors.as_array().unwrap().iter().find(|tensor| tensor["name"] == name).unwrap().clone();
    assert_eq!(tensors.as_array().unwrap().len(), 62);
    assert_eq!(find("blk.1.time_mix_lerp_fused.weight")["dims"], serde_json::json!([256, 1, 1, 6]));
    assert_eq!(find("output.weight")["type"], "Q6_K");
    assert_eq!(find("blk.0.time_mix_a1.weight")["type"], "F16");
    assert!(stdout(&assay(&["tensors", &name])).lines().count() == 63);
    let check = assay(&["check", "--values", &name]);
    assert!(
        check.status.success() && stdout(&check).contains("every rule kept, all values looked at"),
        "{}",
        stderr(&check)
    );
}

#[test]
fn the_seed_decides_every_byte() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = |words: &[&str]| fs::read(synth(directory.path(), words).0).unwrap();
    let first = bytes(&["--seed", "1"]);
    assert_eq!(first, bytes(&["--seed", "1"]));
    assert_ne!(first, bytes(&["--seed", "2"]));
    assert!(bytes(&["--type", "F32"]).len() > bytes(&["--type", "F16"]).len());
    assert!(bytes(&["--type", "Q8_0"]).len() > first.len());
}

/// Writes the corpus, and returns one of its indices.
fn corpus(directory: &Path, index: &str) -> Vec<Value> {
    assert!(assay(&["corpus", directory.to_str().unwrap()]).status.success());
    serde_json::from_slice(&fs::read(directory.join(index)).unwrap()).unwrap()
}

/// Exit code 1, the rule on stderr and in the JSON; for every refused file of the corpus.
#[test]
fn refused_files_end_with_1_and_the_rule() {
    let directory = tempfile::tempdir().unwrap();
    let cases = corpus(directory.path(), "index.json");
    assert!(cases.len() > 350);
    // Every eighth: a process each.
    for case in cases.iter().step_by(8) {
        let path = directory.path().join(format!("{}.gguf", case["name"].as_str().unwrap()));
        let output = assay(&["check", "--json", path.to_str().unwrap()]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let is_accepted = case["verdict"] == "accepted";
        assert_eq!(output.status.code(), Some(if is_accepted { 0 } else { 1 }), "{case}: {}", stderr(&output));
        assert_eq!(answer["ok"], is_accepted, "{case}");
        assert_eq!(answer["rule"], case["rule"], "{case}");
    }
    let big_endian = directory.path().join("big-endian.gguf");
    let big_endian = big_endian.to_str().unwrap();
    assert!(stderr(&assay(&["check", big_endian])).contains("big-endian file"));
    assert!(assay(&["check", "--lenient", big_endian]).status.success());
    assert!(stdout(&assay(&["info", big_endian])).contains("big-endian"));
    assert_eq!(assay(&["info", "--strict", big_endian]).status.code(), Some(1));
}

/// A refusal as JSON has every value that the message has, on stdout; the message stays on stderr.
#[test]
fn refusals_are_values() {
    let directory = tempfile::tempdir().unwrap();
    corpus(directory.path(), "index.json");
    for (name, expected) in [
        (
            "three-bytes.gguf",
            serde_json::json!({ "rule": "Truncated", "field": "Magic", "offset": 0, "got": 3, "need": 4 }),
        ),
        ("magic-swapped.gguf", serde_json::json!({ "rule": "Magic", "got": [70, 85, 71, 71] })),
        ("alignment-u64.gguf", serde_json::json!({ "rule": "AlignmentType", "offset": 24, "got": "u64" })),
        ("row-of-half-a-block.gguf", serde_json::json!({ "rule": "RowLength", "ty": "Q4_0", "got": 16, "need": 32 })),
        ("tensor-count-min.gguf", serde_json::json!({ "rule": "Count", "field": "TensorCount", "got": i64::MIN })),
        ("split-parts-swapped/m-00001-of-00003.gguf", serde_json::json!({ "rule": "PartNumber", "got": 2, "need": 1 })),
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

/// Models in several files, opened by their first one.
#[test]
fn sets_end_as_their_index_says() {
    let directory = tempfile::tempdir().unwrap();
    let sets = corpus(directory.path(), "sets.json");
    assert!(sets.len() > 30);
    for set in sets {
        let first = directory.path().join(set["name"].as_str().unwrap()).join(set["files"][0].as_str().unwrap());
        let output = assay(&["check", "--json", first.to_str().unwrap()]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let is_accepted = set["verdict"] == "accepted";
        assert_eq!(output.status.code(), Some(if is_accepted { 0 } else { 1 }), "{set}: {}", stderr(&output));
        assert_eq!((&answer["ok"], &answer["rule"]), (&Value::Bool(is_accepted), &set["rule"]), "{set}");
    }
}

/// Every type with a scale: the block that is not finite is named, and a file of the largest scales is sound.
#[test]
fn values_that_are_no_numbers_are_found_in_every_type() {
    let directory = tempfile::tempdir().unwrap();
    let cases = corpus(directory.path(), "index.json");
    let cases: Vec<_> = cases.iter().filter(|case| case["name"].as_str().unwrap().starts_with("values-")).collect();
    assert!(cases.len() > 100);
    for case in cases {
        let path = directory.path().join(format!("{}.gguf", case["name"].as_str().unwrap()));
        let output = assay(&["check", "--values", "--json", path.to_str().unwrap()]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let is_finite = case["not_finite"].is_null();
        assert_eq!(output.status.code(), Some(if is_finite { 0 } else { 1 }), "{case}");
        assert_eq!(answer["not_finite"][0]["block"], case["not_finite"], "{case}");
    }
}

/// A big-endian file is looked at in its own order: an infinity of it would be a small number in the other one.
#[test]
fn values_of_big_endian_files_are_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    corpus(directory.path(), "index.json");
    for (number, is_finite) in [(f32::MAX, true), (f32::INFINITY, false), (f32::from_bits(0x0000_807f), true)] {
        let path = directory.path().join("big-endian.gguf");
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.len() - 32;
        bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
        fs::write(&path, &bytes).unwrap();
        let output = assay(&["check", "--values", "--lenient", path.to_str().unwrap()]);
        assert_eq!(output.status.success(), is_finite, "{number}: {}", stderr(&output));
    }
}

#[test]
fn a_spoiled_block_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (path, name) = synth(directory.path(), &["--type", "Q8_0"]);
    let tensors = json(&["tensors", "--json", &name]);
    let tensor = tensors.as_array().unwrap().iter().find(|tensor| tensor["name"] == "output.weight").unwrap();
    let mut bytes = fs::read(&path).unwrap();
    // The scale of block 3: a NaN.
    let at = tensor["start"].as_u64().unwrap() as usize + 3 * 34;
    bytes[at..at + 2].copy_from_slice(&0x7e00_u16.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    assert!(assay(&["check", &name]).status.success(), "the rules are kept");
    let output = assay(&["check", "--values", &name]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("output.weight: block 3 is not finite"), "{}", stdout(&output));
    assert!(stderr(&output).contains("1 of 62 tensors"), "{}", stderr(&output));
    assert_eq!(json(&["check", "--values", "--json", &name])["not_finite"][0]["block"], 3);
}

#[test]
fn usage_is_2_and_what_cannot_be_opened_1() {
    assert_eq!(assay(&["info"]).status.code(), Some(2));
    assert_eq!(assay(&["synth", "rwkv7", "--size", "3b", "x"]).status.code(), Some(2));
    let missing = assay(&["info", "no-such-file.gguf"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("no-such-file.gguf"), "{}", stderr(&missing));
}
