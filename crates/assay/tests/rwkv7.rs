//! `assay rwkv7` as a user calls it, on the trained model of the repository.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/rwkv7-small/rwkv7-small-q4_k_m.gguf")
}

fn rwkv7(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_assay")).arg("rwkv7").args(words).output().unwrap()
}

/// Standard output of a call that succeeds.
fn stdout(words: &[&str]) -> String {
    let output = rwkv7(words);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The error of a call that fails.
fn error(words: &[&str]) -> String {
    let output = rwkv7(words);
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_prompt_is_continued_and_times_go_to_stderr() {
    let model = model();
    let model = model.to_str().unwrap();
    let words = ["generate", model, "--prompt", "copy hwzkq > ", "--length", "5", "--threads", "2"];
    let output = rwkv7(&words);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "hwzkq\n");
    let summary = String::from_utf8(output.stderr).unwrap();
    assert!(summary.contains("prompt      13 tokens") && summary.contains("generation  5 tokens"), "{summary}");

    let by_numbers = "99,111,112,121,32,104,119,122,107,113,32,62,32";
    assert_eq!(stdout(&["generate", model, "--tokens", by_numbers, "--length", "5"]), "hwzkq\n");
    let sampled = |seed| {
        let words = ["generate", model, "--prompt", "the ", "--temperature", "2", "--length", "40", "--seed", seed];
        rwkv7(&words).stdout
    };
    assert_eq!(sampled("1"), sampled("1"));
    assert_ne!(sampled("1"), sampled("2"));
}

#[test]
fn a_gpu_answers_what_the_cpu_answers() {
    let model = model();
    let model = model.to_str().unwrap();
    let words = ["generate", model, "--prompt", "copy hwzkq > ", "--length", "5", "--device", "wgpu"];
    let output = rwkv7(&words);
    let said = String::from_utf8(output.stderr).unwrap();
    if !output.status.success() {
        let is_required = std::env::var("ASSAY_REQUIRE").is_ok_and(|list| list.split(',').any(|x| x == "wgpu"));
        assert!(said.contains("no GPU can be used") && !is_required, "{said}");
        std::io::Write::write_all(&mut std::io::stderr(), format!("\nSKIPPED: {said}\n").as_bytes()).unwrap();
        return;
    }
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "hwzkq\n");
    assert!(said.contains("device      ") && said.contains("generation  5 tokens"), "{said}");
    let surprise = |device| -> f64 {
        let text = "the small dogs see a red bird.";
        let said = stdout(&["perplexity", model, "--prompt", text, "--device", device]);
        said.lines().nth(1).unwrap().split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let (cpu, gpu) = (surprise("cpu"), surprise("wgpu"));
    assert!((cpu - gpu).abs() < 0.01 * cpu, "{cpu} {gpu}");
}

#[test]
fn dimensions_and_perplexity_are_told() {
    let model = model();
    let model = model.to_str().unwrap();
    let info: serde_json::Value = serde_json::from_str(&stdout(&["info", model, "--json"])).unwrap();
    assert_eq!((info["layers"].as_u64(), info["vocabulary"].as_u64()), (Some(4), Some(256)));
    assert!(stdout(&["info", model]).contains("256 in 4 heads of 64"));
    let perplexity = |text: &str| -> f64 {
        let said = stdout(&["perplexity", model, "--prompt", text, "--chunk", "7"]);
        said.lines().last().unwrap().split_whitespace().last().unwrap().parse().unwrap()
    };
    let (known, unknown) = (perplexity("copy hwzkq > hwzkq\n"), perplexity("Call me Ishmael. So"));
    assert!(known * 2.0 < unknown, "{known} {unknown}");
}

#[test]
fn logits_become_an_array_and_a_quantized_model_is_not_quantized_again() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("logits.npy");
    let (model, out) = (model(), out.to_str().unwrap().to_owned());
    let model = model.to_str().unwrap();
    stdout(&["logits", model, "--prompt", "sum 1+2 = ", "--out", &out]);
    let bytes = std::fs::read(&out).unwrap();
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = String::from_utf8_lossy(&bytes[10..header]);
    assert!(text.contains("(10, 256,)") && text.contains("'fortran_order': False"), "{text}");
    assert_eq!(bytes.len() - header, 10 * 256 * 4);

    let other = directory.path().join("other.gguf");
    let said = error(&["quantize", model, other.to_str().unwrap(), "--type", "q8_0"]);
    assert!(said.contains("start from the model of f16 or f32"), "{said}");
    assert!(!other.exists());
}

