//! Compares llama.cpp's verdict on hostile files with ours: `verdicts ASSAY SCRATCH`, on the files of
//! `assay gguf corpus` and on mutations of them.
//!
//! A file counts as accepted if `gguf_init_from_file` takes it and the data of every tensor lie within the file, which
//! is what the model loader requires next. The last line of output has the counts that `cargo xtask agree` reads.

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::CString;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use llama_cpp_sys_2 as sys;
use serde_json::{Value, json};

/// Files mutated from the corpus.
const MUTATED: &str = "100000";
/// A known reason for which llama.cpp accepts a file that must be refused.
const ROW_WRAPS: &str = "the numbers of a row times the bytes of a block wrap";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().collect();
    let [_, assay, scratch] = &arguments[..] else {
        eprintln!("usage: verdicts ASSAY SCRATCH");
        return ExitCode::from(2);
    };
    match compared(assay, Path::new(scratch)) {
        Ok(counts) => {
            println!("{counts}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// llama.cpp's verdict on a file.
struct Verdict {
    is_accepted: bool,
    /// The known reason, if one applies.
    cause: Option<&'static str>,
}

/// Verdicts of one kind.
#[derive(Default)]
struct Topic {
    agreed: u64,
    differed: Vec<Value>,
}

fn compared(assay: &str, scratch: &Path) -> Result<Value, Box<dyn Error>> {
    let made = Command::new(assay).args(["gguf", "corpus", "--mutated", MUTATED]).arg(scratch).output()?;
    if !made.status.success() {
        return Err(format!("no corpus: {}", String::from_utf8_lossy(&made.stderr)).into());
    }
    let index: Vec<Value> = serde_json::from_slice(&fs::read(scratch.join("index.json"))?)?;
    let mut topics = BTreeMap::<&str, Topic>::new();
    for case in &index {
        let name = case["name"].as_str().ok_or("a case without a name")?;
        let theirs = verdict(&scratch.join(format!("{name}.gguf")))?;
        let is_ours = case["verdict"] == "accepted";
        let what = match (name.starts_with("mutated-"), is_ours) {
            (true, true) => "mutated files that ours accepts",
            (true, false) => "mutated files that ours refuses",
            (false, true) => "hostile files that ours accepts",
            (false, false) => "hostile files that ours refuses",
        };
        let topic = topics.entry(what).or_default();
        if is_ours == theirs.is_accepted {
            topic.agreed += 1;
            continue;
        }
        let word = if theirs.is_accepted { "accepts" } else { "refuses" };
        let rule = case["rule"].as_str().unwrap_or("no rule");
        let cause = theirs.cause.map_or(String::new(), |cause| format!("; {cause}"));
        topic.differed.push(json!({"name": name, "how": format!("llama.cpp {word} it, ours says {rule}{cause}")}));
    }
    let topics: Vec<_> = topics
        .into_iter()
        .map(|(what, topic)| json!({"what": what, "agreed": topic.agreed, "differed": topic.differed}))
        .collect();
    Ok(json!({"versions": "llama-cpp-sys-2 0.1.161", "topics": topics}))
}

fn verdict(path: &Path) -> Result<Verdict, Box<dyn Error>> {
    let length = fs::metadata(path)?.len();
    let name = CString::new(path.to_string_lossy().as_bytes())?;
    let params = sys::gguf_init_params { no_alloc: true, ctx: std::ptr::null_mut() };
    // SAFETY: the name ends with a NUL; the context is used while it lives, with indices below its count.
    unsafe {
        let file = sys::gguf_init_from_file(name.as_ptr(), params);
        if file.is_null() {
            return Ok(Verdict { is_accepted: false, cause: None });
        }
        let data = sys::gguf_get_data_offset(file) as u64;
        let is_inside = |i: i64| {
            let start = data.checked_add(sys::gguf_get_tensor_offset(file, i) as u64);
            let end = start.and_then(|start| start.checked_add(sys::gguf_get_tensor_size(file, i) as u64));
            end.is_some_and(|end| end <= length)
        };
        let wraps = |i: i64| {
            let row = *sys::gguf_get_tensor_ne(file, i) as u64;
            row.checked_mul(sys::ggml_type_size(sys::gguf_get_tensor_type(file, i)) as u64).is_none()
        };
        let tensors = 0..sys::gguf_get_n_tensors(file);
        let is_accepted = tensors.clone().all(is_inside);
        let cause = tensors.into_iter().any(wraps).then_some(ROW_WRAPS);
        sys::gguf_free(file);
        Ok(Verdict { is_accepted, cause })
    }
}
