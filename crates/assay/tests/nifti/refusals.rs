//! What is no volume: each refusal names the file once and says what it is.

use std::{
    fs,
    io::Write,
    process::{Command, Output, Stdio},
};

use super::{assay, done, refused};

/// A gzip member of one stored block; nobody gets as far as its checksum.
fn gzip(content: &[u8]) -> Vec<u8> {
    let length = content.len() as u16;
    let mut packed = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01".to_vec();
    packed.extend(length.to_le_bytes());
    packed.extend((!length).to_le_bytes());
    packed.extend(content);
    packed
}

#[test]
fn a_file_that_is_something_else_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let dicom = [&[0; 128][..], b"DICM", &[0; 600]].concat();
    for (name, content, text) in [
        ("lfs.nii.gz", &b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n"[..], "a Git LFS pointer"),
        ("page.nii.gz", b"<!DOCTYPE html><html>404</html>", "an HTML page"),
        ("key.nii.gz", b"/annex/objects/MD5E-s12345--ab.nii.gz\n", "a git-annex pointer"),
        ("d.nii", &dicom, "a DICOM file"),
        ("z.nii.gz", b"PK\x03\x04....", "a ZIP archive"),
        ("b.nii", b"BZh91AY&SY", "a bzip2 file"),
        ("twice.nii.gz", &gzip(&gzip(b"\x5c\x01\0\0")), "a gzip file inside a gzip file"),
        ("m.mgz", &gzip(b"\0\0\0\x01\0\0\0\x10"), "an MGH volume (FreeSurfer) inside a gzip file"),
        ("model.nii", b"GGUF\x03\0\0\0", "a GGUF file"),
        ("e.nii", b"", "an empty file"),
    ] {
        fs::write(at.join(name), content).unwrap();
        for command in [&["info", name][..], &["check", name], &["stats", name], &["convert", name, "out.npy"]] {
            let error = refused(command, at, 1);
            assert!(error.starts_with(&format!("error: {name}: this is {text}")), "{error}");
            assert_eq!(error.matches(name).count(), 1, "{error}");
        }
    }
    fs::write(at.join("a.img"), [0, 1].repeat(500)).unwrap();
    let error = refused(&["info", "a.img"], at, 1);
    assert_eq!(error, "error: a.img: no header file beside the image; looked for a.hdr\n");
    fs::write(at.join("text.nii"), "some words, and more words".repeat(20)).unwrap();
    let error = refused(&["info", "text.nii"], at, 1);
    assert!(error.starts_with("error: text.nii: the file begins with \"some\"; need sizeof_hdr 348"), "{error}");
}

#[test]
fn a_missing_file_is_named_once_with_one_cause() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    done(&["phantom", "tiny", "t.nii"], at);
    let missing = |name: &str| format!("error: {name}: No such file or directory (os error 2)\n");
    assert_eq!(refused(&["info", "gone.nii"], at, 1), missing("gone.nii"));
    assert_eq!(refused(&["patch", "gone.nii", "--region=:", "--out=p.npy"], at, 1), missing("gone.nii"));
    // Not the temporary name either.
    assert_eq!(refused(&["convert", "t.nii", "nowhere/out.nii"], at, 1), missing("nowhere/out.nii"));
    assert_eq!(refused(&["convert", "t.nii", "nowhere/out.npy"], at, 1), missing("nowhere/out.npy"));
    assert_eq!(refused(&["index", "gone.nii.gz"], at, 1), missing("gone.nii.gz"));
    done(&["phantom", "tiny", "t.nii.gz"], at);
    let import = ["index", "t.nii.gz", "--import=gone.gzidx"];
    assert_eq!(refused(&import, at, 1), missing("gone.gzidx"));
    let index = ["patch", "t.nii.gz", "--region=:", "--out=p.npy", "--index=gone.gzx"];
    assert_eq!(refused(&index, at, 1), missing("gone.gzx"));
}

#[test]
fn a_number_in_an_error_is_short() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    done(&["phantom", "tiny", "t.nii", "--nifti2"], at);
    let mut file = fs::read(at.join("t.nii")).unwrap();
    file[176..184].copy_from_slice(&1e300_f64.to_le_bytes());
    file[184..192].copy_from_slice(&f64::NAN.to_le_bytes());
    fs::write(at.join("t.nii"), file).unwrap();
    let error = refused(&["info", "t.nii"], at, 1);
    assert!(error.contains("scl_inter at byte 184 is NaN while scl_slope is 1e300;"), "{error}");
}

