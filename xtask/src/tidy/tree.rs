//! The input of the rules: text files that git tracks or would add, and the manifests among them.

use std::path::Path;

use anyhow::{Context, Result};
use compare::command;

use super::source::Source;

/// The text files of a work tree.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Absolute path of the root, for the rule that forbids mentioning it; empty in tests.
    pub(super) root: String,
    /// Sorted by path.
    pub(super) files: Vec<File>,
    /// Bytes of each file, by path; those that are not text, too.
    pub(super) sizes: Vec<(String, u64)>,
}

/// A text file.
#[derive(Debug)]
pub(super) struct File {
    /// Path from the root, with `/`.
    pub(super) path: String,
    /// Its content.
    pub(super) text: String,
    /// For a Rust file, its content split into code and comments.
    source: Option<Source>,
}

/// A `Cargo.toml` that can be read.
#[derive(Debug)]
pub(super) struct Manifest<'a> {
    /// The file.
    pub(super) file: &'a File,
    /// Its content.
    pub(super) table: toml::Table,
}

impl Tree {
    /// Tracked files, and untracked ones that are not ignored. Files that are not text are left out.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut git = command::in_directory("git", root);
        let listed = command::stdout_of(git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))
            .context("tidy needs a git checkout: it reads the files that git tracks")?;
        let mut paths: Vec<&str> = listed.split_terminator('\0').collect();
        paths.sort_unstable();
        paths.dedup();
        let read = |path: &&str| {
            let text = std::fs::read_to_string(root.join(path)).ok()?;
            Some(File::new(path, text))
        };
        let size = |path: &&str| Some(((*path).to_owned(), std::fs::metadata(root.join(path)).ok()?.len()));
        let sizes = paths.iter().filter_map(size).collect();
        Ok(Self { sizes, ..Self::new(root.display().to_string(), paths.iter().filter_map(read).collect()) })
    }

    fn new(root: String, mut files: Vec<File>) -> Self {
        let modules: Vec<String> = files.iter().flat_map(File::test_modules).collect();
        for file in &mut files {
            let belongs = |module: &String| {
                file.path.strip_prefix(module.as_str()).is_some_and(|rest| rest.starts_with(['.', '/']))
            };
            if let (true, Some(source)) = (modules.iter().any(belongs), &mut file.source) {
                source.lines.iter_mut().for_each(|line| line.is_test = true);
            }
        }
        Self { root, files, sizes: Vec::new() }
    }

    /// From texts, for tests of rules.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        Self::new(String::new(), files.iter().map(|(path, text)| File::new(path, (*text).to_owned())).collect())
    }

    /// The same with a file of so many bytes, for tests of rules.
    #[cfg(test)]
    pub(super) fn with_size(mut self, path: &str, bytes: u64) -> Self {
        self.sizes.push((path.to_owned(), bytes));
        self
    }

    /// The file at `path`.
    pub(super) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Files whose names end in one of the given suffixes.
    pub(super) fn ending(&self, ends: &'static [&'static str]) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| ends.iter().any(|end| file.path.ends_with(end)))
    }

    /// Rust files, split into code and comments.
    pub(super) fn sources(&self) -> impl Iterator<Item = (&File, &Source)> {
        self.files.iter().filter_map(|file| Some((file, file.source.as_ref()?)))
    }

    /// The workspace's own manifest. Cargo has refused one that is not TOML before this runs.
    pub(super) fn workspace(&self) -> Option<Manifest<'_>> {
        Manifest::of(self.file("Cargo.toml")?)
    }

    /// The members' manifests: those one directory below `crates/`, and xtask's.
    pub(super) fn members(&self) -> Vec<Manifest<'_>> {
        let is_member = |path: &str| match path.strip_suffix("/Cargo.toml") {
            Some("xtask") => true,
            Some(directory) => directory.strip_prefix("crates/").is_some_and(|name| !name.contains('/')),
            None => false,
        };
        self.files.iter().filter(|file| is_member(&file.path)).filter_map(Manifest::of).collect()
    }
}

