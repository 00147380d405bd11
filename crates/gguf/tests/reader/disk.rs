//! Files on disk: read, mapped, truncated, replaced.

use std::{fs, io, path::Path};

use gguf::{
    DataError, File, Options, Value, Writer,
    file::{OpenError, Residency, evict},
};
use op::Threads;
use quant::GgmlType;

/// 3 MiB of data: with the header, not a multiple of the page size.
const ELEMENTS: u64 = 3 << 20;

fn written(path: &Path) {
    let mut writer = Writer::new();
    writer.key("general.architecture", Value::from("test"));
    writer.tensor("t", &[ELEMENTS], GgmlType::I8);
    writer.create(path, |_, out| io::copy(&mut io::Read::take(io::repeat(7), ELEMENTS), out).map(drop)).unwrap();
}

fn mapped(path: &Path) -> File {
    // SAFETY: no test reads the data of a file that it has truncated: `File::data` returns an error first.
    unsafe { File::map(path, Options::default()) }.unwrap()
}

#[test]
fn read_and_mapped_files_have_the_same_contents() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.gguf");
    written(&path);
    let (owned, mapped) = (File::read(&path, Options::default()).unwrap(), mapped(&path));
    assert_eq!((owned.is_mapped(), mapped.is_mapped()), (false, true));
    for file in [&owned, &mapped] {
        let tensor = file.tensor("t").unwrap();
        assert_eq!(file.metadata().get("general.architecture").unwrap().as_str(), Some("test"));
        assert!(file.data(&tensor).unwrap().iter().all(|&byte| byte == 7));
        let paged = file.page_in(Threads::new(2).unwrap()).unwrap();
        assert_eq!(paged.bytes, if file.is_mapped() { file.bytes().len() as u64 } else { 0 });
        let residency = file.residency().unwrap();
        assert_eq!((residency.bytes, residency.share()), (file.bytes().len() as u64, 1.0));
    }
}

#[test]
fn errors_of_opening_name_the_file_and_the_cause() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none.gguf");
    for open in [
        |path: &Path| File::read(path, Options::default()),
        |path: &Path| {
            // SAFETY: the test writes to the file only while it is not open.
            unsafe { File::map(path, Options::default()) }
        },
    ] {
        fs::remove_file(&path).ok();
        let Err(OpenError::Io { path: named, source }) = open(&path) else { panic!("opened") };
        assert_eq!((named, source.kind()), (path.clone(), io::ErrorKind::NotFound));
        for (bytes, text) in
            [(&b""[..], "magic at byte 0 needs 4 bytes"), (b"GGUFGGUF", "version 1179993927 is not supported")]
        {
            fs::write(&path, bytes).unwrap();
            let Err(OpenError::Refused { source, .. }) = open(&path) else { panic!("opened") };
            assert!(source.to_string().contains(text), "{source}");
        }
    }
}

/// After a mapped file is truncated, reading its data returns an error instead of a slice.
#[test]
fn a_truncated_file_is_an_error_and_not_a_signal() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.gguf");
    written(&path);
    let file = mapped(&path);
    let tensor = file.tensor("t").unwrap();
    let need = file.bytes().len() as u64;
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(8192).unwrap();
    assert_eq!(file.data(&tensor), Err(DataError::Shrunk { got: 8192, need }));
    assert_eq!(file.page_in(Threads::SERIAL).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(file.tensor("t"), Some(tensor), "the header is still mapped");
}

/// Replacing a file does not affect a mapping of the old one.
#[test]
fn a_mapped_file_can_be_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.gguf");
    written(&path);
    let file = mapped(&path);
    let mut writer = Writer::new();
    writer.tensor("other", &[1], GgmlType::I8);
    writer.create(&path, |_, out| out.write_all(&[1])).unwrap();
    assert!(file.data(&file.tensor("t").unwrap()).unwrap().iter().all(|&byte| byte == 7));
    assert!(mapped(&path).tensor("other").is_some());
    // A write that fails leaves the old file and no other one.
    let failed = writer.create(&path, |_, _| Err(io::Error::other("no more")));
    assert!(failed.is_err() && mapped(&path).tensor("other").is_some());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn residency_is_within_the_file_after_eviction() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.gguf");
    written(&path);
    // Whether pages are dropped depends on the file system.
    if evict(&path).is_ok() {
        let residency = mapped(&path).residency().unwrap();
        assert!(residency.resident_bytes <= residency.bytes && (0.0..=1.0).contains(&residency.share()));
        assert_eq!(Residency::of(&path).unwrap().bytes, residency.bytes);
    }
}

/// Opening a pipe would wait for a writer, and mapping a directory would fail with a vague message.
#[cfg(unix)]
#[test]
fn only_regular_files_are_mapped() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let paths = [(directory.path(), "a directory"), (&socket, "a socket"), (Path::new("/dev/null"), "a device")];
    for (path, name) in paths {
        // SAFETY: a path that is not a regular file is not mapped.
        let error = unsafe { File::map(path, Options::default()) }.unwrap_err();
        assert!(matches!(error, OpenError::NotRegular { found, .. } if found == name), "{error}");
        assert!(error.to_string().contains(&format!("{} is {name}", path.display())), "{error}");
    }
}
