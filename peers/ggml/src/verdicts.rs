//! What llama.cpp says to hostile files: `verdicts DIRECTORY`, with the files and the `index.json` of `assay gguf corpus DIRECTORY`.
//!
//! A file counts as accepted if `gguf_init_from_file` takes it and the data of every tensor lie within the file, which is what
//! the model loader asks for next. Exit code 1 if it disagrees on a file for a reason that is not listed below.

use std::ffi::CString;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use llama_cpp_sys_2 as sys;
use serde_json::Value;

/// The reason for which llama.cpp accepts what has to be refused.
const ROW_WRAPS: &str =
    "ggml_nbytes multiplies the numbers of a row by the bytes of a block before it divides, and the product wraps";

fn main() -> ExitCode {
    let Some(directory) = std::env::args().nth(1) else {
        eprintln!("usage: verdicts DIRECTORY");
        return ExitCode::from(2);
    };
    match compare(Path::new(&directory)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What llama.cpp makes of a file.
struct Verdict {
    is_accepted: bool,
    /// A known reason to judge otherwise.
    reason: Option<&'static str>,
}

/// Whether there is no difference but those with a reason.
fn compare(directory: &Path) -> Result<bool, Box<dyn std::error::Error>> {
    let index: Vec<Value> = serde_json::from_slice(&fs::read(directory.join("index.json"))?)?;
    let (mut agreed, mut known, mut unknown) = (0, 0, 0);
    for case in &index {
        let name = case["name"].as_str().ok_or("a case without a name")?;
        let theirs = verdict(&directory.join(format!("{name}.gguf")))?;
        let is_ours = case["verdict"] == "accepted";
        if is_ours == theirs.is_accepted {
            agreed += 1;
            continue;
        }
        let word = |is_accepted| if is_accepted { "accepts" } else { "refuses" };
        known += usize::from(theirs.reason.is_some());
        unknown += usize::from(theirs.reason.is_none());
        let reason = theirs.reason.unwrap_or("NOT EXPLAINED");
        println!("{name}: llama.cpp {} it, assay {} it: {reason}", word(theirs.is_accepted), word(is_ours));
    }
    println!("{agreed} of {} files agreed, {known} differ for a known reason, {unknown} for another", index.len());
    Ok(unknown == 0)
}

fn verdict(path: &Path) -> Result<Verdict, Box<dyn std::error::Error>> {
    let length = fs::metadata(path)?.len();
    let name = CString::new(path.to_string_lossy().as_bytes())?;
    let params = sys::gguf_init_params { no_alloc: true, ctx: std::ptr::null_mut() };
    // SAFETY: the name ends with a NUL; the context is used while it lives, with indices below its count.
    unsafe {
        let file = sys::gguf_init_from_file(name.as_ptr(), params);
        if file.is_null() {
            return Ok(Verdict { is_accepted: false, reason: None });
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
        let reason = tensors.into_iter().any(wraps).then_some(ROW_WRAPS);
        sys::gguf_free(file);
        Ok(Verdict { is_accepted, reason })
    }
}
