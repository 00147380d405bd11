//! Slots of real repositories.

use super::*;
use crate::repo::{fresh_repository, stored};

fn check_out(slots: &Slots, git: &Git, base: &Snapshot, head: &Snapshot) -> Result<(Slot, Slot)> {
    let [for_base, for_head] = slots.assign(&[&base.commit, &head.commit]).try_into().unwrap();
    for_head.check_out(git, &head.commit, &for_base)?;
    for_base.check_out(git, &base.commit, &for_head)?;
    Ok((for_base, for_head))
}

#[test]
fn checkouts_that_fail_come_with_what_to_do() {
    for (said, cure) in [
        ("fatal: data.bin: smudge filter lfs failed", "git lfs fetch --all"),
        ("fatal: unable to write new index file: No space left on device", "disk full: "),
        ("fatal: unable to read tree (0123)", "--unshallow"),
    ] {
        let text = format!("{:#}", explained(anyhow::anyhow!("{said}"), Path::new("/")));
        assert!(text.contains(cure) && text.contains(said), "{text}");
    }
}

fn two_commits() -> (tempfile::TempDir, Git, Snapshot, Snapshot) {
    let (directory, git) = fresh_repository();
    let first = Snapshot::of_commit(&git, git.commit("HEAD").unwrap().unwrap()).unwrap();
    fs::write(directory.path().join("a.txt"), "two\n").unwrap();
    git.read(&["commit", "--quiet", "-am", "second"]).unwrap();
    let second = Snapshot::of_commit(&git, git.commit("HEAD").unwrap().unwrap()).unwrap();
    (directory, git, first, second)
}

fn text(slot: &Slot) -> String {
    fs::read_to_string(slot.tree().join("a.txt")).unwrap()
}

#[test]
fn both_sides_are_checked_out_and_paths_are_equally_long() {
    let (_directory, git, first, second) = two_commits();
    let cache = tempfile::tempdir().unwrap();
    let slots = Slots::open(cache.path(), &git).unwrap();
    let (base, head) = check_out(&slots, &git, &first, &second).unwrap();
    assert_eq!((text(&base).as_str(), text(&head).as_str()), ("one\n", "two\n"));
    assert_eq!(base.tree().as_os_str().len(), head.tree().as_os_str().len());
}

#[test]
fn yesterdays_head_stays_where_it_is_as_todays_base() {
    let (_directory, git, first, second) = two_commits();
    let cache = tempfile::tempdir().unwrap();
    let slots = Slots::open(cache.path(), &git).unwrap();
    let (_, head) = check_out(&slots, &git, &first, &second).unwrap();
    let (base, other) = check_out(&slots, &git, &second, &first).unwrap();
    assert_eq!(base.tree(), head.tree());
    assert_eq!(text(&other), "one\n");
}

#[test]
fn every_side_gets_a_slot_of_its_own_even_of_one_commit() {
    let (_directory, git, first, _) = two_commits();
    let cache = tempfile::tempdir().unwrap();
    let slots = Slots::open(cache.path(), &git).unwrap();
    let assigned = slots.assign(&[first.commit.as_str(); 1 + MOST_BASES]);
    let directories: std::collections::BTreeSet<&Path> = assigned.iter().map(Slot::directory).collect();
    assert_eq!(directories.len(), 1 + MOST_BASES);
}

/// As in a hook: git tells its children by variables which repository they are about.
#[test]
fn the_users_head_and_index_stay_even_where_git_points_at_them() {
    let (directory, git, first, second) = two_commits();
    let cache = tempfile::tempdir().unwrap();
    let slots = Slots::open(cache.path(), &git).unwrap();
    let (base, _) = check_out(&slots, &git, &first, &second).unwrap();
    let mut command = command::git_in(&base.tree());
    command.args(["rev-parse", "--absolute-git-dir"]);
    for (name, value) in [("GIT_DIR", ".git"), ("GIT_INDEX_FILE", ".git/index")] {
        assert!(command::GIT_LOCAL_VARIABLES.contains(&name));
        let removed = command.get_envs().any(|(key, value)| key == name && value.is_none());
        assert!(removed, "{name}={value} must not reach git in a slot");
    }
    assert_eq!(git.commit("HEAD").unwrap().as_ref(), Some(&second.commit));
    assert!(git.read(&["status", "--porcelain"]).unwrap().is_empty());
    drop(directory);
}

