//! Files on disk: read, mapped, shortened, written whole or not at all.

use std::{fs, io, num::NonZeroUsize, path::Path};

use gguf::{
    Error, File, Options, Value, Writer,
    file::{OpenError, evict},
};
use quant::GgmlType;

/// 3 MiB of data: many pages, and no whole number of them.
const ELEMENTS: u64 = 3 << 20;

fn written(path: &Path) {
    let mut writer = Writer::new();
    writer.key("general.architecture", Value::from("test"));
    writer.tensor("t", &[ELEMENTS], GgmlType::I8);
    writer.create(path, |_, out| io::copy(&mut io::Read::take(io::repeat(7), ELEMENTS), out).map(drop)).unwrap();
}

fn mapped(path: &Path) -> File {
    // SAFETY: the tests below change the file only where that is what they test, and touch no page behind its end.
    unsafe { File::map(path, Options::default()) }.unwrap()
}

#[test]
fn reading_and_mapping_show_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.gguf");
    written(&path);
    let (owned, mapped) = (File::read(&path, Options::default()).unwrap(), mapped(&path));
    assert_eq!((owned.is_mapped(), mapped.is_mapped()), (false, true));
    for file in [&owned, &mapped] {
        let tensor = file.tensor("t").unwrap();
        assert_eq!(file.metadata().get("general.architecture").unwrap().as_str(), Some("test"));
        assert!(file.data(&tensor).unwrap().iter().all(|&byte| byte == 7));
        let paged = file.page_in(NonZeroUsize::new(2).unwrap()).unwrap();
        assert_eq!(paged.bytes, if file.is_mapped() { file.bytes().len() as u64 } else { 0 });
        let residency = file.residency().unwrap();
        assert_eq!((residency.bytes, residency.share()), (file.bytes().len() as u64, 1.0));
    }
}

#[test]
fn what_cannot_be_opened_says_why_and_which() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none.gguf");
    for open in [
        |path: &Path| File::read(path, Options::default()),
        |path: &Path| {
            // SAFETY: nobody writes to the file.
            unsafe { File::map(path, Options::default()) }
        },
    ] {
        fs::remove_file(&path).ok();
        let Err(OpenError::Io { path: named, source }) = open(&path) else { panic!("opened") };
        assert_eq!((named, source.kind()), (path.clone(), io::ErrorKind::NotFound));
        for (bytes, text) in [(&b""[..], "magic at byte 0 needs 4 bytes"), (b"GGUFGGUF", "version 1179993927")] {
            fs::write(&path, bytes).unwrap();
            let Err(OpenError::Refused { source, .. }) = open(&path) else { panic!("opened") };
            assert!(source.to_string().contains(text), "{source}");
        }
    }
}

/// The end of a mapped file is cut off: no slice is handed out any more.
#[test]
fn a_file_that_shrinks_is_an_error_before_it_is_a_signal() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.gguf");
    written(&path);
    let file = mapped(&path);
    let tensor = file.tensor("t").unwrap();
    let need = file.bytes().len() as u64;
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(8192).unwrap();
    assert_eq!(file.data(&tensor), Err(Error::Shrunk { got: 8192, need }));
    assert_eq!(file.page_in(NonZeroUsize::MIN).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(file.tensor("t"), Some(tensor), "the header is still there");
}

/// A new file under the same name leaves the mapped one alone.
#[test]
fn a_file_is_replaced_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.gguf");
    written(&path);
    let file = mapped(&path);
    let mut writer = Writer::new();
    writer.tensor("other", &[1], GgmlType::I8);
    writer.create(&path, |_, out| out.write_all(&[1])).unwrap();
    assert!(file.data(&file.tensor("t").unwrap()).unwrap().iter().all(|&byte| byte == 7));
    assert!(mapped(&path).tensor("other").is_some());
    // One that fails half-way leaves the old one, and nothing beside it.
    let failed = writer.create(&path, |_, _| Err(io::Error::other("no more")));
    assert!(failed.is_err() && mapped(&path).tensor("other").is_some());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn eviction_is_asked_for_and_residency_tells() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.gguf");
    written(&path);
    // Whether it is followed depends on the file system; what is told afterward is a number of bytes within the file.
    if evict(&path).is_ok() {
        let residency = mapped(&path).residency().unwrap();
        assert!(residency.resident_bytes <= residency.bytes && (0.0..=1.0).contains(&residency.share()));
    }
}