#[test]
fn what_cannot_run_is_refused_with_what_to_do() {
    let model = model();
    let model = model.to_str().unwrap();
    assert!(error(&["generate", model, "--prompt", ""]).contains("at least one token"));
    assert!(error(&["generate", model, "--tokens", "300"]).contains("token 300"));
    assert!(error(&["generate", model, "--prompt", "a", "--top-p", "2"]).contains("--top-p"));
    assert!(error(&["perplexity", model, "--prompt", "a"]).contains("one token"));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("synth.gguf");
    let path = path.to_str().unwrap();
    let synth = ["gguf", "synth", "rwkv7", "--size", "tiny", "--vocabulary", "bytes", "--type", "F16", path];
    assert!(Command::new(env!("CARGO_BIN_EXE_assay")).args(synth).status().unwrap().success());
    assert!(error(&["quantize", path, path]).contains("is the model itself"));
    let quantized = directory.path().join("quantized.gguf");
    let quantized = quantized.to_str().unwrap();
    stdout(&["quantize", path, quantized]);
    let info: serde_json::Value = serde_json::from_str(&stdout(&["info", quantized, "--json"])).unwrap();
    assert_eq!(info["converted_bytes"].as_u64(), Some(0));
    std::fs::write(path, b"GGUF").unwrap();
    assert!(error(&["info", path]).contains("synth.gguf"));
}

/// Runs a cell of the scenario on the user's own model; the record, or the error.
fn own_cell(directory: &Path, phase: &str) -> Result<record::CellRecord, String> {
    let cell = format!("model=own,device=cpu,phase={phase},threads=2");
    let mut assay = Command::new(env!("CARGO_BIN_EXE_assay"));
    assay.args(["cell", "rwkv7", &cell, "--out", "record.json"]).current_dir(directory);
    let output = assay
        .env("ASSAY_OWN_PATH", directory.join("own.gguf"))
        .env("XDG_CACHE_HOME", directory.join("cache"))
        .output()
        .unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(serde_json::from_slice(&std::fs::read(directory.join("record.json")).unwrap()).unwrap())
}

#[test]
fn the_scenario_proves_a_model_of_the_user_against_golden_logits_that_it_keeps() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    assert!(own_cell(here, "prefill-128").unwrap_err().contains("own.gguf"));
    let mut synth = Command::new(env!("CARGO_BIN_EXE_assay"));
    synth.args(["gguf", "synth", "rwkv7", "--size", "tiny", "--vocabulary", "bytes", "own.gguf"]);
    assert!(synth.current_dir(here).output().unwrap().status.success());

    for phase in ["load-warm", "prefill-128", "prefill-512", "generate-64"] {
        let record = own_cell(here, phase).unwrap_or_else(|error| panic!("{phase}: {error}"));
        let proof = record.proof.as_ref().unwrap();
        assert!(proof.error.unwrap() > 0.0 && record.cost().is_some() && record.ran["layers"] == "2", "{record:?}");
        assert_eq!(proof.output_hash.as_ref(), record.ran.get("quality_hash"));
    }
    let kept: Vec<PathBuf> =
        std::fs::read_dir(here.join("cache/assay/goldens")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(kept.len(), 1, "one file, one golden");

    // Other golden logits are what broken code looks like.
    let golden = std::fs::read(&kept[0]).unwrap();
    let mut other = golden.clone();
    other[golden.len() / 2..].reverse();
    std::fs::write(&kept[0], &other).unwrap();
    let error = own_cell(here, "generate-64").unwrap_err();
    assert!(error.contains("wrong output") || error.contains("not finite"), "{error}");
    // Half a file is made again.
    std::fs::write(&kept[0], &golden[..golden.len() / 2]).unwrap();
    own_cell(here, "generate-64").unwrap();
    assert_eq!(std::fs::read(&kept[0]).unwrap(), golden);
}
