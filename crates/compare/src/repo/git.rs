//! The git commands that `compare` runs. Every call goes through the `git` program, because it honors the user's
//! configuration, worktrees, partial clones and hash functions. A library would have to imitate them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::store::Store;
use crate::command;
use crate::exit::usage;

/// A git work tree.
#[derive(Clone, Debug)]
pub struct Git {
    top: PathBuf,
    common_dir: PathBuf,
    /// Takes what the repository itself cannot: see [`Store`].
    store: Option<Store>,
}

impl Git {
    /// The work tree that contains `directory`.
    pub fn discover(directory: &Path) -> Result<Self> {
        // One query per call: a path may contain line breaks.
        let ask = |what: &str| -> Result<PathBuf> {
            let mut probe = command::git_in(directory);
            probe.args(["rev-parse", "--path-format=absolute", what]);
            let output = command::output_of(&mut probe).map_err(|error| match command::is_interrupted(&error) {
                true => error,
                false => usage("git is not installed; two revisions cannot be compared without it"),
            })?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            match text.strip_suffix('\n').filter(|path| output.status.success() && !path.is_empty()) {
                Some(path) => Ok(PathBuf::from(path)),
                None => Err(usage(no_work_tree(directory, &command::tail(&output.stderr)))),
            }
        };
        Ok(Self { top: ask("--show-toplevel")?, common_dir: ask("--git-common-dir")?, store: None })
    }

    /// The same work tree, with snapshots and worktrees in a repository of our own at `path` if its own one cannot be
    /// written. References are not written there, so nothing can be logged.
    ///
    /// # Errors
    /// If that repository cannot be made.
    pub fn with_store_if_needed(self, path: &Path) -> Result<Self> {
        if self.is_writable() {
            return Ok(self);
        }
        let store = Store::open(path, &self)?;
        Ok(self.with_store(store))
    }

    pub(super) fn with_store(self, store: Store) -> Self {
        Self { store: Some(store), ..self }
    }

    fn is_writable(&self) -> bool {
        tempfile::tempfile_in(&self.common_dir).is_ok()
    }

    /// Where snapshots go instead of the repository itself.
    pub fn store(&self) -> Option<&Path> {
        self.store.as_ref().map(Store::path)
    }

    /// The repository that the slots' worktrees belong to.
    pub fn home(&self) -> &Path {
        self.store().unwrap_or(&self.common_dir)
    }

    /// A git command in the repository that the slots' worktrees belong to.
    pub fn of_worktrees(&self) -> Command {
        let mut command = command::git_in(self.store().unwrap_or(&self.top));
        command.env("GIT_OPTIONAL_LOCKS", "0");
        command
    }

    /// The root of the work tree.
    pub fn top(&self) -> &Path {
        &self.top
    }

    /// The directory shared by all work trees of this repository; it identifies the clone.
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// Refuses a repository whose git directory cannot be written, and that has no store: snapshots and the slots'
    /// worktrees are kept there.
    pub fn check_writable(&self) -> Result<()> {
        if self.store.is_some() {
            return Ok(());
        }
        self.check_own_writable("Compare in a clone of your own")
    }

    /// Refuses a repository whose git directory cannot be written, though a reference is to be written there.
    pub fn check_can_log(&self) -> Result<()> {
        self.check_own_writable("Nothing can be logged here: compare with --no-log, or in a clone of your own")
    }

    fn check_own_writable(&self, cure: &str) -> Result<()> {
        tempfile::tempfile_in(&self.common_dir).map(drop).map_err(|error| {
            usage(format!(
                "{} cannot be written ({error}): a comparison keeps snapshots and worktrees there. {cure}: \
                 git clone {}",
                self.common_dir.display(),
                self.top.display()
            ))
        })
    }

    /// A git command in this work tree that cannot prompt and takes no optional locks.
    pub fn command(&self) -> Command {
        let mut command = command::git_in(&self.top);
        command.env("GIT_OPTIONAL_LOCKS", "0");
        if let Some(store) = &self.store {
            store.apply(&mut command);
        }
        command
    }

    /// Runs git with `args` and returns what it printed, without the final newline.
    pub fn read(&self, args: &[&str]) -> Result<String> {
        Ok(command::stdout_of(self.command().args(args))?.trim_end_matches('\n').to_owned())
    }

    /// Whether git with `args` succeeds.
    pub fn succeeds(&self, args: &[&str]) -> Result<bool> {
        Ok(command::output_of(self.command().args(args))?.status.success())
    }

