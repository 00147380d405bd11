//! `assay gguf`, run as a user runs it.

mod files;
mod refusals;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

fn assay(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_assay")).arg("gguf").args(arguments).output().expect("the binary was built")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(arguments: &[&str]) -> Value {
    let output = assay(arguments);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", stdout(&output), stderr(&output)))
}

/// A tiny model.
fn synth(directory: &Path, arguments: &[&str]) -> (PathBuf, String) {
    let path = directory.join(format!("{}.gguf", arguments.join("_").replace('-', "")));
    let name = path.to_str().unwrap().to_owned();
    let fixed = ["synth", "rwkv7", "--size", "tiny", "--vocabulary", "bytes"];
    let output = assay(&[&fixed[..], arguments, &[&name]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    (path, name)
}

#[test]
fn a_synthesized_model_is_shown_and_sound() {
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
        "general.file_type (u32) = 15 (Q4_K_M)",
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
        check.status.success() && stdout(&check).contains("the container keeps every rule, all values checked"),
        "{}",
        stderr(&check)
    );
}

#[test]
fn the_seed_decides_every_byte() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = |arguments: &[&str]| fs::read(synth(directory.path(), arguments).0).unwrap();
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

/// The files of a set of the corpus, the one to be opened first.
fn set(directory: &Path, name: &str) -> Vec<PathBuf> {
    let sets = corpus(directory, "sets.json");
    let set = sets.iter().find(|set| set["name"] == name).unwrap();
    let files = set["files"].as_array().unwrap();
    files.iter().map(|file| directory.join(name).join(file.as_str().unwrap())).collect()
}

/// Exit code 1 and the rule in the JSON, for refused files of the corpus.
#[test]
fn refused_files_exit_with_1_and_the_rule() {
    let directory = tempfile::tempdir().unwrap();
    let cases = corpus(directory.path(), "index.json");
    assert!(cases.len() > 350);
    // Every eighth file, because each takes a process.
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
    assert!(stderr(&assay(&["check", big_endian])).contains("--lenient accepts it"));
    assert!(assay(&["check", "--lenient", big_endian]).status.success());
    assert!(stdout(&assay(&["info", big_endian])).contains("big-endian"));
    assert_eq!(assay(&["info", "--strict", big_endian]).status.code(), Some(1));
}

/// Models in several files, opened by their first one.
#[test]
fn sets_get_their_verdicts() {
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

/// For every type with a scale, a block that is not finite is named, and a file of the largest scales is sound.
#[test]
fn values_that_are_not_finite_are_found_in_every_type() {
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

/// Big-endian values are checked as such: read as little-endian, an infinity would be a small number.
#[test]
fn values_of_big_endian_files_are_checked() {
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
fn a_block_that_is_not_finite_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (path, name) = synth(directory.path(), &["--type", "Q8_0"]);
    let tensors = json(&["tensors", "--json", &name]);
    let tensor = tensors.as_array().unwrap().iter().find(|tensor| tensor["name"] == "output.weight").unwrap();
    let mut bytes = fs::read(&path).unwrap();
    // The scale of block 3: a NaN.
    let at = tensor["start"].as_u64().unwrap() as usize + 3 * 34;
    bytes[at..at + 2].copy_from_slice(&0x7e00_u16.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    assert!(assay(&["check", &name]).status.success(), "the container keeps the rules");
    let output = assay(&["check", "--values", &name]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("output.weight: block 3 is not finite"), "{}", stdout(&output));
    assert!(stderr(&output).contains("1 of 62 tensors"), "{}", stderr(&output));
    assert_eq!(json(&["check", "--values", "--json", &name])["not_finite"][0]["block"], 3);
}

#[test]
fn usage_errors_exit_with_2_and_missing_files_with_1() {
    assert_eq!(assay(&["info"]).status.code(), Some(2));
    assert_eq!(assay(&["synth", "rwkv7", "--size", "3b", "x"]).status.code(), Some(2));
    let missing = assay(&["info", "no-such-file.gguf"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("no-such-file.gguf"), "{}", stderr(&missing));
}

/// Bytes behind the last tensor are counted by `check` and `info`, in text and in JSON.
#[test]
fn trailing_bytes_are_reported() {
    let directory = tempfile::tempdir().unwrap();
    let (path, name) = synth(directory.path(), &[]);
    let sound = fs::read(&path).unwrap();
    // `check` warns on stderr.
    let report = |output: &Output| stdout(output) + &stderr(output);
    for command in ["check", "info"] {
        assert!(!report(&assay(&[command, &name])).contains("behind"), "{command}");
        assert_eq!(json(&[command, "--json", &name])["trailing_bytes"], 0);
    }
    fs::write(&path, [&sound[..], &[b'x'; 1000]].concat()).unwrap();
    for command in ["check", "info"] {
        let output = assay(&[command, &name]);
        assert!(output.status.success() && report(&output).contains("1000 bytes behind the data of the last tensor"));
        assert_eq!(json(&[command, "--json", &name])["trailing_bytes"], 1000);
    }
    fs::write(&path, [&sound[..], &sound].concat()).unwrap();
    for command in ["check", "info"] {
        assert!(report(&assay(&[command, &name])).contains("another GGUF file is joined to this one"), "{command}");
        assert_eq!(json(&[command, "--json", &name])["joined_at"], sound.len());
    }
}

#[test]
fn several_files_are_checked_in_one_call() {
    let directory = tempfile::tempdir().unwrap();
    let set: Vec<_> =
        set(directory.path(), "split-of-3").iter().map(|path| path.to_str().unwrap().to_owned()).collect();
    let (_, sound) = synth(directory.path(), &[]);
    let bad = directory.path().join("offset-gap.gguf").to_str().unwrap().to_owned();
    // Later parts are checked with the first one.
    let output = assay(&["check", &set[1], &set[0], &set[2], &sound]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output).lines().count(), 4, "{}", stdout(&output));
    let output = assay(&["check", &bad, &sound]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("tensor \"b\"") && stdout(&output).contains(&format!("{sound}: 62 tensors")));
    assert_eq!(stderr(&output), "error: 1 of 2 files are not sound\n");
    let answers = json(&["check", "--json", &bad, &sound, &set[0], &set[1]]);
    let oks: Vec<_> = answers.as_array().unwrap().iter().map(|answer| answer["ok"].as_bool().unwrap()).collect();
    assert_eq!(oks, [false, true, true, true]);
    assert_eq!(answers[3]["checked_with"], set[0]);
}

/// Everything that the text shows is in the JSON, arrays in full.
#[test]
fn info_is_complete_in_json() {
    let directory = tempfile::tempdir().unwrap();
    let (path, name) = synth(directory.path(), &["--type", "Q8_0"]);
    let info = json(&["info", "--json", &name]);
    let pair = |key: &str| info["metadata"].as_array().unwrap().iter().find(|pair| pair["key"] == key).unwrap().clone();
    assert_eq!((&pair("general.file_type")["value"], &pair("general.file_type")["name"]), (&7.into(), &"Q8_0".into()));
    assert_eq!(pair("tokenizer.ggml.tokens")["value"].as_array().unwrap().len(), 257);
    assert_eq!((&info["file"], &info["tensors"]), (&name.as_str().into(), &62.into()));
    let part = &info["parts"][0];
    assert_eq!((&part["part"], &part["tensors"]), (&1.into(), &62.into()));
    assert_eq!(part["bytes"], fs::metadata(&path).unwrap().len());
    assert!(part["data_start"].as_u64() < part["data_end"].as_u64());
}
