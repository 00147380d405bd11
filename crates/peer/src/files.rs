//! Inputs and results as files of raw little-endian values.

use std::fs;
use std::io;
use std::path::Path;

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

fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