    /// The full commit id that `revision` names, if this clone has it.
    pub fn commit(&self, revision: &str) -> Result<Option<String>> {
        let output = command::output_of(self.command().args([
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &format!("{revision}^{{commit}}"),
        ]))?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok((output.status.success() && !text.is_empty()).then_some(text))
    }

    /// Git's id of the files of a commit.
    pub fn tree(&self, commit: &str) -> Result<String> {
        self.read(&["rev-parse", "--verify", &format!("{commit}^{{tree}}")])
    }

    /// The commit that `revision` names, or an error that says how to get it.
    pub fn require_commit(&self, revision: &str, option: &str) -> Result<String> {
        if let Some(commit) = self.commit(revision)? {
            return Ok(commit);
        }
        let cure = if self.is_shallow()? {
            "This clone is shallow; get the rest with: git fetch --unshallow (in GitHub Actions: fetch-depth: 0)"
                .to_owned()
        } else {
            "Fetch it (git fetch --all --tags), or name another one".to_owned()
        };
        Err(usage(format!("this clone has no revision `{revision}`. {cure} ({option} REV).")))
    }

    /// Whether the clone is shallow.
    pub fn is_shallow(&self) -> Result<bool> {
        Ok(self.read(&["rev-parse", "--is-shallow-repository"])? == "true")
    }

    /// The best common ancestor of two commits.
    pub fn merge_base(&self, a: &str, b: &str) -> Result<String> {
        let output = command::output_of(self.command().args(["merge-base", a, b]))?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() && !text.is_empty() {
            return Ok(text);
        }
        let cure = if self.is_shallow()? {
            "this clone is shallow; get the history with: git fetch --unshallow (in GitHub Actions: fetch-depth: 0)"
        } else {
            "the two have no common ancestor; name the base yourself with --base REV"
        };
        Err(usage(format!("no merge base of {a} and {b}: {cure}")))
    }

    /// The first line of a commit's message.
    pub fn subject(&self, commit: &str) -> Result<String> {
        self.read(&["log", "-1", "--format=%s", commit])
    }

    /// Paths that differ between two commits, relative to the top of the work tree.
    pub fn changed_paths(&self, base: &str, head: &str) -> Result<Vec<String>> {
        let text = self.read(&["diff", "--name-only", "--no-renames", "-z", base, head])?;
        Ok(text.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
    }

    /// Points `refs/assay/NAME` at `commit`, so that it outlives garbage collection.
    pub fn keep(&self, name: &str, commit: &str) -> Result<()> {
        self.read(&["update-ref", &format!("refs/assay/{name}"), commit])
            .map(drop)
            .context("failed to keep the revision")
    }

    /// Drops the kept revisions that are neither in `named`, the entries of this work tree, nor in a version of the log
    /// at `path` on any branch. A revision is kept as long as an entry that measured it exists. An interrupt is no
    /// error here: the entry is logged already, and the next run drops the rest.
    pub fn drop_unnamed(&self, named: &[String], path: &str) -> Result<()> {
        self.drop_all_unnamed(named, path).or_else(|error| match command::is_interrupted(&error) {
            true => Ok(()),
            false => Err(error),
        })
    }

    fn drop_all_unnamed(&self, named: &[String], path: &str) -> Result<()> {
        let kept = self.read(&["for-each-ref", "--format=%(refname)", "refs/assay/"])?;
        for reference in kept.lines() {
            let name = reference.trim_start_matches("refs/assay/");
            if named.iter().any(|known| known == name) {
                continue;
            }
            let search = format!("-Sassay:{name}");
            let elsewhere = self.read(&["log", "--branches", "--remotes", "-1", "--format=%H", &search, "--", path])?;
            if elsewhere.is_empty() {
                self.read(&["update-ref", "-d", reference])?;
            }
        }
        Ok(())
    }
}

/// Why git finds no work tree in `directory`, and what to do.
fn no_work_tree(directory: &Path, said: &str) -> String {
    let directory = directory.display();
    if said.contains("dubious ownership") {
        return format!(
            "git refuses to work in {directory}, because it belongs to another user. If you trust it:\n\
             git config --global --add safe.directory {directory}\n(git says: {said})"
        );
    }
    format!(
        "{directory} is not in a git work tree, so there are no two revisions to compare.\n\
         Make it one with: git init && git add -A && git commit -m start\n(git says: {said})"
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A repository with one commit, for tests.
    pub(crate) fn fresh_repository() -> (tempfile::TempDir, Git) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let git = |args: &[&str]| command::run(command::git_in(path).args(args)).unwrap();
        git(&["init", "--quiet", "--initial-branch=main"]);
        git(&["config", "user.name", "Test"]);
        git(&["config", "user.email", "test@example.invalid"]);
        std::fs::write(path.join("a.txt"), "one\n").unwrap();
        git(&["add", "-A"]);
        git(&["commit", "--quiet", "-m", "first"]);
        let git = Git::discover(path).unwrap();
        (directory, git)
    }

    /// `git` as if its repository could not be written, with a store at `path`, for tests.
    pub(crate) fn stored(git: Git, path: &Path) -> Git {
        let store = Store::open(path, &git).unwrap();
        git.with_store(store)
    }

    #[test]
    fn outside_a_repository_the_message_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let error = Git::discover(directory.path()).unwrap_err();
        assert_eq!(crate::exit::of_error(&error), crate::exit::Exit::Usage);
        assert!(error.to_string().contains("git init"), "{error}");
    }

