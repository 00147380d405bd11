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

/// Exit code 1, the rule on stderr and in the JSON; for every refused file of the corpus.
#[test]
fn refused_files_end_with_1_and_the_rule() {
    let directory = tempfile::tempdir().unwrap();
    let name = directory.path().to_str().unwrap();
    assert!(assay(&["corpus", name]).status.success());
    let index: Value = serde_json::from_slice(&fs::read(directory.path().join("index.json")).unwrap()).unwrap();
    let cases = index.as_array().unwrap();
    assert!(cases.len() > 150);
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

#[test]
fn a_spoilt_block_is_named() {
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
