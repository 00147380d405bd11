use super::*;
use crate::report::example_entry;

#[test]
fn entries_are_found_again_by_exact_title() {
    let directory = tempfile::tempdir().unwrap();
    let log = Log::open(directory.path());
    assert!(log.last("Title").unwrap().is_none());
    let entry = example_entry();
    log.append(&entry).unwrap();
    assert_eq!(log.last("Title").unwrap().unwrap().commit, entry.head.commit);
    assert!(log.last("Titl").unwrap().is_none());
    let mut second = Entry { id: "other".into(), ..example_entry() };
    second.head.commit = "c".repeat(40);
    second.machine_class = "another-machine".into();
    log.append(&second).unwrap();
    assert_eq!(log.last("Title").unwrap().unwrap().commit, second.head.commit, "the last in the text, of any class");
}

#[test]
fn a_kill_between_the_two_renames_is_mended() {
    let directory = tempfile::tempdir().unwrap();
    let log = Log::open(directory.path());
    log.append(&example_entry()).unwrap();
    let whole = log.text().unwrap();
    // As if killed after the data were in place: the text is still the old one, the new one is pending.
    fs::rename(log.text_path(), directory.path().join(PENDING)).unwrap();
    assert!(log.recover().unwrap().unwrap().contains("finished"));
    assert_eq!(log.text().unwrap(), whole);
    // As if killed before: the pending text names an entry without data.
    fs::write(directory.path().join(PENDING), whole.replace("assay:2026", "assay:2027")).unwrap();
    assert!(log.recover().unwrap().unwrap().contains("removed"));
    assert_eq!(log.text().unwrap(), whole);
    assert_eq!(log.recover().unwrap(), None);
}

#[test]
fn temporary_files_of_killed_runs_are_swept_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let log = Log::open(directory.path());
    log.append(&example_entry()).unwrap();
    let data = log.data().unwrap()[0].0.clone();
    let ours = [
        directory.path().join(".assay-aB3xYz"),
        directory.path().join(".unfinished-12-0"),
        data.with_file_name(".unfinished-12-1"),
    ];
    let theirs = [directory.path().join(".assay-notes.md"), directory.path().join(".unfinished-x")];
    ours.iter().chain(&theirs).for_each(|path| fs::write(path, "").unwrap());
    log.recover().unwrap();
    assert!(ours.iter().all(|path| !path.exists()) && theirs.iter().all(|path| path.exists()));
    assert_eq!(log.data().unwrap()[0].1.len(), 1);
}

#[test]
fn a_log_in_the_seeds_format_is_appended_to_with_every_other_byte_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let log = Log::open(directory.path());
    let history = "# Benchmark Results\n\n## Baseline\n\n### 2026-01-01 21:12:20 - Before\n\n| Metric | Value |\n\n\
        ## Title\n\n### 2026-01-01 21:15:13 - Cache\n\ntext\n\n\
        ## Title and more\n\n### 2026-01-01 21:16:50 - More\n\n";
    fs::write(log.text_path(), history).unwrap();
    log.append(&example_entry()).unwrap();
    let text = log.text().unwrap();
    let (before, after) = history.split_at(history.find("## Title and more").unwrap());
    assert!(text.starts_with(before) && text.ends_with(after), "{text}");
    assert_eq!(markdown::entries(&text).len(), 4);
}

#[test]
fn a_log_that_the_tool_began_gets_an_index_above_untouched_entries() {
    let directory = tempfile::tempdir().unwrap();
    let log = Log::open(directory.path());
    log.append(&example_entry()).unwrap();
    let first = log.text().unwrap();
    assert!(index::exists(&first) && !log.renew_index().unwrap());
    log.append(&Entry { id: "other".into(), title: "Another".into(), ..example_entry() }).unwrap();
    let second = log.text().unwrap();
    let entries = |text: &str| text[text.find("## Title").unwrap()..].to_owned();
    assert!(entries(&second).starts_with(entries(&first).trim_end()), "{second}");
    assert!(second.contains("[Title](#title)") && second.contains("[Another](#another)"));
    fs::write(log.text_path(), second.replace("[Another]", "[Anothre]")).unwrap();
    assert!(log.renew_index().unwrap());
    assert_eq!(log.text().unwrap(), second);
    fs::write(log.text_path(), "# People's\n\n## T\n").unwrap();
    assert!(log.renew_index().is_err());
}

#[test]
fn half_an_entry_is_told_instead_of_being_written_behind() {
    let directory = tempfile::tempdir().unwrap();
    let log = Log::open(directory.path());
    log.append(&example_entry()).unwrap();
    let path = log.data().unwrap()[0].0.clone();
    let data = fs::read(&path).unwrap();
    fs::write(&path, &data[..data.len() - 40]).unwrap();
    let error = log.last("Title").unwrap_err().to_string();
    assert!(error.contains("half an entry (line 1)") && error.contains("git checkout"), "{error}");
}

#[test]
fn an_open_fence_that_would_swallow_the_entry_is_told_before_measuring() {
    let directory = tempfile::tempdir().unwrap();
    let log = Log::open(directory.path());
    log.check_writable("Title").unwrap();
    fs::write(log.text_path(), "# Log\n\n```bash\nnever closed\n").unwrap();
    assert!(log.check_writable("Title").unwrap_err().to_string().contains("never closed"));
}

#[cfg(unix)]
#[test]
fn a_linked_text_stays_a_link_and_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let real = directory.path().join("docs/LOG.md");
    fs::create_dir(directory.path().join("docs")).unwrap();
    fs::write(&real, "# Log\n").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("docs/LOG.md", directory.path().join(TEXT)).unwrap();
    Log::open(directory.path()).append(&example_entry()).unwrap();
    assert!(directory.path().join(TEXT).is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains("## Title"));
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn titles_are_one_line() {
    assert_eq!(valid_title("  a | `b` # c ").unwrap(), "a | `b` # c");
    for title in ["", "  ", "a\nb", "a\u{7}"] {
        assert!(valid_title(title).is_err(), "{title:?}");
    }
}
