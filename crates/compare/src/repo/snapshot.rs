//! The state of a work tree as a commit.
//!
//! A dirty tree can be measured: its files, untracked ones included, are written into a commit object through an index
//! file of our own. The user's index, work tree, branch and stash stay unchanged (`git stash create` would leave out
//! untracked files). Files that the tool itself writes, BENCHMARKS.md and baselines/, do not make a tree dirty.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::git::Git;
use crate::command;

/// Untracked files above this size are listed and left out: they are more often stray data than source.
const LARGE_FILE_BYTES: u64 = 10 << 20;

/// One side's revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Commit id of the state that is measured.
    pub commit: String,
    /// Label for display: a short id and the commit's subject, or the commit that the dirty tree is based on.
    pub label: String,
    /// Whether the state is a snapshot of uncommitted work.
    pub dirty: bool,
    /// Untracked files that were too large to take along.
    pub left_out: Vec<String>,
}

impl Snapshot {
    /// The first word of the label: the short id, or the name by which the user asked for the revision.
    pub fn name(&self) -> &str {
        self.label.split(' ').next().unwrap_or_default()
    }

    /// The same revision under the name that the user gave it.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        let is_id = self.commit.starts_with(name) || name.contains(char::is_whitespace);
        let label = if is_id { self.label } else { format!("{name} ({})", self.label) };
        Self { label, ..self }
    }

    /// A revision that is committed already.
    pub fn of_commit(git: &Git, commit: String) -> Result<Self> {
        let subject = git.subject(&commit)?;
        let label = format!("{} {}", &commit[..commit.len().min(10)], subject);
        Ok(Self { commit, label, dirty: false, left_out: Vec::new() })
    }

    /// The work tree as it is now. `own` are paths below the top of the work tree that the tool writes itself; those
    /// with a `*` are patterns of temporary files.
    pub fn of_work_tree(git: &Git, own: &[String]) -> Result<Self> {
        let head = git.commit("HEAD")?;
        let Some(head) = head else {
            return Err(crate::exit::usage(
                "this repository has no commit yet; make one: git add -A && git commit -m start",
            ));
        };
        let excludes: Vec<String> = own.iter().map(|path| exclude(path)).collect();
        let mut status =
            vec!["status", "--porcelain=v1", "-z", "--untracked-files=all", "--ignore-submodules=none", "--", ":/"];
        status.extend(excludes.iter().map(String::as_str));
        if git.read(&status)?.is_empty() {
            return Self::of_commit(git, head);
        }
        git.check_writable()?;
        let left_out = large_untracked(git)?;
        let tree = write_tree(git, own, &left_out)?;
        let unchanged = git.read(&["rev-parse", "HEAD^{tree}"])? == tree;
        if unchanged {
            return Self::of_commit(git, head);
        }
        let commit = commit_tree(git, &tree, &head)?;
        let label = format!("{} uncommitted work on {}", &commit[..10], git.subject(&head)?);
        Ok(Self { commit, label, dirty: true, left_out })
    }
}

/// The pathspec that leaves out one of our own paths.
fn exclude(path: &str) -> String {
    let kind = if path.contains('*') { "glob" } else { "literal" };
    format!(":(exclude,top,{kind}){path}")
}

/// Untracked, not ignored files above [`LARGE_FILE_BYTES`].
fn large_untracked(git: &Git) -> Result<Vec<String>> {
    let listed = git.read(&["ls-files", "--others", "--exclude-standard", "-z"])?;
    let is_large = |path: &&str| fs::metadata(git.top().join(path)).is_ok_and(|meta| meta.len() > LARGE_FILE_BYTES);
    Ok(listed.split('\0').filter(|path| !path.is_empty()).filter(is_large).map(str::to_owned).collect())
}

/// Writes the work tree's files into a tree object, through a copy of the index. Our own files keep HEAD's content.
fn write_tree(git: &Git, own: &[String], left_out: &[String]) -> Result<String> {
    let scratch = tempfile::tempdir().context("failed to make a temporary directory")?;
    let index = scratch.path().join("index");
    seed_index(git, &index)?;
    let with_index = |args: &[&str]| -> Result<String> {
        let mut command = git.command();
        command.env("GIT_INDEX_FILE", &index).args(args);
        Ok(command::stdout_of(&mut command)?.trim_end().to_owned())
    };
    let left_out = left_out.iter().map(|path| format!(":(exclude,top,literal){path}"));
    let excludes: Vec<String> = own.iter().map(|path| exclude(path)).chain(left_out).collect();
    let mut add = vec!["-c", "core.safecrlf=false", "add", "-A", "--", ":/"];
    add.extend(excludes.iter().map(String::as_str));
    with_index(&add)?;
    // Our own files may be staged or edited: take them from HEAD, so that writing the log does not make a new state.
    for path in own.iter().filter(|path| !path.contains('*')) {
        with_index(&[
            "rm",
            "-r",
            "--cached",
            "--quiet",
            "--ignore-unmatch",
            "--force",
            "--",
            &format!(":(top,literal){path}"),
        ])?;
        let listed = git.read(&["ls-tree", "-r", "-z", "HEAD", "--full-tree", path])?;
        for line in listed.split('\0').filter(|line| !line.is_empty()) {
            let (meta, name) = line.split_once('\t').context("git ls-tree printed an unknown form")?;
            let mut fields = meta.split(' ');
            let (mode, id) = (fields.next().unwrap_or_default(), fields.nth(1).unwrap_or_default());
            with_index(&["update-index", "--add", "--cacheinfo", &format!("{mode},{id},{name}")])?;
        }
    }
    with_index(&["write-tree"])
}

