//! Rows and tables that are kept: one JSONL file and one Markdown table for each machine class and op, below
//! `baselines/`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::report::Report;
use crate::row::Row;

/// Path of the rows of an op on a machine class, from the root of the workspace.
pub(crate) fn rows_path(class: &str, op: &str) -> String {
    format!("baselines/{class}/peers-{op}.jsonl")
}

/// What stands for the op in the paths of a part of its table.
pub(crate) fn part(op: &str) -> String {
    format!("{op}-part")
}

/// Path of the table that is rendered from these rows.
pub(crate) fn table_path(class: &str, op: &str) -> String {
    format!("baselines/{class}/peers-{op}.md")
}

/// Machine classes below `baselines/`, sorted.
pub(crate) fn classes(root: &Path) -> Result<Vec<String>> {
    let mut classes = Vec::new();
    for entry in fs::read_dir(root.join("baselines")).context("failed to list baselines/")? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            classes.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    classes.sort();
    Ok(classes)
}

/// The kept rows; `None` if the op was not timed on this class.
pub(crate) fn rows(root: &Path, class: &str, op: &str) -> Result<Option<Vec<Row>>> {
    let path = rows_path(class, op);
    let Some(text) = read(root, &path)? else { return Ok(None) };
    let rows: Result<Vec<Row>, _> = text.lines().map(serde_json::from_str).collect();
    rows.map(Some).with_context(|| format!("{path} was written by another version: run `cargo xtask peers {op}`"))
}

/// Revision, day and machine of kept rows.
pub(crate) fn made(rows: &[Row]) -> &str {
    rows.first().map_or("", |row| &row.made)
}

/// Writes rows and table. Gives their paths.
pub(crate) fn keep(root: &Path, report: &Report<'_>) -> Result<Vec<String>> {
    let lines = report.lines()?;
    let (rows, table) = (rows_path(report.class, &report.stem()), table_path(report.class, &report.stem()));
    write(root, &rows, &lines)?;
    write(root, &table, &report.markdown(root)?)?;
    Ok(vec![rows, table])
}

/// A text file; `None` if there is none.
pub(crate) fn read(root: &Path, path: &str) -> Result<Option<String>> {
    match fs::read_to_string(root.join(path)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("failed to read {path}")),
    }
}

/// Replaces a file as a whole, so that an interrupt leaves the old one.
pub(crate) fn write(root: &Path, path: &str, text: &str) -> Result<()> {
    let full = root.join(path);
    let directory = full.parent().context("the path has no directory")?;
    fs::create_dir_all(directory).with_context(|| format!("failed to make {}", directory.display()))?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes()).with_context(|| format!("failed to write {path}; is the disk full?"))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    file.persist(full).with_context(|| format!("failed to write {path}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_kept_by_class_and_op() {
        let root = tempfile::tempdir().unwrap();
        assert!(rows(root.path(), "a", "sum").unwrap().is_none());
        let line = r#"{"case":"x","threads":1,"peer":"p","version":"","ran":"","ours_ran":"","ours_s":null,"share":null,
            "prepare_s":null,"outcome":{"outcome":"unsupported","why":"w"},"made":"today"}"#;
        write(root.path(), &rows_path("b", "sum"), &format!("{}\n", line.replace('\n', ""))).unwrap();
        write(root.path(), "baselines/agree-sum.md", "").unwrap();
        assert_eq!(classes(root.path()).unwrap(), ["b"]);
        assert_eq!(made(&rows(root.path(), "b", "sum").unwrap().unwrap()), "today");
        write(root.path(), &rows_path("b", "sum"), "{}\n").unwrap();
        let error = format!("{:#}", rows(root.path(), "b", "sum").unwrap_err());
        assert!(error.contains("written by another version"), "{error}");
    }
}
