//! Reading and writing the log so that it is whole at every moment.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use record::jsonl;

use super::{index, markdown};
use crate::exit::usage;
use crate::report::{Entry, SCHEMA, markdown as entry_text};

/// Name of the text.
const TEXT: &str = "BENCHMARKS.md";
/// Directory of the data.
const DATA: &str = "baselines";
/// A prepared text that waits for its data to be in place.
const PENDING: &str = ".BENCHMARKS.md.pending";
/// How the name of the file begins that tries whether the log can be written.
const PROBE: &str = ".assay-";

/// The log of one workspace.
#[derive(Clone, Debug)]
pub struct Log {
    root: PathBuf,
}

/// What the last entry under a title measured.
#[derive(Clone, Debug)]
pub struct Last {
    /// The entry.
    pub id: String,
    /// Commit of its "after".
    pub commit: String,
    /// Short id and subject.
    pub label: String,
    /// What it was logged as.
    pub change: String,
}

/// The trimmed title, or why it cannot head a group.
pub fn valid_title(title: &str) -> Result<String> {
    let title = title.trim();
    if title.is_empty() || title.chars().any(char::is_control) {
        return Err(usage("--title must be one non-empty line of text"));
    }
    if title.chars().count() > 200 {
        return Err(usage("--title is longer than 200 characters; put the detail into --change"));
    }
    Ok(title.to_owned())
}

