//! Slots: where each side of a comparison is checked out and built.
//!
//! A slot is a git worktree with a target directory of its own. Two worktrees must never share one: cargo hashes
//! workspace paths relative to the workspace and compares modification times, so it would call the second side's
//! artifacts fresh and hand out the first side's binary. Slots live in the user's cache directory, outside every
//! checkout (a slot inside one would merge that checkout's `.cargo/config.toml`), and are kept between comparisons, so
//! that the next one rebuilds only what changed. All paths are equally long: path length shifts the stack.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};

use crate::command;
use crate::disk;
use crate::repo::{Git, Snapshot};

/// Where functions begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alignment {
    /// On 64-byte boundaries: what every comparison uses.
    #[default]
    Lines,
    /// Where the compiler puts them: only the self-test of the layout asks for it.
    Natural,
}

/// Names of slots, one for each side of a comparison: all of one length, because path length shifts the stack.
const LETTERS: [&str; 1 + MOST_BASES] = ["a", "b", "c", "d", "e"];
/// Most bases that a head is compared with at a time.
pub const MOST_BASES: usize = 4;

/// The slots of one clone.
#[derive(Debug)]
pub struct Slots {
    root: PathBuf,
}

/// One side: a checked-out revision and where it is built.
#[derive(Clone, Debug)]
pub struct Slot {
    directory: PathBuf,
}

impl Slots {
    /// The slots of the clone that `git` belongs to, below the tool's cache directory.
    pub fn open(cache: &Path, git: &Git) -> Result<Self> {
        git.check_writable()?;
        let root = Self::directory(cache, git);
        fs::create_dir_all(&root).with_context(|| format!("failed to make {}; is the disk full?", root.display()))?;
        Ok(Self { root })
    }

    /// Where the slots of a clone are, whether they exist or not.
    pub fn directory(cache: &Path, git: &Git) -> PathBuf {
        let common = git.common_dir();
        // All work trees of a clone share its slots: the lock lets one comparison run at a time anyway.
        let home = if common.ends_with(".git") { common.parent() } else { Some(common) };
        let name = home
            .and_then(Path::file_name)
            .map_or_else(|| "workspace".into(), |name| name.to_string_lossy().into_owned());
        let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(24).collect();
        let mut hasher = DefaultHasher::new();
        common.hash(&mut hasher);
        cache.join(format!("{name}-{:08x}", hasher.finish() as u32))
    }

    /// The directory of this clone below the cache.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Removes all slots, git's knowledge of their worktrees, and what is kept beside them except the store of `git`:
    /// the store may hold a revision that is about to be compared. Never by `git worktree prune`: that would also
    /// forget every worktree of the user's whose directory is away at the moment, with what is staged there.
    pub fn clean(&self, git: &Git) -> Result<()> {
        for slot in self.all() {
            let tree = slot.tree();
            let path = tree.to_str().context("the cache directory's path is not UTF-8")?;
            // A slot that git does not know of is no error: there is nothing to forget.
            command::output_of(git.of_worktrees().args(["worktree", "remove", "--force", "--force", path]))?;
        }
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let path = entry.path();
            if git.store() == Some(&path) {
                continue;
            }
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let removed = if is_directory { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.with_context(|| format!("failed to remove {}", path.display()))?;
        }
        Ok(())
    }

    /// Removes everything that is kept for the clone, the store of `git` as well.
    pub fn remove(&self, git: &Git) -> Result<()> {
        self.clean(git)?;
        fs::remove_dir_all(&self.root).with_context(|| format!("failed to remove {}", self.root.display()))
    }

    /// Whether a slot holds this commit, checked out to the end, so that its build is at most partly stale.
    pub fn hold(&self, commit: &str) -> bool {
        self.all().iter().any(|slot| slot.commit().is_some_and(|held| held == commit))
    }

    /// A slot for each of these commits. The slot that holds a commit already, from an earlier comparison, is given to
    /// that side, so that yesterday's head is not built again as today's base.
    pub fn assign(&self, commits: &[&str]) -> Vec<Slot> {
        let mut free = self.all();
        let mut take = |is: &dyn Fn(&Slot) -> bool| free.iter().position(is).map(|at| free.remove(at));
        let held: Vec<Option<Slot>> =
            commits.iter().map(|commit| take(&|slot| slot.commit().as_deref() == Some(*commit))).collect();
        held.into_iter().filter_map(|held| held.or_else(|| take(&|_| true))).collect()
    }

    /// Checks out one side alone, for the first entry under a title.
    pub fn check_out_one(&self, git: &Git, head: &Snapshot) -> Result<Slot> {
        // No slot holds the commit that the second one is asked for: it is any other slot.
        let [slot, other] =
            self.assign(&[&head.commit, ""]).try_into().map_err(|_| anyhow!("two slots for two sides"))?;
        slot.check_out(git, &head.commit, &other)?;
        Ok(slot)
    }

    fn all(&self) -> Vec<Slot> {
        LETTERS.iter().map(|letter| self.slot(letter)).collect()
    }

    fn slot(&self, letter: &str) -> Slot {
        Slot { directory: self.root.join(letter) }
    }
}

impl Slot {
    /// The slot's directory, which holds everything of it.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The work tree.
    pub fn tree(&self) -> PathBuf {
        self.directory.join("tree")
    }

