//! JSON lines: one row, one line. Reading checks each row's `schema`; writing is atomic.
//!
//! A process that is killed while appending leaves half a line at the end. Reading reports that line and keeps the rest
//! ([`Lines::torn`]); any other line that does not parse is an error with its number, because an average must not
//! leave out a row in silence.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why rows cannot be read from or written to a file of JSON lines.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be opened, read, written or renamed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A complete line is not a row.
    #[error("{}:{line}: not a row: {source}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// A row is of a version that this build does not know, or of none.
    #[error("{}:{line}: schema {}, this build reads 1 to {newest}", path.display(), found.map_or("missing".into(), |n| n.to_string()))]
    Schema {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// The row's `schema`, if it has one.
        found: Option<u64>,
        /// The newest version that was acceptable.
        newest: u32,
    },
    /// The file ends in half a row; appending would glue the next row to it.
    #[error("{}:{line}: the last row is torn; remove it before appending", path.display())]
    Torn {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
    },
    /// A row could not be encoded (a map key that is not a string, for example).
    #[error("row {index} cannot be written as JSON: {source}")]
    Encode {
        /// Position among the rows to write, from 0.
        index: usize,
        /// The encoder's error.
        source: serde_json::Error,
    },
}

/// The rows of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Lines<T> {
    /// Every complete row, in order.
    pub rows: Vec<T>,
    /// Line number of a last line that broke off, if there is one; it is not among `rows`.
    pub torn: Option<usize>,
}

/// Reads a whole file. Every row must have an integer field `schema` between 1 and `newest`. Blank lines are skipped.
///
/// # Errors
/// [`Error::Io`], [`Error::Row`] and [`Error::Schema`], with path and line.
pub fn read<T: DeserializeOwned>(path: &Path, newest: u32) -> Result<Lines<T>, Error> {
    let bytes = fs::read(path).map_err(|source| Error::Io { path: path.into(), source })?;
    parse(&bytes, path, newest)
}

/// [`read`] for a file's content that is already in memory; `path` is for messages.
///
/// # Errors
/// [`Error::Row`] and [`Error::Schema`], with path and line.
pub fn parse<T: DeserializeOwned>(bytes: &[u8], path: &Path, newest: u32) -> Result<Lines<T>, Error> {
    let mut lines = Lines { rows: Vec::new(), torn: None };
    for row in each(bytes, path, newest) {
        match row {
            Ok(row) => lines.rows.push(row),
            Err(Error::Torn { line, .. }) => lines.torn = Some(line),
            Err(error) => return Err(error),
        }
    }
    Ok(lines)
}

/// Every line that is not blank: its row, or why it is none. For files that are worth reading in part; who leaves lines
/// out says so. A last line that broke off is [`Error::Torn`].
pub fn each<T: DeserializeOwned>(bytes: &[u8], path: &Path, newest: u32) -> impl Iterator<Item = Result<T, Error>> {
    let lines = bytes.split_inclusive(|&b| b == b'\n').enumerate();
    lines.filter(|(_, text)| !text.trim_ascii().is_empty()).map(move |(index, text)| {
        let line = index + 1;
        let value: serde_json::Value = match serde_json::from_slice(text) {
            Ok(value) => value,
            // Only the last piece can lack its newline.
            Err(_) if !text.ends_with(b"\n") => return Err(Error::Torn { path: path.into(), line }),
            Err(source) => return Err(Error::Row { path: path.into(), line, source }),
        };
        let found = value.get("schema").and_then(serde_json::Value::as_u64);
        if !found.is_some_and(|n| (1..=u64::from(newest)).contains(&n)) {
            return Err(Error::Schema { path: path.into(), line, found, newest });
        }
        serde_json::from_value(value).map_err(|source| Error::Row { path: path.into(), line, source })
    })
}

/// Appends one row with a single write, creating the file if need be. A file whose last line lacks only its newline
/// gets it.
///
/// # Errors
/// [`Error::Torn`] when the file ends in half a row, [`Error::Io`], [`Error::Encode`].
pub fn append<T: Serialize>(path: &Path, row: &T) -> Result<(), Error> {
    let mut bytes = Vec::new();
    let io_error = |source| Error::Io { path: path.to_path_buf(), source };
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(io_error)?;
    if !ends_with_newline(&mut file).map_err(io_error)? {
        let content = fs::read(path).map_err(io_error)?;
        let last = content.rsplit(|&b| b == b'\n').next().unwrap_or_default();
        if serde_json::from_slice::<serde::de::IgnoredAny>(last).is_err() {
            let line = content.iter().filter(|&&b| b == b'\n').count() + 1;
            return Err(Error::Torn { path: path.into(), line });
        }
        bytes.push(b'\n');
    }
    encode(&mut bytes, 0, row)?;
    file.write_all(&bytes).map_err(io_error)
}

/// Replaces the file by these rows, whole or not at all: see [`whole_file::write()`].
///
/// # Errors
/// [`Error::Io`], [`Error::Encode`]; the old content is kept.
pub fn write<T: Serialize>(path: &Path, rows: &[T]) -> Result<(), Error> {
    let mut bytes = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        encode(&mut bytes, index, row)?;
    }
    whole_file::replace(path, &bytes).map_err(|source| Error::Io { path: path.into(), source })
}

fn encode<T: Serialize>(bytes: &mut Vec<u8>, index: usize, row: &T) -> Result<(), Error> {
    serde_json::to_writer(&mut *bytes, row).map_err(|source| Error::Encode { index, source })?;
    bytes.push(b'\n');
    Ok(())
}

/// True also for an empty file.
fn ends_with_newline(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}
