//! Several processes on one folder, processes that are killed, and disks without room.
//!
//! Each test runs this program again as a child, which plays the part that an environment variable names.
#![cfg(unix)]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use pipeline_cache::{Cache, Key, Layer, Limits, Stored};

const PART: &str = "PIPELINE_CACHE_TEST_PART";
const FOLDER: &str = "PIPELINE_CACHE_TEST_FOLDER";
const LAYER: Layer = Layer::DriverBlob;
/// Large enough to be caught in the middle.
const BYTES: usize = 1 << 20;

fn key() -> Key {
    Key::new().with("device", 1)
}

fn open(folder: &Path) -> Cache {
    Cache::open(folder, Limits::default())
}

/// The program as a child. Without the variable this is a test that passes.
#[test]
fn child() {
    let (Ok(part), Some(folder)) = (std::env::var(PART), std::env::var_os(FOLDER)) else { return };
    let folder = Path::new(&folder);
    let say = |text: &str| {
        let mut out = std::io::stdout();
        // Not through the harness, which would hold it back.
        out.write_all(format!("\nsaid {text}\n").as_bytes()).and_then(|()| out.flush()).unwrap();
    };
    match &*part {
        // Writes other content each time, for as long as it lives.
        "write" => {
            say("ready");
            let cache = open(folder);
            for round in 0_u8.. {
                cache.store(LAYER, &key(), &vec![round; BYTES]);
            }
        }
        // Stops between the last byte and the name.
        "hang" => {
            let path = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            let path = path.into_iter().find(|path| path.extension().is_some_and(|end| end == "cache")).unwrap();
            let complete = whole_file::Complete::new(&path, |mut file| file.write_all(b"half"));
            let _unnamed = complete.unwrap();
            fs::write(folder.join(".unfinished-1-1"), "left by a killed process").unwrap();
            say("ready");
            thread::sleep(Duration::from_secs(60));
        }
        // Writes what does not fit, then what does.
        "fill" => {
            // SAFETY: both calls take integers, or a struct that lives until they return.
            unsafe {
                libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
                if std::env::var_os("PIPELINE_CACHE_TEST_LIMITED").is_some() {
                    let limit = libc::rlimit { rlim_cur: 64 << 10, rlim_max: 64 << 10 };
                    assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit), 0);
                }
            }
            let cache = open(folder);
            assert_eq!(cache.store(LAYER, &key(), b"small"), Stored::Written { bytes: 5 }, "{}", cache.report());
            let large = cache.store(LAYER, &key(), &vec![1; BYTES]);
            assert!(matches!(&large, Stored::Failed { message } if !message.is_empty()), "{large:?}");
            assert_eq!(cache.load(LAYER, &key()).as_deref(), Some(&b"small"[..]), "the old file stays");
            assert_eq!((cache.report().not_saved, fs::read_dir(folder).unwrap().count()), (1, 2), "with the lock");
            assert_eq!(cache.store(LAYER, &key(), b"again"), Stored::Written { bytes: 5 });
            say("fine");
        }
        other => panic!("no part is called {other}"),
    }
}

fn command(program: &str, part: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.env(PART, part).env(FOLDER, folder).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn this_program() -> String {
    std::env::current_exe().unwrap().to_str().unwrap().to_owned()
}

const AS_CHILD: [&str; 3] = ["--exact", "child", "--nocapture"];

/// Starts a part and returns once it said `ready`.
fn start(part: &str, folder: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = command(&this_program(), part, folder).args(AS_CHILD).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while line != "said ready\n" {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the child ended");
    }
    (child, lines)
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// That a folder has one whole file in it, or none, beside the lock.
fn assert_whole(folder: &Path) {
    let cache = open(folder);
    if let Some(payload) = cache.load(LAYER, &key()) {
        assert!(payload.len() == BYTES && payload.iter().all(|byte| *byte == payload[0]), "a torn payload");
    }
    assert!(cache.report().rejects.is_empty(), "{}", cache.report());
    let names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.len() <= 2, "{names:?}");
}

#[test]
fn a_kill_between_write_and_name_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).store(LAYER, &key(), b"old");
    kill(start("hang", folder.path()).0);
    assert!(folder.path().join(".unfinished-1-1").exists());
    let cache = open(folder.path());
    assert_eq!(cache.load(LAYER, &key()).as_deref(), Some(&b"old"[..]));
    assert!(!folder.path().join(".unfinished-1-1").exists(), "what it left is swept");
}

#[test]
fn a_kill_at_any_time_leaves_whole_files() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..12 {
        let (child, _lines) = start("write", folder.path());
        thread::sleep(Duration::from_millis(7 * round));
        kill(child);
        assert_whole(folder.path());
    }
}

#[test]
fn readers_see_whole_files_while_two_processes_write() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _lines) = start("write", folder.path());
    let (second, _more) = start("write", folder.path());
    let cache = open(folder.path());
    let mut seen = 0;
    while seen < 100 {
        if let Some(payload) = cache.load(LAYER, &key()) {
            assert!(payload.len() == BYTES && payload.iter().all(|byte| *byte == payload[0]), "a torn payload");
            seen += 1;
        }
    }
    assert!(cache.report().rejects.is_empty(), "{}", cache.report());
    kill(first);
    kill(second);
    assert_whole(folder.path());
}

/// A lock that another process keeps, as one that was stopped does, delays a writer and does not stop it for good.
#[test]
fn a_writer_does_not_wait_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    cache.store(LAYER, &key(), b"old");
    let lock = fs::File::open(folder.path().join(".lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(cache.store(LAYER, &key(), b"new"), Stored::Busy);
    assert_eq!(cache.load(LAYER, &key()).as_deref(), Some(&b"old"[..]), "readers need no lock");
    drop(lock);
    assert_eq!(cache.store(LAYER, &key(), b"new"), Stored::Written { bytes: 3 });
}

fn assert_fine(mut command: Command) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("said fine"), "{text}");
}

#[test]
fn a_file_that_the_system_refuses_to_write_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(&this_program(), "fill", folder.path());
    command.args(AS_CHILD).env("PIPELINE_CACHE_TEST_LIMITED", "1");
    assert_fine(command);
}

/// A real file system of 64 KiB, where this user may make one.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o mode=700,size=64k none \"$0\" || exit 99; exec \"$@\"";
    let mut command = command("unshare", "fill", folder.path());
    command.args(["--map-root-user", "--mount", "--", "sh", "-c", mount]);
    command.arg(folder.path()).arg(this_program()).args(AS_CHILD);
    match command.output() {
        Ok(output) if output.status.success() => {
            assert!(String::from_utf8_lossy(&output.stdout).contains("said fine"));
        }
        Ok(output) if output.status.code() == Some(101) => {
            panic!("{}", String::from_utf8_lossy(&output.stdout));
        }
        refused => {
            // Containers and some distributions allow no mounts of one's own: the limit of a file's size has to do.
            let said = format!("\nNOT TESTED: a real full disk, because none can be mounted here ({refused:?})\n");
            std::io::stderr().write_all(said.as_bytes()).unwrap();
        }
    }
}
