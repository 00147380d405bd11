//! Files that are damaged, of others, too many or in the way: each is a miss with its reason, and nothing fails.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use pipeline_cache::{Cache, CacheReport, Choices, Digest, Disabled, Key, Layer, Limits, Question, State, Stored};

const LAYER: Layer = Layer::CompiledKernel;

fn key() -> Key {
    Key::new().with("driver_info", "Mesa 22.3.6")
}

fn open(folder: &Path) -> Cache {
    let cache = Cache::open(folder, Limits::default());
    assert!(cache.is_active(), "{}", cache.report());
    cache
}

/// The files in a folder whose names end so.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_str().unwrap().ends_with(ending));
    paths.sort();
    paths
}

/// A folder with one file in it, and the path of the file.
fn written() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(open(folder.path()).store(LAYER, &key(), b"code"), Stored::Written { bytes: 4 });
    let path = files(folder.path(), ".cache").remove(0);
    (folder, path)
}

fn rejects(report: &CacheReport) -> Vec<(&'static str, u64)> {
    report.rejects.iter().map(|(name, count)| (*name, *count)).collect()
}

/// Loads from a folder whose file was changed: a miss for this reason, then, from a new start, a plain miss.
fn assert_refused(folder: &Path, reason: &'static str) {
    let cache = open(folder);
    assert_eq!(cache.load(LAYER, &key()), None, "{reason}");
    assert_eq!(rejects(&cache.report()), [(reason, 1)]);
    assert_eq!(cache.load(LAYER, &key()), None);
    assert_eq!((cache.report().misses, cache.report().hits), (1, 0), "it is out of the way: {reason}");
    assert_eq!(cache.store(LAYER, &key(), b"code"), Stored::Written { bytes: 4 }, "{reason}");
    assert_eq!(cache.load(LAYER, &key()).as_deref(), Some(&b"code"[..]), "{reason}");
}

#[test]
fn a_file_is_found_again_until_its_key_changes() {
    let (folder, _) = written();
    let cache = open(folder.path());
    assert_eq!(cache.load(LAYER, &key()).as_deref(), Some(&b"code"[..]));
    assert_eq!(cache.load(Layer::DriverBlob, &key()), None);
    assert_eq!(cache.load(LAYER, &key().with("driver_info", "Mesa 22.3.7")), None);
    let report = cache.report();
    assert_eq!((report.hits, report.misses, report.loaded_bytes), (1, 2, 4));
    assert!(report.rejects.is_empty(), "another key is another file: {report}");
    let before = fs::metadata(files(folder.path(), ".cache").remove(0)).unwrap();
    assert_eq!(cache.store(LAYER, &key(), b"code"), Stored::Unchanged);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let after = fs::metadata(files(folder.path(), ".cache").remove(0)).unwrap();
        assert_eq!((before.ino(), before.mode() & 0o777), (after.ino(), 0o600), "nothing was written");
    }
    assert_eq!((cache.report().unchanged, cache.report().saved_bytes), (1, 0));
}

#[test]
fn every_kind_of_damage_is_a_miss_with_its_reason() {
    type Damage = fn(&mut Vec<u8>);
    let kinds: [(&str, Damage); 8] = [
        ("short", |bytes| bytes.truncate(20)),
        ("short", |bytes| bytes.clear()),
        ("short", |bytes| bytes.truncate(bytes.len() - 1)),
        ("bad_magic", |bytes| bytes[2] ^= 1),
        ("format", |bytes| bytes[8] += 1),
        ("length", |bytes| bytes.push(0)),
        ("checksum", |bytes| *bytes.last_mut().unwrap() ^= 1),
        ("too_large", |bytes| bytes.resize((64 << 20) + (64 << 10) + 1, 0)),
    ];
    for (reason, damage) in kinds {
        let (folder, path) = written();
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        assert_refused(folder.path(), reason);
        let aside = if reason == "too_large" { 0 } else { 1 };
        assert_eq!(files(folder.path(), ".bad").len(), aside, "{reason}");
    }
    // The file of another key under this one's name.
    let (folder, path) = written();
    let other = key().with("driver_info", "Mesa 22.3.7");
    open(folder.path()).store(LAYER, &other, b"other");
    let theirs = files(folder.path(), ".cache").into_iter().find(|at| *at != path).unwrap();
    fs::rename(theirs, &path).unwrap();
    assert_refused(folder.path(), "key");
}

#[test]
fn choices_that_cannot_be_read_are_a_miss() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    cache.store(Layer::TuningChoices, &key(), b"no choices");
    assert!(Choices::load(&cache, &key()).is_empty());
    assert_eq!(rejects(&cache.report()), [("payload", 1)]);
}

#[test]
fn choices_of_several_processes_come_together() {
    let folder = tempfile::tempdir().unwrap();
    let question = |class| Question { op: "gemm/f16", class, candidates: Digest::of_texts(["a", "b"]) };
    let (one, two) = (open(folder.path()), open(folder.path()));
    let (mut first, mut second) = (Choices::load(&one, &key()), Choices::load(&two, &key()));
    first.set(question("m1"), &"a");
    first.set(question("m2"), &"a");
    second.set(question("m2"), &"b");
    assert!(matches!(first.save(&one, &key()), Stored::Written { .. }));
    assert!(matches!(second.save(&two, &key()), Stored::Written { .. }));
    let both = Choices::load(&one, &key());
    let of = |class| both.get::<String>(question(class)).unwrap();
    assert_eq!((both.len(), of("m1"), of("m2")), (2, "a".to_owned(), "b".to_owned()));
    assert_eq!(second.save(&two, &key()), Stored::Nothing);
}

