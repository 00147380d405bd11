use std::io::Write;

use super::*;

/// Names in a directory, and the bytes of the file `a`.
fn state(directory: &Path) -> (usize, Vec<u8>) {
    (fs::read_dir(directory).unwrap().count(), fs::read(directory.join("a")).unwrap_or_default())
}

#[test]
fn a_file_appears_when_it_is_complete() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    for text in ["first", "second"] {
        let before = state(directory.path()).1;
        let wrote = write(&path, |mut file| {
            file.write_all(text.as_bytes())?;
            let now = fs::read(&path).unwrap_or_default();
            assert_eq!(now, before, "the old file is there until the new one is complete");
            Ok::<_, io::Error>(7)
        });
        assert_eq!((wrote.unwrap(), state(directory.path())), (7, (1, text.as_bytes().to_vec())));
    }
    let failed = write(&path, |mut file| {
        file.write_all(b"third")?;
        Err::<(), _>(io::Error::other("no more"))
    });
    assert!(failed.is_err());
    assert_eq!(state(directory.path()), (1, b"second".to_vec()));
}

/// The way that other systems go, and file systems without unnamed files.
#[test]
fn a_named_file_does_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    for text in ["first", "second"] {
        let file = New::named(directory.path(), false).unwrap();
        file.as_file().write_all(text.as_bytes()).unwrap();
        Complete { file, path: path.clone() }.appear().unwrap();
        assert_eq!(state(directory.path()), (1, text.as_bytes().to_vec()));
    }
    drop(New::named(directory.path(), false).unwrap());
    assert_eq!(state(directory.path()).0, 1);
}

/// What a killed process left goes; what somebody writes, and what only looks alike, stays.
#[test]
fn only_files_that_nobody_writes_are_swept() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let kept = [".unfinished-x-1", ".unfinished-1", "unfinished-1-2", ".unfinished-3-4"];
    for name in kept.iter().chain(&[".unfinished-1-2", ".unfinished-4294967295-0"]) {
        fs::write(at(name), "left").unwrap();
    }
    fs::create_dir(at(".unfinished-5-6")).unwrap();
    let writing = File::options().write(true).open(at(".unfinished-3-4")).unwrap();
    writing.lock().unwrap();
    let begun = New::named(directory.path(), false).unwrap();
    let names = || fs::read_dir(directory.path()).unwrap().count();
    assert!(kept.iter().all(|name| at(name).exists()) && at(".unfinished-5-6").exists());
    assert_eq!(names(), kept.len() + 2, "and the one that was begun");
    // The lock of a process that is gone is free.
    drop(writing);
    sweep(directory.path());
    assert!(!at(".unfinished-3-4").exists());
    drop(begun);
    assert_eq!(names(), kept.len());
}

#[test]
fn errors_name_no_temporary_file() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("none").join("a");
    let error = write(&missing, |_| Ok::<_, io::Error>(())).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(!error.to_string().contains(temporary::PREFIX), "{error}");
    let named = New::named(missing.parent().unwrap(), false).unwrap_err();
    assert!(!named.to_string().contains(temporary::PREFIX), "{named}");
}

#[test]
fn only_regular_files_are_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let kind = |path: &Path| write(path, |_| Ok::<_, io::Error>(())).map_err(|error| error.kind());
    assert_eq!(kind(directory.path()), Err(io::ErrorKind::IsADirectory));
    #[cfg(unix)]
    {
        let socket = directory.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(kind(&socket), Err(io::ErrorKind::InvalidInput));
        assert_eq!(kind(Path::new("/dev/null")), Err(io::ErrorKind::InvalidInput));
    }
    assert_eq!(kind(&directory.path().join("a")), Ok(()));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_replaced_file_keeps_its_permissions() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        write(&path, |_| Ok::<_, io::Error>(())).unwrap();
        let plain = directory.path().join("plain");
        File::create(&plain).unwrap();
        assert_eq!(mode(&path), mode(&plain), "the user's mask decides about a new file");
        for wanted in [0o600, 0o640, 0o444, 0o664] {
            fs::set_permissions(&path, fs::Permissions::from_mode(wanted)).unwrap();
            write(&path, |mut file| {
                let now = file.metadata()?.permissions().mode() & 0o077;
                assert_eq!(now, 0, "it is its owner's alone while it is written");
                file.write_all(b"new")
            })
            .unwrap();
            assert_eq!((mode(&path), fs::read(&path).unwrap()), (wanted, b"new".to_vec()));
        }
    }

    #[test]
    fn a_link_is_replaced_and_its_file_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (path, target) = (directory.path().join("a"), directory.path().join("object"));
        fs::write(&target, "old").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o440)).unwrap();
        symlink("object", &path).unwrap();
        write(&path, |mut file| file.write_all(b"new")).unwrap();
        assert!(!path.is_symlink());
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"new".to_vec(), 0o640));
        assert_eq!((fs::read(&target).unwrap(), mode(&target)), (b"old".to_vec(), 0o440));
    }
}

/// What cannot be looked at is not replaced: its permissions are not known.
#[cfg(unix)]
#[test]
fn a_link_that_leads_to_itself_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    std::os::unix::fs::symlink(&path, &path).unwrap();
    assert!(replace(&path, b"new").is_err());
    assert!(path.is_symlink());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}
