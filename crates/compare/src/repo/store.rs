//! A repository of our own beside one that cannot be written, such as a checkout that belongs to another user.
//!
//! It borrows the objects of that repository as alternates, and takes the objects of snapshots and the administrative
//! data of the slots' worktrees. Git in the user's work tree reads its own references and writes objects into the
//! store.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::git::Git;
use crate::command;

/// The repository.
#[derive(Clone, Debug)]
pub(super) struct Store {
    path: PathBuf,
    /// Objects of the repository that cannot be written.
    borrowed: PathBuf,
}

impl Store {
    /// The store at `path` for `git`, made if it is not there.
    pub(super) fn open(path: &Path, git: &Git) -> Result<Self> {
        let borrowed = PathBuf::from(git.read(&["rev-parse", "--path-format=absolute", "--git-path", "objects"])?);
        let format = git.read(&["rev-parse", "--show-object-format"])?;
        if !path.join("HEAD").exists() {
            fs::create_dir_all(path).with_context(|| format!("failed to make {}", path.display()))?;
            let mut init = command::git_in(path);
            init.args(["init", "--quiet", "--bare", "--template=", &format!("--object-format={format}")]);
            command::run(&mut init).context("failed to make a repository for what this one cannot take")?;
        }
        let info = path.join("objects/info");
        let text = borrowed.to_str().context("the path of the git directory is not UTF-8")?;
        // Quoted, a path may hold every character; without a line break at the end, git would not read it.
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let (alternates, line) = (info.join("alternates"), format!("\"{quoted}\"\n"));
        // Replaced as a whole, and only if it differs: a git that works in the store must not read half of it.
        if fs::read_to_string(&alternates).ok().as_deref() != Some(&line) {
            fs::create_dir_all(&info)
                .and_then(|()| whole_file::replace(&alternates, line.as_bytes()))
                .with_context(|| format!("failed to write into {}; is the disk full?", info.display()))?;
        }
        Ok(Self { path: path.to_owned(), borrowed })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a git command in the user's work tree write its objects here.
    pub(super) fn apply(&self, command: &mut Command) {
        command.env("GIT_OBJECT_DIRECTORY", self.path.join("objects"));
        command.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", &self.borrowed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::git::tests::fresh_repository;
    use super::super::snapshot::Snapshot;
    use super::*;

    #[test]
    fn a_snapshot_goes_into_the_store_and_can_be_checked_out_there() {
        let (directory, git) = fresh_repository();
        let cache = tempfile::tempdir().unwrap();
        let path = cache.path().join("a \"store\"");
        let store = Store::open(&path, &git).unwrap();
        fs::write(directory.path().join("a.txt"), "two\n").unwrap();
        let with_store = git.clone().with_store(store);
        let snapshot = Snapshot::of_work_tree(&with_store, &[]).unwrap();
        assert!(snapshot.dirty);
        assert!(!git.succeeds(&["cat-file", "-e", &snapshot.commit]).unwrap(), "the repository itself is untouched");
        let tree = cache.path().join("tree");
        let mut add = with_store.of_worktrees();
        command::run(add.args(["worktree", "add", "--quiet", "--detach"]).arg(&tree).arg(&snapshot.commit)).unwrap();
        assert_eq!(fs::read_to_string(tree.join("a.txt")).unwrap(), "two\n");
        assert_eq!(git.read(&["worktree", "list"]).unwrap().lines().count(), 1);
        let alternates = path.join("objects/info/alternates");
        let written = || alternates.metadata().unwrap().modified().unwrap();
        let before = written();
        assert!(Store::open(&path, &git).is_ok(), "an existing store is used again");
        assert_eq!(written(), before, "what is right is not written again");
        let right = fs::read(&alternates).unwrap();
        fs::write(&alternates, "elsewhere\n").unwrap();
        Store::open(&path, &git).unwrap();
        assert_eq!(fs::read(&alternates).unwrap(), right, "a repository that moved is found again");
    }
}