impl File {
    fn new(path: &str, text: String) -> Self {
        let source = path.ends_with(".rs").then(|| Source::parse(&text));
        Self { path: path.to_owned(), text, source }
    }

    /// Modules in other files that this one declares under `#[cfg(test)]`: their paths without `.rs`.
    fn test_modules(&self) -> Vec<String> {
        let (directory, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let stem = name.trim_end_matches(".rs");
        let parent =
            if matches!(stem, "lib" | "main" | "mod") { directory.to_owned() } else { format!("{directory}/{stem}") };
        let lines = self.source.iter().flat_map(|source| &source.lines).filter(|line| line.is_test);
        let module = |code: &str| Some(code.trim().rsplit_once("mod ")?.1.strip_suffix(';')?.to_owned());
        lines.filter_map(|line| module(&line.code)).map(|name| format!("{parent}/{name}")).collect()
    }

    /// Number of the first line that contains `needle`, from 1; 1 if none does.
    pub(super) fn line_of(&self, needle: &str) -> usize {
        self.text.lines().position(|line| line.contains(needle)).map_or(1, |at| at + 1)
    }
}

impl<'a> Manifest<'a> {
    fn of(file: &'a File) -> Option<Self> {
        Some(Self { file, table: file.text.parse().ok()? })
    }

    /// The package's name.
    pub(super) fn name(&self) -> &str {
        self.table.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str).unwrap_or("")
    }

    /// The package's directory, relative to the root.
    pub(super) fn directory(&self) -> &str {
        self.file.path.strip_suffix("/Cargo.toml").unwrap_or("")
    }

    /// Every dependency: the table it stands in (`dependencies`, `dev-dependencies`, `build-dependencies`, those of
    /// targets included), its key, its value.
    pub(super) fn dependencies(&self) -> Vec<(&'static str, &str, &toml::Value)> {
        let targets = self.table.get("target").and_then(toml::Value::as_table);
        let conditional = targets.into_iter().flat_map(|targets| targets.values().filter_map(toml::Value::as_table));
        let mut found = Vec::new();
        for table in std::iter::once(&self.table).chain(conditional) {
            for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
                let entries = table.get(kind).and_then(toml::Value::as_table);
                found.extend(entries.into_iter().flatten().map(|(key, value)| (kind, key.as_str(), value)));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_is_declared_for_tests_is_all_test() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "mod b;\n"),
            ("crates/a/src/b.rs", "#[cfg(test)]\nmod golden;\nmod real;\n"),
            ("crates/a/src/b/golden.rs", "fn f() {}\n"),
            ("crates/a/src/b/golden/deep.rs", "fn f() {}\n"),
            ("crates/a/src/b/real.rs", "fn f() {}\n"),
        ]);
        let tests = tree.sources().filter(|(_, source)| source.lines[0].is_test).map(|(file, _)| file.path.as_str());
        assert_eq!(
            tests.collect::<Vec<_>>(),
            ["crates/a/src/b.rs", "crates/a/src/b/golden.rs", "crates/a/src/b/golden/deep.rs"]
        );
    }

    #[test]
    fn members_and_their_dependencies_are_found() {
        let tree = Tree::of(&[
            ("Cargo.toml", "[workspace]"),
            (
                "crates/a/Cargo.toml",
                "[package]\nname = \"a\"\n[dependencies]\nx = \"1\"\n[target.'cfg(unix)'.dev-dependencies]\ny = \"1\"\n",
            ),
            ("crates/a/fuzz/Cargo.toml", "[package]\nname = \"a-fuzz\"\n"),
            ("peers/b/Cargo.toml", "[package]\nname = \"b\"\n"),
        ]);
        let members = tree.members();
        assert_eq!(members.iter().map(Manifest::name).collect::<Vec<_>>(), ["a"]);
        let found: Vec<_> = members[0].dependencies().iter().map(|(kind, key, _)| (*kind, (*key).to_owned())).collect();
        assert_eq!(found, [("dependencies", "x".to_owned()), ("dev-dependencies", "y".to_owned())]);
        assert_eq!(members[0].file.line_of("y ="), 6);
    }
}
