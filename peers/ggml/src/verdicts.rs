//! What llama.cpp says to hostile files: `verdicts DIRECTORY`, with the files and the `index.json` of `assay gguf corpus DIRECTORY`.
//!
//! A file counts as accepted if `gguf_init_from_file` takes it and the data of every tensor lie within the file, which is what
//! the model loader asks for next. Exit code 1 if it disagrees on a file that is not listed below.

use std::ffi::CString;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use llama_cpp_sys_2 as sys;
use serde_json::Value;

/// Files that llama.cpp judges otherwise, and why.
const DIFFERENCES: &[(&str, &str)] = &[];

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

/// Whether there is no difference but the listed ones.
fn compare(directory: &Path) -> Result<bool, Box<dyn std::error::Error>> {
    let index: Vec<Value> = serde_json::from_slice(&fs::read(directory.join("index.json"))?)?;
    let (mut agreed, mut listed, mut unlisted) = (0, 0, 0);
    for case in &index {
        let name = case["name"].as_str().ok_or("a case without a name")?;
        let path = directory.join(format!("{name}.gguf"));
        let (ours, theirs) = (case["verdict"] == "accepted", is_accepted(&path)?);
        if ours == theirs {
            agreed += 1;
            continue;
        }
        let word = |accepted| if accepted { "accepts" } else { "refuses" };
        match DIFFERENCES.iter().find(|(known, _)| *known == name) {
            Some((_, why)) => {
                listed += 1;
                println!("{name}: llama.cpp {} it, assay {} it: {why}", word(theirs), word(ours));
            }
            None => {
                unlisted += 1;
                println!("{name}: llama.cpp {} it, assay {} it; NOT LISTED", word(theirs), word(ours));
            }
        }
    }
    println!("{agreed} of {} files agreed, {listed} listed differences, {unlisted} others", index.len());
    Ok(unlisted == 0)
}

fn is_accepted(path: &Path) -> Result<bool, Box<dyn std::error::Error>> {
    let length = fs::metadata(path)?.len();
    let name = CString::new(path.to_string_lossy().as_bytes())?;
    let params = sys::gguf_init_params { no_alloc: true, ctx: std::ptr::null_mut() };
    // SAFETY: the name ends with a NUL; the context is used while it lives, with indices below its count.
    unsafe {
        let file = sys::gguf_init_from_file(name.as_ptr(), params);
        if file.is_null() {
            return Ok(false);
        }
        let data = sys::gguf_get_data_offset(file) as u64;
        let is_inside = |i: i64| {
            let start = data.checked_add(sys::gguf_get_tensor_offset(file, i) as u64);
            let end = start.and_then(|start| start.checked_add(sys::gguf_get_tensor_size(file, i) as u64));
            end.is_some_and(|end| end <= length)
        };
        let all = (0..sys::gguf_get_n_tensors(file)).all(is_inside);
        sys::gguf_free(file);
        Ok(all)
    }
}