    /// The target directory. Cargo does not know of the alignment, so each has one of its own.
    pub fn target(&self, alignment: Alignment) -> PathBuf {
        self.directory.join(match alignment {
            Alignment::Lines => "target",
            Alignment::Natural => "target-natural",
        })
    }

    /// Where built programs are copied, out of the next build's way.
    pub fn programs(&self, alignment: Alignment) -> PathBuf {
        self.directory.join(match alignment {
            Alignment::Lines => "programs",
            Alignment::Natural => "programs-natural",
        })
    }

    /// Where the compiler and linker scripts stand.
    pub fn wrapper(&self) -> PathBuf {
        self.directory.join("wrapper")
    }

    /// Where a build that failed leaves all that it said.
    pub fn build_log(&self) -> PathBuf {
        self.directory.join("build.log")
    }

    /// The commit that is checked out here, as far as the last checkout got to its end.
    fn commit(&self) -> Option<String> {
        Some(fs::read_to_string(self.directory.join("commit")).ok()?.trim().to_owned())
    }

    /// Checks out `commit`. A slot that is new takes over what the `other` one has built so far, so check out a side
    /// after the other is built where you can: dependencies are then compiled once.
    pub fn check_out(&self, git: &Git, commit: &str, other: &Slot) -> Result<()> {
        let tree = self.tree();
        if !self.is_worktree(git)? {
            let _ = fs::remove_dir_all(&tree);
            fs::create_dir_all(&self.directory)
                .with_context(|| format!("failed to make {}", self.directory.display()))?;
            // Before the checkout: artifacts copied now are older than every source file that is checked out next,
            // so cargo rebuilds the workspace's own crates and keeps the dependencies.
            let (ours, theirs) = (self.target(Alignment::Lines), other.target(Alignment::Lines));
            if !ours.exists() && theirs.exists() {
                copy_tree(&theirs, &ours);
            }
            let path = tree.to_str().context("the cache directory's path is not UTF-8")?;
            let mut add = git.of_worktrees();
            add.args(["-c", "core.hooksPath=/dev/null", "worktree", "add", "--detach"]);
            // Twice: whatever git remembers of an earlier slot at this path is replaced.
            add.args(["--force", "--force", "--no-checkout", path, commit]);
            let added = command::run(&mut add);
            added.map_err(|error| explained(error, &self.directory)).context("failed to make a worktree")?;
        }
        let _ = fs::remove_file(self.directory.join("commit"));
        self.remove_stale_lock()?;
        self.git(&["checkout", "--quiet", "--detach", "--force", commit])
            .map_err(|error| explained(error, &self.directory))?;
        self.git(&["clean", "--quiet", "-ffdx"])?;
        if tree.join(".gitmodules").exists() {
            self.git(&["submodule", "--quiet", "update", "--init", "--recursive", "--force"])
                .map_err(|error| explained(error, &self.directory))
                .context("failed to fetch the submodules of a revision")?;
        }
        fs::write(self.directory.join("commit"), commit).context("failed to write into the slot; is the disk full?")
    }

    /// Whether the tree is a worktree of this very repository.
    fn is_worktree(&self, git: &Git) -> Result<bool> {
        let found = match Git::discover(&self.tree()) {
            Err(error) if command::is_interrupted(&error) => return Err(error),
            Err(_) => return Ok(false),
            Ok(found) => found,
        };
        let same = |a: &Path, b: &Path| a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b);
        Ok(same(found.common_dir(), git.home()) && same(found.top(), &self.tree()))
    }

    /// A killed git leaves its lock behind. Only one comparison runs at a time on a machine, so the lock is stale.
    fn remove_stale_lock(&self) -> Result<()> {
        let path = self.git(&["rev-parse", "--path-format=absolute", "--git-path", "index.lock"])?;
        let _ = fs::remove_file(path);
        Ok(())
    }

    fn git(&self, args: &[&str]) -> Result<String> {
        let mut command: Command = command::git_in(&self.tree());
        command.args(["-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false"]);
        Ok(command::stdout_of(command.args(args))?.trim_end().to_owned())
    }
}

/// What to do about a checkout into `directory` that failed, where git's message tells.
fn explained(error: anyhow::Error, directory: &Path) -> anyhow::Error {
    let text = format!("{error:#}");
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if let Some(full) = disk::full(&text, directory) {
        return error.context(full);
    }
    if has(&["smudge filter lfs", "git-lfs", "external filter 'git-lfs"]) {
        let cure = "objects of Git LFS are missing: fetch them with `git lfs fetch --all`, or set \
                    GIT_LFS_SKIP_SMUDGE=1 if no benchmark reads them";
        return crate::exit::usage(format!("{cure}\n{text}"));
    }
    if has(&["unable to read tree", "unable to read sha1", "bad object", "missing blob"]) {
        let cure = "this clone lacks objects of the revision: fetch them with `git fetch --unshallow` or \
                    `git fetch --refetch`";
        return crate::exit::usage(format!("{cure}\n{text}"));
    }
    error
}

/// Copies a directory with its modification times; a failure only costs a longer build. The copy appears whole or not
/// at all: cargo would take half a library for a fresh one.
fn copy_tree(from: &Path, to: &Path) {
    let partial = to.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    let copied = command::run(Command::new("cp").args(["-a", "--reflink=auto", "--"]).arg(from).arg(&partial));
    if copied.is_err() || fs::rename(&partial, to).is_err() {
        let _ = fs::remove_dir_all(&partial);
    }
}

#[cfg(test)]
mod tests;
