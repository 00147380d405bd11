//! What a written file takes the place of, and what an interrupted command leaves.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, symlink},
        process::ExitStatusExt,
    },
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use super::{done, refused};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_replaced_file_keeps_its_mode_and_a_link_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    done(&["phantom", "tiny", "a.nii"], at);
    for name in ["b.nii", "b.nii.gz", "b.hdr", "b.img", "b.npy"] {
        fs::write(at.join(name), "").unwrap();
        fs::set_permissions(at.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    for name in ["b.nii", "b.nii.gz", "b.hdr", "b.npy"] {
        done(&["convert", "a.nii", name], at);
    }
    for name in ["b.nii", "b.nii.gz", "b.hdr", "b.img", "b.npy"] {
        assert!(fs::metadata(at.join(name)).unwrap().len() > 0);
        assert_eq!(mode(&at.join(name)), 0o600, "{name}");
    }
    fs::write(at.join("object"), "what the link points to").unwrap();
    symlink("object", at.join("link.nii")).unwrap();
    done(&["convert", "a.nii", "link.nii"], at);
    assert!(!at.join("link.nii").is_symlink());
    assert_eq!(fs::read(at.join("object")).unwrap(), b"what the link points to");
    fs::create_dir(at.join("d.nii")).unwrap();
    let error = refused(&["convert", "a.nii", "d.nii"], at, 1);
    assert_eq!(error, "error: d.nii is a directory, not a regular file\n");
}

/// Starts to write a volume that takes seconds, and returns once its new file is there: under a temporary name, or open
/// without one.
fn writing(at: &Path, ignored: Option<&str>) -> Child {
    let mut command = Command::new(ignored.unwrap_or(env!("CARGO_BIN_EXE_assay")));
    if ignored.is_some() {
        command.arg(env!("CARGO_BIN_EXE_assay"));
    }
    let arguments = ["nifti", "phantom", "brain", "p.nii.gz", "--level=9"];
    command.args(arguments).current_dir(at).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let before = names(at).len();
    while names(at).len() == before && !has_open_below(&child, at) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it wrote");
        sleep(Duration::from_millis(2));
    }
    child
}

/// Whether a process has a file open in a directory, which only Linux tells.
fn has_open_below(child: &Child, at: &Path) -> bool {
    let files = fs::read_dir(format!("/proc/{}/fd", child.id())).into_iter().flatten().flatten();
    let at = at.canonicalize().unwrap();
    files.filter_map(|file| fs::read_link(file.path()).ok()).any(|file| file.starts_with(&at))
}

fn names(at: &Path) -> Vec<String> {
    fs::read_dir(at).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn send(child: &Child, signal: &str) {
    assert!(Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap().success());
}

/// Whether this process, and so its children, ignore a signal: a shell that starts tests in the background ignores
/// SIGINT.
fn is_ignored(number: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| (mask >> (number - 1)) & 1 == 1)
}

#[test]
fn a_signal_leaves_nothing() {
    for (signal, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        if is_ignored(number) {
            continue;
        }
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let mut child = writing(at, None);
        send(&child, signal);
        assert_eq!(child.wait().unwrap().signal(), Some(number));
        assert_eq!(names(at), [] as [&str; 0], "{signal}");
    }
}

#[test]
fn a_signal_that_the_parent_ignores_is_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let mut child = writing(at, Some("nohup"));
    send(&child, "HUP");
    assert!(child.wait().unwrap().success());
    assert_eq!(names(at), ["p.nii.gz"]);
}

/// What a killed command leaves, if its file system has no unnamed files, goes with the next write beside it.
#[test]
fn a_kill_leaves_nothing_for_long() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    fs::write(at.join("p.nii.gz"), "old").unwrap();
    let mut child = writing(at, None);
    send(&child, "KILL");
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert_eq!(fs::read(at.join("p.nii.gz")).unwrap(), b"old");
    fs::write(at.join(".unfinished-1-0"), "left by another one").unwrap();
    for _ in 0..2 {
        done(&["phantom", "tiny", "a.nii"], at);
    }
    let mut names = names(at);
    names.sort();
    assert_eq!(names, ["a.nii", "p.nii.gz"]);
}