#[test]
fn the_folder_keeps_to_its_limit_and_what_is_used_stays() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { payload_bytes: 1000, total_bytes: 3500 };
    let cache = Cache::open(folder.path(), limits);
    let of = |index: u32| Key::new().with("index", index);
    let age = |path: &Path, hours: u64| {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3600 * hours)).unwrap();
    };
    let mut paths = Vec::new();
    for index in 0..3 {
        assert_eq!(cache.store(LAYER, &of(index), &[index as u8; 1000]), Stored::Written { bytes: 1000 });
        let path = files(folder.path(), ".cache").into_iter().find(|path| !paths.contains(path)).unwrap();
        age(&path, 10 - u64::from(index));
        paths.push(path);
    }
    // The oldest was used now, so the second goes.
    assert!(cache.load(LAYER, &of(0)).is_some());
    cache.store(LAYER, &of(3), &[3; 1000]);
    let is_there = |index| cache.load(LAYER, &of(index)).is_some();
    assert_eq!([0, 1, 2, 3].map(is_there), [true, false, true, true]);
    assert_eq!(cache.report().evicted_bytes, fs::metadata(&paths[0]).unwrap().len());
    // What was set aside goes before all others.
    let bytes = fs::read(&paths[2]).unwrap();
    fs::write(&paths[2], &bytes[..bytes.len() - 1]).unwrap();
    assert!(!is_there(2));
    cache.store(LAYER, &of(4), &[4; 1000]);
    assert_eq!(([0, 3, 4].map(is_there), files(folder.path(), ".bad").len()), ([true; 3], 0));
    // A payload over the limit is dropped, and so is what was there of its key.
    assert_eq!(cache.store(LAYER, &of(0), &[0; 1001]), Stored::TooLarge { bytes: 1001 });
    assert!(!is_there(0));
    assert_eq!(cache.report().not_saved, 1);
}

#[test]
fn a_folder_is_made_and_what_is_in_the_way_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("a").join("b");
    let cache = open(&below);
    cache.store(LAYER, &key(), b"code");
    #[cfg(unix)]
    for path in [&below, below.parent().unwrap()] {
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(path).unwrap());
        assert_eq!(mode & 0o777, 0o700, "{}", path.display());
    }
    let file = folder.path().join("file");
    fs::write(&file, "text").unwrap();
    for path in [file.clone(), file.join("below")] {
        let cache = Cache::open(&path, Limits::default());
        assert!(matches!(cache.report().state, State::Disabled(Disabled::Folder(_))), "{}", cache.report());
        assert_eq!(cache.load(LAYER, &key()), None);
        assert_eq!(cache.store(LAYER, &key(), b"code"), Stored::Disabled);
        assert!(cache.report().to_string().contains("disabled: "), "{}", cache.report());
    }
    assert_eq!(fs::read(&file).unwrap(), b"text");
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use pipeline_cache::FolderError;

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Why a folder is not used.
    fn refusal(path: &Path) -> FolderError {
        match Cache::open(path, Limits::default()).report().state {
            State::Disabled(Disabled::Folder(error)) => error,
            state => panic!("{}: {state:?}", path.display()),
        }
    }

    #[test]
    fn folders_that_others_may_write_to_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a").join("b");
        fs::create_dir_all(&below).unwrap();
        for (path, mode, is_refused) in [
            (&below, 0o755, false),
            (&below, 0o777, true),
            (&below, 0o770, true),
            (&below, 0o1777, true),
            (&below.parent().unwrap().to_owned(), 0o777, true),
            (&below.parent().unwrap().to_owned(), 0o1777, false),
        ] {
            set_mode(path, mode);
            let state = Cache::open(&below, Limits::default()).report().state;
            let was_refused = matches!(state, State::Disabled(Disabled::Folder(FolderError::Writable { .. })));
            assert_eq!(was_refused, is_refused, "{} {mode:o}: {state:?}", path.display());
            set_mode(path, 0o700);
        }
    }

    /// Only the superuser can give a folder away. For others, the system's own folders stand for those of another user.
    #[test]
    fn folders_and_files_of_others_are_refused() {
        let (folder, file) = written();
        if chown(&file, Some(4321), None).is_err() {
            assert!(matches!(refusal(Path::new("/usr")), FolderError::Foreign { owner: 0, .. }));
            return;
        }
        assert_refused(folder.path(), "foreign");
        let below = folder.path().join("a");
        fs::create_dir(&below).unwrap();
        chown(folder.path(), Some(4321), None).unwrap();
        for path in [folder.path(), &below] {
            let error = refusal(path);
            assert!(matches!(error, FolderError::Foreign { owner: 4321, user: 0, .. }), "{error}");
        }
        chown(folder.path(), Some(0), None).unwrap();
        open(folder.path());
        // A link of another user may lead to a folder of ours.
        let link = folder.path().join("link");
        symlink(&below, &link).unwrap();
        open(&link);
        std::os::unix::fs::lchown(&link, Some(4321), None).unwrap();
        assert!(matches!(refusal(&link), FolderError::Foreign { owner: 4321, .. }));
    }

    #[test]
    fn files_that_others_may_write_to_are_refused() {
        for mode in [0o660, 0o606] {
            let (folder, path) = written();
            set_mode(&path, mode);
            assert_refused(folder.path(), "foreign");
        }
    }

    #[test]
    fn what_is_no_file_is_moved_away_and_not_followed() {
        let (folder, path) = written();
        let target = folder.path().join("target");
        fs::rename(&path, &target).unwrap();
        symlink(&target, &path).unwrap();
        assert_refused(folder.path(), "not_a_file");
        assert!(target.exists());
        let (folder, path) = written();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_refused(folder.path(), "not_a_file");
        let (folder, path) = written();
        fs::remove_file(&path).unwrap();
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: the name ends with a NUL and lives until the call returns.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        assert_refused(folder.path(), "not_a_file");
    }
}