/// One error for each file, then how many: none hides another.
#[test]
fn every_file_that_fails_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    done(&["phantom", "tiny", "t.nii"], at);
    fs::write(at.join("e.nii"), "").unwrap();
    let both = assay(&["info", "gone.nii", "t.nii", "e.nii"], at);
    assert_eq!(both.status.code(), Some(1));
    let errors = String::from_utf8(both.stderr).unwrap();
    let lines: Vec<&str> = errors.lines().collect();
    assert!(lines[0].starts_with("error: gone.nii: "), "{errors}");
    assert!(lines[1].starts_with("error: e.nii: this is an empty file"), "{errors}");
    assert_eq!(lines[2..], ["error: 2 of 3 files failed"]);
    assert!(String::from_utf8(both.stdout).unwrap().starts_with("t.nii\n"));
}

#[test]
#[cfg(unix)]
fn what_is_no_regular_file_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    assert!(Command::new("mkfifo").arg(at.join("p.nii")).status().unwrap().success());
    fs::create_dir(at.join("d.nii")).unwrap();
    for (name, kind) in [("p.nii", "a pipe"), ("d.nii", "a directory"), ("/dev/zero", "a device")] {
        let expected = format!("error: {name} is {kind}, not a regular file");
        for command in [&["info", name][..], &["check", name], &["convert", name, "out.npy"]] {
            let error = refused(command, at, 1);
            assert!(error.starts_with(&expected), "{error}");
        }
    }
    assert!(refused(&["info", "p.nii"], at, 1).contains("`-`"));
    // A link whose content git-annex has not fetched.
    std::os::unix::fs::symlink(".git/annex/objects/Xv/1/MD5E-s1--ab.nii.gz", at.join("l.nii.gz")).unwrap();
    let error = refused(&["info", "l.nii.gz"], at, 1);
    assert!(error.starts_with("error: l.nii.gz: this is a git-annex link without its content"), "{error}");
}

/// `assay nifti`, with `content` on a pipe to its stdin.
fn piped(arguments: &[&str], content: &[u8], directory: &std::path::Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_assay"));
    command.arg("nifti").args(arguments).current_dir(directory);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that refuses early closes its end.
    let _ = stdin.write_all(content);
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[test]
fn a_dash_reads_stdin() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    done(&["phantom", "ct", "t.nii.gz", "--shape=30,20,10"], at);
    done(&["convert", "t.nii.gz", "named.nii"], at);
    let packed = fs::read(at.join("t.nii.gz")).unwrap();
    for command in ["info", "check", "stats"] {
        let by_name = done(&[command, "t.nii.gz"], at).replace("t.nii.gz", "stdin");
        let by_pipe = piped(&[command, "-"], &packed, at);
        assert_eq!(String::from_utf8(by_pipe.stdout).unwrap(), by_name, "{:?}", by_pipe.stderr);
    }
    assert!(piped(&["convert", "-", "piped.nii"], &packed, at).status.success());
    assert_eq!(fs::read(at.join("piped.nii")).unwrap(), fs::read(at.join("named.nii")).unwrap());
    assert!(piped(&["patch", "-", "--region=2:9,:,3:4", "--out=piped.npy"], &packed, at).status.success());
    done(&["patch", "t.nii.gz", "--region=2:9,:,3:4", "--out=named.npy"], at);
    assert_eq!(fs::read(at.join("piped.npy")).unwrap(), fs::read(at.join("named.npy")).unwrap());
    // A file that is redirected is not copied, and read from its beginning.
    let file = fs::File::open(at.join("t.nii.gz")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_assay"));
    let redirected = command.args(["nifti", "stats", "-"]).stdin(file).output().unwrap();
    assert_eq!(
        String::from_utf8(redirected.stdout).unwrap(),
        done(&["stats", "t.nii.gz"], at).replace("t.nii.gz", "stdin")
    );
    let error = |content: &[u8]| String::from_utf8(piped(&["info", "-"], content, at).stderr).unwrap();
    assert!(error(b"").starts_with("error: stdin: this is an empty file"));
    assert!(error(b"BZh91AY&SY").starts_with("error: stdin: this is a bzip2 file"));
    assert!(error(&packed[..20]).starts_with("error: stdin: "));
}