impl Log {
    /// The log of the workspace in `root`.
    pub fn open(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Paths that the log writes, relative to the workspace: they are not dirt of a work tree.
    pub fn own_paths() -> [&'static str; 3] {
        [TEXT, DATA, PENDING]
    }

    /// Patterns of temporary files that a killed run leaves beside the text: they are not dirt either.
    pub fn leftover_patterns() -> [&'static str; 2] {
        [".assay-*", ".unfinished-*"]
    }

    /// Removes such files, beside the text and the data. Whoever holds the repository's lock may: no other run writes.
    fn sweep(&self) {
        let classes = fs::read_dir(self.root.join(DATA)).into_iter().flatten().flatten().map(|class| class.path());
        let beside_text = self.text_path().parent().map(Path::to_owned);
        let directories = classes.chain(beside_text).chain([self.root.clone()]);
        for directory in directories {
            whole_file::sweep(&directory);
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                if is_probe(&entry.file_name().to_string_lossy()) {
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
    }

    /// Ids of the entries in a text that an interrupted run prepared and did not put into its place.
    pub fn pending_ids(&self) -> Vec<String> {
        let text = fs::read_to_string(self.pending_path()).unwrap_or_default();
        markdown::entries(&text).into_iter().filter_map(|found| found.id).collect()
    }

    /// Path of the text; where it is a symbolic link, the file that it leads to.
    pub fn text_path(&self) -> PathBuf {
        let path = self.root.join(TEXT);
        path.canonicalize().unwrap_or(path)
    }

    /// Whether the workspace has a log already.
    pub fn exists(&self) -> bool {
        self.text_path().exists()
    }

    /// Beside the text, so that it can take its place by a rename.
    fn pending_path(&self) -> PathBuf {
        self.text_path().with_file_name(PENDING)
    }

    fn data_path(&self, class: &str) -> PathBuf {
        self.root.join(DATA).join(class).join("log.jsonl")
    }

    /// The text, or that of a new log.
    pub fn text(&self) -> Result<String> {
        match fs::read_to_string(self.text_path()) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(markdown::HEAD.to_owned()),
            Err(error) => Err(error).with_context(|| format!("failed to read {}", self.text_path().display())),
        }
    }

    /// The data of every machine class, with the path of each file.
    pub fn data(&self) -> Result<Vec<(PathBuf, Vec<Entry>)>> {
        let mut files = Vec::new();
        let Ok(classes) = fs::read_dir(self.root.join(DATA)) else { return Ok(files) };
        for class in classes {
            let path = class.context("failed to list baselines/")?.path().join("log.jsonl");
            if path.exists() {
                let lines = jsonl::read::<Entry>(&path, SCHEMA)
                    .context("the log's data cannot be read; restore them from git")?;
                if let Some(line) = lines.torn {
                    return Err(usage(format!(
                        "{} ends in half an entry (line {line}); restore it (git checkout -- FILE), or delete that \
                         line",
                        path.display()
                    )));
                }
                files.push((path, lines.rows));
            }
        }
        files.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(files)
    }

    /// The last entry under `title`: the last one in the text that carries an id and has data.
    pub fn last(&self, title: &str) -> Result<Option<Last>> {
        let text = self.text()?;
        let data = self.data()?;
        let with_data = |id: &str| data.iter().flat_map(|(_, entries)| entries).find(|entry| entry.id == id);
        let found = markdown::entries(&text).into_iter().rev().filter(|found| found.title == title);
        let last = found.filter_map(|found| found.id).find_map(|id| with_data(&id).cloned());
        Ok(last.map(|entry| Last {
            id: entry.id,
            commit: entry.head.commit,
            label: entry.head.label,
            change: entry.change,
        }))
    }

    /// Fails early, before anything is measured, if the log cannot be written or an entry would not be found again.
    pub fn check_writable(&self, title: &str) -> Result<()> {
        let with = markdown::insert(&self.text()?, title, "### probe\n");
        if !markdown::entries(&with)
            .iter()
            .any(|found| found.title == title && with[found.range.clone()].starts_with("### probe"))
        {
            return Err(usage(
                "BENCHMARKS.md has a code fence that is never closed, which would swallow the entry; close it",
            ));
        }
        let probe = tempfile::Builder::new().prefix(PROBE).tempfile_in(&self.root);
        let probe = probe.and_then(|mut file| std::io::Write::write_all(&mut file, &[0; 4096]));
        probe.map_err(|error| {
            usage(format!(
                "the log in {} cannot be written ({error}); free it, or compare with --no-log",
                self.root.display()
            ))
        })
    }

    /// Adds an entry: data and text, each replaced by rename. The new text is on disk before the data are, and takes
    /// its place right after; a kill between the two renames is mended by [`Log::recover`].
    pub fn append(&self, entry: &Entry) -> Result<()> {
        let data_path = self.data_path(&entry.machine_class);
        let parent = data_path.parent().context("the data have a directory")?;
        fs::create_dir_all(parent).with_context(|| format!("failed to make {}", parent.display()))?;
        let mut data = match fs::read(&data_path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| format!("failed to read {}", data_path.display())),
        };
        if !data.is_empty() && !data.ends_with(b"\n") {
            data.push(b'\n');
        }
        serde_json::to_writer(&mut data, entry).context("failed to write the entry as JSON")?;
        data.push(b'\n');
        let written = entry_text(entry).context("the entry is of a form that this version does not know")?;
        let text = markdown::insert(&self.text()?, &entry.title, &written);
        let known = self.data()?;
        let all: Vec<&Entry> = known.iter().flat_map(|(_, entries)| entries).chain([entry]).collect();
        let text = index::renewed(&text, &all);
        let pending = self.pending_path();
        whole_file::replace(&pending, text.as_bytes()).context("failed to write the log; is the disk full?")?;
        let written = whole_file::replace(&data_path, &data);
        if written.is_err() {
            let _ = fs::remove_file(&pending);
        }
        written.context("failed to write the log's data; is the disk full?")?;
        if let Ok(existing) = fs::metadata(self.text_path()) {
            let _ = fs::set_permissions(&pending, existing.permissions());
        }
        fs::rename(&pending, self.text_path()).context("failed to put the new BENCHMARKS.md into its place")
    }

    /// Writes the index again from the entries and their data; says whether the text changed.
    pub fn renew_index(&self) -> Result<bool> {
        let text = self.text()?;
        if !index::is_ours(&text) {
            return Err(usage(
                "BENCHMARKS.md was not started by this tool, so it gets no index: its first lines stay as they are",
            ));
        }
        if index::is_torn(&text) {
            return Err(usage(
                "the index of BENCHMARKS.md has lost its last line; delete the rest of it and try again",
            ));
        }
        let data = self.data()?;
        let renewed = index::renewed(&text, &data.iter().flat_map(|(_, entries)| entries).collect::<Vec<_>>());
        if renewed != text {
            whole_file::replace(&self.text_path(), renewed.as_bytes())
                .context("failed to write the index; is the disk full?")?;
        }
        Ok(renewed != text)
    }

    /// Finishes or drops what a killed run left: a pending text whose newest entry has data takes its place, any other
    /// is removed. Returns what was done.
    pub fn recover(&self) -> Result<Option<String>> {
        self.sweep();
        let pending = self.pending_path();
        let Ok(text) = fs::read_to_string(&pending) else { return Ok(None) };
        let known: Vec<String> = markdown::entries(&self.text()?).into_iter().filter_map(|found| found.id).collect();
        let mut new =
            markdown::entries(&text).into_iter().filter_map(|found| found.id).filter(|id| !known.contains(id));
        let newest = new.next();
        let has_data = |id: &String| -> Result<bool> {
            Ok(self.data()?.iter().flat_map(|(_, entries)| entries).any(|entry| entry.id == *id))
        };
        if let Some(id) = newest
            && has_data(&id)?
        {
            fs::rename(&pending, self.text_path()).context("failed to finish an interrupted write of BENCHMARKS.md")?;
            return Ok(Some(format!("finished writing entry {id}, where an earlier run was interrupted")));
        }
        fs::remove_file(&pending).context("failed to remove what an interrupted run left")?;
        Ok(Some("removed an unfinished entry of an interrupted run".to_owned()))
    }
}

/// Whether a file of this name only tried whether a directory can be written to.
fn is_probe(name: &str) -> bool {
    name.strip_prefix(PROBE).is_some_and(|rest| rest.len() == 6 && !rest.contains('.'))
}

#[cfg(test)]
mod tests;
