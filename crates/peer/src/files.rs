//! Inputs and results as files of raw little-endian values.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The f32 values of a file.
pub fn read_f32(path: &Path) -> io::Result<Vec<f32>> {
    let bytes = fs::read(path).map_err(|error| at(path, error))?;
    let (values, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        let message = format!("{}: {} bytes are not a number of f32 values", path.display(), bytes.len());
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(values.iter().map(|&value| f32::from_le_bytes(value)).collect())
}

/// Writes a file whole; the message of an error names it.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(path, bytes).map_err(|error| at(path, error))
}

/// The files of a directory whose names end in `suffix`, sorted by name.
pub fn files_ending(directory: &Path, suffix: &str) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| at(directory, error))? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(suffix) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