/// A worktree on a disk that is not attached now: git's administrative data of it hold what is staged there.
#[test]
fn worktrees_of_the_user_whose_directory_is_away_are_not_forgotten() {
    let (_directory, git, first, second) = two_commits();
    let (cache, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (users, away) = (disk.path().join("work"), disk.path().join("away"));
    git.read(&["worktree", "add", "--quiet", "-b", "theirs", users.to_str().unwrap()]).unwrap();
    fs::write(users.join("staged.txt"), "precious\n").unwrap();
    command::run(command::git_in(&users).args(["add", "staged.txt"])).unwrap();
    fs::rename(&users, &away).unwrap();
    let slots = Slots::open(cache.path(), &git).unwrap();
    let (base, _) = check_out(&slots, &git, &first, &second).unwrap();
    fs::remove_dir_all(base.tree()).unwrap();
    check_out(&slots, &git, &first, &second).unwrap();
    slots.clean(&git).unwrap();
    fs::rename(&away, &users).unwrap();
    let status = command::stdout_of(command::git_in(&users).args(["status", "--porcelain"])).unwrap();
    assert_eq!(status, "A  staged.txt\n");
    assert_eq!(git.read(&["worktree", "list"]).unwrap().lines().count(), 2, "only our own are gone");
}

/// The snapshot of uncommitted work is made before the slots are cleaned, and is checked out after that.
#[test]
fn cleaning_keeps_what_the_store_holds_of_a_repository_that_cannot_be_written() {
    let (directory, git, first, _) = two_commits();
    let cache = tempfile::tempdir().unwrap();
    let git = stored(git.clone(), &Slots::directory(cache.path(), &git).join("store"));
    fs::write(directory.path().join("a.txt"), "three\n").unwrap();
    let head = Snapshot::of_work_tree(&git, &[]).unwrap();
    let slots = Slots::open(cache.path(), &git).unwrap();
    check_out(&slots, &git, &first, &head).unwrap();
    fs::write(slots.root().join("known.json"), "{}").unwrap();
    slots.clean(&git).unwrap();
    let left: Vec<_> = fs::read_dir(slots.root()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["store"]);
    let (_, for_head) = check_out(&slots, &git, &first, &head).unwrap();
    assert_eq!(text(&for_head), "three\n");
    slots.remove(&git).unwrap();
    assert!(!slots.root().exists());
}

#[test]
fn leftovers_of_a_killed_run_do_not_matter() {
    let (_directory, git, first, second) = two_commits();
    let cache = tempfile::tempdir().unwrap();
    let slots = Slots::open(cache.path(), &git).unwrap();
    let (base, _) = check_out(&slots, &git, &first, &second).unwrap();
    fs::write(base.tree().join("a.txt"), "half written").unwrap();
    fs::write(base.tree().join("stray"), "").unwrap();
    let lock = base.git(&["rev-parse", "--path-format=absolute", "--git-path", "index.lock"]).unwrap();
    fs::write(lock, "").unwrap();
    let (base, head) = check_out(&slots, &git, &first, &second).unwrap();
    assert_eq!((text(&base).as_str(), text(&head).as_str()), ("one\n", "two\n"));
    assert!(!base.tree().join("stray").exists());
    fs::remove_dir_all(head.tree()).unwrap();
    let (_, head) = check_out(&slots, &git, &first, &second).unwrap();
    assert_eq!(text(&head), "two\n");
    slots.clean(&git).unwrap();
    assert_eq!(git.read(&["worktree", "list"]).unwrap().lines().count(), 1);
}