    #[test]
    fn a_directory_of_another_user_has_its_own_message() {
        let said = "fatal: detected dubious ownership in repository at '/x'";
        assert!(no_work_tree(Path::new("/x"), said).contains("--add safe.directory /x"));
        assert!(!no_work_tree(Path::new("/x"), said).contains("git init"));
    }

    #[test]
    fn a_path_may_contain_line_breaks() {
        let directory = tempfile::tempdir().unwrap();
        let odd = directory.path().join("two\nlines");
        std::fs::create_dir(&odd).unwrap();
        command::run(command::git_in(&odd).args(["init", "--quiet"])).unwrap();
        let git = Git::discover(&odd).unwrap();
        assert_eq!(git.top().canonicalize().unwrap(), odd.canonicalize().unwrap());
        assert_eq!(git.common_dir().canonicalize().unwrap(), odd.join(".git").canonicalize().unwrap());
    }

    #[test]
    fn revisions_resolve_or_say_how_to_get_them() {
        let (_directory, git) = fresh_repository();
        let head = git.commit("HEAD").unwrap().unwrap();
        assert_eq!(head.len(), 40);
        assert_eq!(git.commit("nowhere").unwrap(), None);
        assert_eq!(git.commit("--help").unwrap(), None, "a revision is never taken for an option");
        let error = git.require_commit("nowhere", "--base").unwrap_err().to_string();
        assert!(error.contains("--base REV") && error.contains("git fetch"), "{error}");
        assert_eq!(git.subject(&head).unwrap(), "first");
    }

    #[test]
    fn a_kept_revision_lives_as_long_as_an_entry_names_it() {
        let (directory, git) = fresh_repository();
        let head = git.commit("HEAD").unwrap().unwrap();
        for name in ["here", "elsewhere", "nowhere"] {
            git.keep(name, &head).unwrap();
        }
        git.read(&["checkout", "--quiet", "-b", "other"]).unwrap();
        std::fs::write(directory.path().join("BENCHMARKS.md"), "<!-- assay:elsewhere -->\n").unwrap();
        git.read(&["add", "-A"]).unwrap();
        git.read(&["commit", "--quiet", "-m", "log on another branch"]).unwrap();
        git.read(&["checkout", "--quiet", "main"]).unwrap();
        git.drop_unnamed(&["here".to_owned()], "BENCHMARKS.md").unwrap();
        let kept = git.read(&["for-each-ref", "--format=%(refname:lstrip=2)", "refs/assay/"]).unwrap();
        assert_eq!(kept, "elsewhere\nhere");
    }

    #[test]
    fn the_message_for_a_shallow_clone_says_how_to_deepen() {
        let (directory, git) = fresh_repository();
        std::fs::write(directory.path().join("a.txt"), "two\n").unwrap();
        git.read(&["commit", "--quiet", "-am", "second"]).unwrap();
        let first = git.commit("HEAD~1").unwrap().unwrap();
        let clone = tempfile::tempdir().unwrap();
        let url = format!("file://{}", directory.path().display());
        command::run(command::git_in(clone.path()).args(["clone", "--quiet", "--depth=1", &url, "c"])).unwrap();
        let shallow = Git::discover(&clone.path().join("c")).unwrap();
        let error = shallow.require_commit(&first, "--base").unwrap_err().to_string();
        assert!(error.contains("--unshallow") && error.contains("fetch-depth: 0"), "{error}");
    }
}
