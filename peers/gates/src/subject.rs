//! The workspace that the gates are tried on, in a repository of its own for each gate.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::pair::{Pair, Side};
use crate::process::{command, succeed};

/// Every file of the workspace, with its lock files, so that all gates and all days build the same dependencies.
const FILES: [(&str, &str); 12] = [
    (".gitignore", "target/\n"),
    ("Cargo.toml", include_str!("../subject/Cargo.toml")),
    ("Cargo.lock", include_str!("../subject/Cargo.lock")),
    ("src/lib.rs", include_str!("../subject/src/lib.rs")),
    ("src/kernels.rs", include_str!("../subject/src/kernels.rs")),
    ("src/work.rs", include_str!("../subject/src/work.rs")),
    ("src/unrelated.rs", include_str!("../subject/src/unrelated.rs")),
    ("src/bin/once.rs", include_str!("../subject/src/bin/once.rs")),
    ("benches/kernels.rs", include_str!("../subject/benches/kernels.rs")),
    ("tango/Cargo.toml", include_str!("../subject/tango/Cargo.toml")),
    ("tango/Cargo.lock", include_str!("../subject/tango/Cargo.lock")),
    ("tango/benches/kernels.rs", include_str!("../subject/tango/benches/kernels.rs")),
];

/// Eight hexadecimal digits of all that is tried: comparisons of different subjects are not counted together.
pub fn identity() -> String {
    let bytes = FILES.iter().flat_map(|(path, text)| path.bytes().chain(text.bytes()));
    // FNV-1a, 32 bits.
    format!("{:08x}", bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)))
}

/// A repository with the workspace, on branch `main` unless a gate made another one.
pub struct Repository {
    /// Its directory.
    pub root: PathBuf,
}

impl Repository {
    /// The repository below `parent` that belongs to a gate; it is made the first time. Its build directories stay, so
    /// that later comparisons build what a pair changes only.
    ///
    /// # Errors
    /// Files that cannot be written, or git.
    pub fn open(parent: &Path, gate: &str) -> Result<Self> {
        let repository = Self { root: parent.join(format!("subject-{}", identity())).join(gate) };
        let root = &repository.root;
        // The first commit is the last step of making it.
        if repository.git(&["rev-parse", "--verify", "--quiet", "main"]).is_ok() {
            return Ok(repository);
        }
        let _ = fs::remove_dir_all(root);
        for (path, text) in FILES {
            repository.write(path, text)?;
        }
        repository.git(&["init", "--quiet", "--initial-branch=main"])?;
        repository.commit("the subject")?;
        Ok(repository)
    }

    /// Writes what differs between the sides of a pair.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn put(&self, pair: &Pair, side: Side) -> Result<()> {
        self.write("src/work.rs", &pair.work(side))?;
        self.write("src/unrelated.rs", &pair.unrelated(side))
    }

    /// Commits everything, also nothing; gives the commit.
    ///
    /// # Errors
    /// Git.
    pub fn commit(&self, message: &str) -> Result<String> {
        self.git(&["add", "-A"])?;
        self.git(&["commit", "--quiet", "--no-verify", "--allow-empty", "-m", message])?;
        Ok(self.git(&["rev-parse", "HEAD"])?.trim().to_owned())
    }

    /// Runs git here, under a name of its own and without the user's hooks and signatures.
    ///
    /// # Errors
    /// Git.
    pub fn git(&self, arguments: &[&str]) -> Result<String> {
        let own = ["user.name=gates", "user.email=gates@example.invalid", "commit.gpgsign=false", "core.hooksPath="];
        let mut git = command("git", if self.root.is_dir() { &self.root } else { Path::new(".") });
        // Without the first argument, git would find a repository that this one lies in.
        git.arg(format!("--git-dir={}", self.root.join(".git").display()));
        git.arg(format!("--work-tree={}", self.root.display()));
        own.iter().for_each(|setting| {
            git.args(["-c", setting]);
        });
        succeed(git.args(arguments))
    }

    /// Cargo here.
    pub fn cargo(&self) -> std::process::Command {
        command("cargo", &self.root)
    }

    /// Writes a file of the workspace.
    ///
    /// # Errors
    /// The disk.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.root.join(path);
        path.parent().map_or(Ok(()), fs::create_dir_all).context("failed to make a directory of the subject")?;
        fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::Kind;

    #[test]
    fn both_sides_are_commits_of_one_repository() {
        let parent = tempfile::tempdir().unwrap();
        let pair = Pair::draw(1, Kind::Slowed, 0, 6, &[5, 8, 10]);
        let repository = Repository::open(parent.path(), "some").unwrap();
        let mut commits = Vec::new();
        for side in [Side::Base, Side::Head] {
            repository.put(&pair, side).unwrap();
            commits.push(repository.commit("a side").unwrap());
        }
        let changed = repository.git(&["diff", "--name-only", &commits[0], &commits[1]]).unwrap();
        assert_eq!(changed.lines().collect::<Vec<_>>(), ["src/unrelated.rs", "src/work.rs"]);
        let again = Repository::open(parent.path(), "some").unwrap();
        assert_eq!(again.git(&["rev-parse", "HEAD"]).unwrap().trim(), commits[1], "an open repository is kept");
    }

    #[test]
    fn every_file_of_the_subject_is_listed() {
        fn files(directory: &Path) -> usize {
            let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
            entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
        }
        // The listed .gitignore is not a file of its own.
        assert_eq!(files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("subject")), FILES.len() - 1);
    }
}