/// Copies the user's index to ours, so that git need not hash every unchanged file again. The copy keeps the
/// modification time, because git distrusts an entry that is as old as its index. With a younger index, git would treat
/// a file as unchanged that was edited within the second in which it was added.
fn seed_index(git: &Git, index: &Path) -> Result<()> {
    let users = git.top().join(git.read(&["rev-parse", "--git-path", "index"])?);
    let copied = fs::copy(&users, index).and_then(|_| {
        let written = fs::metadata(&users)?.modified()?;
        fs::File::options().write(true).open(index)?.set_modified(written)
    });
    if copied.is_err() {
        let _ = fs::remove_file(index);
        let mut command = git.command();
        command.env("GIT_INDEX_FILE", index).args(["read-tree", "HEAD"]);
        command::run(&mut command)?;
    }
    Ok(())
}

/// A commit of `tree` on top of `parent`. Identity and time are fixed, so that the same state is the same commit;
/// `commit-tree` runs no hooks and signs nothing.
fn commit_tree(git: &Git, tree: &str, parent: &str) -> Result<String> {
    let mut command = git.command();
    let time = git.read(&["log", "-1", "--format=%ct +0000", parent])?;
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "assay").env(format!("GIT_{role}_EMAIL"), "assay@localhost");
        command.env(format!("GIT_{role}_DATE"), &time);
    }
    command.args(["commit-tree", "--no-gpg-sign", tree, "-p", parent, "-m", "assay: snapshot of the work tree"]);
    Ok(command::stdout_of(&mut command)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::git::tests::fresh_repository;
    use super::*;

    fn own() -> Vec<String> {
        ["BENCHMARKS.md", "baselines", ".assay-*", ".unfinished-*"].map(str::to_owned).to_vec()
    }

    #[test]
    fn a_clean_tree_is_its_commit() {
        let (_directory, git) = fresh_repository();
        let snapshot = Snapshot::of_work_tree(&git, &own()).unwrap();
        assert_eq!(Some(snapshot.commit), git.commit("HEAD").unwrap());
        assert!(!snapshot.dirty);
    }

    #[test]
    fn untracked_edited_and_deleted_files_are_kept_and_nothing_is_touched() {
        let (directory, git) = fresh_repository();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("b.txt"), "staged\n").unwrap();
        git.read(&["add", "b.txt"]).unwrap();
        fs::write(at("a.txt"), "two\n").unwrap();
        fs::write(at("new file.txt"), "new\n").unwrap();
        fs::write(at(".gitignore"), "*.log\n").unwrap();
        fs::write(at("ignored.log"), "x\n").unwrap();
        let before = git.read(&["status", "--porcelain"]).unwrap();
        let snapshot = Snapshot::of_work_tree(&git, &own()).unwrap();
        assert!(snapshot.dirty);
        assert_eq!(git.read(&["status", "--porcelain"]).unwrap(), before, "index and work tree are untouched");
        let show = |path: &str| git.read(&["show", &format!("{}:{path}", snapshot.commit)]).unwrap();
        assert_eq!(
            (show("a.txt").as_str(), show("b.txt").as_str(), show("new file.txt").as_str()),
            ("two", "staged", "new")
        );
        assert!(!git.succeeds(&["cat-file", "-e", &format!("{}:ignored.log", snapshot.commit)]).unwrap());
        assert_eq!(Snapshot::of_work_tree(&git, &own()).unwrap(), snapshot, "the same state is the same commit");
    }

    #[test]
    fn our_own_files_do_not_make_a_tree_dirty() {
        let (directory, git) = fresh_repository();
        let head = git.commit("HEAD").unwrap().unwrap();
        fs::create_dir_all(directory.path().join("baselines/m")).unwrap();
        fs::write(directory.path().join("baselines/m/log.jsonl"), "{}\n").unwrap();
        fs::write(directory.path().join("BENCHMARKS.md"), "# Log\n").unwrap();
        for leftover in [".assay-aB3xYz", ".unfinished-7-0"] {
            fs::write(directory.path().join(leftover), "half").unwrap();
        }
        assert_eq!(Snapshot::of_work_tree(&git, &own()).unwrap().commit, head);
        // In a dirty tree they keep HEAD's content.
        fs::write(directory.path().join("a.txt"), "two\n").unwrap();
        let dirty = Snapshot::of_work_tree(&git, &own()).unwrap();
        for own in ["BENCHMARKS.md", ".assay-aB3xYz", ".unfinished-7-0"] {
            assert!(!git.succeeds(&["cat-file", "-e", &format!("{}:{own}", dirty.commit)]).unwrap(), "{own}");
        }
    }

    #[test]
    fn large_untracked_files_are_listed_and_left_out() {
        let (directory, git) = fresh_repository();
        let file = fs::File::create(directory.path().join("huge.bin")).unwrap();
        file.set_len(LARGE_FILE_BYTES + 1).unwrap();
        fs::write(directory.path().join("a.txt"), "two\n").unwrap();
        let snapshot = Snapshot::of_work_tree(&git, &own()).unwrap();
        assert_eq!(snapshot.left_out, ["huge.bin"]);
        assert!(!git.succeeds(&["cat-file", "-e", &format!("{}:huge.bin", snapshot.commit)]).unwrap());
    }

    #[test]
    fn the_message_for_a_repository_without_commits_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        command::run(command::git_in(directory.path()).args(["init", "--quiet"])).unwrap();
        let git = Git::discover(directory.path()).unwrap();
        let error = Snapshot::of_work_tree(&git, &own()).unwrap_err().to_string();
        assert!(error.contains("git commit"), "{error}");
    }
}
