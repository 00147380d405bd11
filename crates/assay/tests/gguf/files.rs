//! What `assay gguf` reads and writes: kinds of files, modes, interruptions.

use std::{fs, path::PathBuf, process::Command};

use super::{assay, corpus, json, stderr, synth};

/// Mapping needs a file: everything else is refused at once, and a pipe is not waited for.
#[cfg(unix)]
#[test]
fn only_regular_files_are_opened() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe.gguf");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let cases = [
        ("-", "standard input"),
        (pipe.to_str().unwrap(), "a pipe"),
        (directory.path().to_str().unwrap(), "a directory"),
        ("/dev/null", "a device"),
    ];
    for (path, found) in cases {
        for command in ["check", "info", "tensors"] {
            let output = assay(&[command, path]);
            assert_eq!(output.status.code(), Some(1), "{command} {path}");
            let expected = format!("{path} is {found}: mapping needs a regular file");
            assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
            let values = json(&[command, "--json", path]);
            assert_eq!((&values["rule"], &values["found"]), (&"NotRegular".into(), &found.into()));
        }
    }
}

/// A replaced file keeps its mode; an error names neither a temporary file nor the path twice.
#[cfg(unix)]
#[test]
fn replaced_files_keep_their_mode() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let (path, _) = synth(directory.path(), &[]);
    let index = directory.path().join("corpus").join("index.json");
    corpus(index.parent().unwrap(), "index.json");
    for path in [&path, &index] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    synth(directory.path(), &[]);
    corpus(index.parent().unwrap(), "index.json");
    for path in [&path, &index] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    let missing = directory.path().join("none").join("a.gguf");
    let output = assay(&["synth", "rwkv7", "--size", "tiny", "--vocabulary", "bytes", missing.to_str().unwrap()]);
    let message = stderr(&output);
    assert_eq!((output.status.code(), message.matches("a.gguf").count()), (Some(1), 1), "{message}");
    assert!(!message.contains(".gguf-"), "{message}");
}

/// A signal in the middle of the work leaves nothing.
#[cfg(target_os = "linux")]
#[test]
fn an_interrupted_model_leaves_no_file() {
    for signal in ["-INT", "-TERM", "-KILL"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("large.gguf");
        let arguments = ["gguf", "synth", "rwkv7", "--size", "7.2b", "--vocabulary", "bytes", path.to_str().unwrap()];
        let mut child = Command::new(env!("CARGO_BIN_EXE_assay")).args(arguments).spawn().unwrap();
        // Until it has opened a file of the directory, which has no name yet.
        let opened = |pid: u32| {
            let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
            links.filter_map(|link| fs::read_link(link.path()).ok()).any(|target| target.starts_with(directory.path()))
        };
        while !opened(child.id()) {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it was interrupted");
            std::thread::yield_now();
        }
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        assert!(!child.wait().unwrap().success());
        let left: Vec<_> = fs::read_dir(directory.path()).unwrap().flatten().map(|entry| entry.path()).collect();
        assert_eq!(left, [] as [PathBuf; 0], "{signal}");
    }
}
