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

/// Texts of any bytes, one after the other in a file: the length of each as a u32, then its bytes.
///
/// # Errors
/// A file that cannot be read, or that ends within a text.
pub fn read_texts(path: &Path) -> io::Result<Vec<Vec<u8>>> {
    let bytes = fs::read(path).map_err(|error| at(path, error))?;
    let (mut rest, mut texts) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        let text =
            rest.split_first_chunk().and_then(|(len, rest)| rest.split_at_checked(u32::from_le_bytes(*len) as usize));
        let message = || format!("{}: it ends within text {}", path.display(), texts.len());
        let (text, after) = text.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, message()))?;
        texts.push(text.to_vec());
        rest = after;
    }
    Ok(texts)
}

/// Writes what [`read_texts`] reads.
///
/// # Errors
/// A file that cannot be written, or a text of 4 GiB and more.
pub fn write_texts(path: &Path, texts: &[Vec<u8>]) -> io::Result<()> {
    let mut bytes = Vec::new();
    for text in texts {
        bytes.extend(u32::try_from(text.len()).map_err(|error| at(path, io::Error::other(error)))?.to_le_bytes());
        bytes.extend_from_slice(text);
    }
    write(path, &bytes)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_any_bytes_come_back() {
        let path = std::env::temp_dir().join(format!("peer-texts-{}", std::process::id()));
        let texts = [vec![], b"a\nb\0".to_vec(), vec![0xff; 300]];
        write_texts(&path, &texts).unwrap();
        assert_eq!(read_texts(&path).unwrap(), texts);
        fs::write(&path, [0, 0, 0, 0, 9, 0, 0, 0, 1]).unwrap();
        assert!(read_texts(&path).unwrap_err().to_string().ends_with("it ends within text 1"));
        fs::remove_file(path).unwrap();
    }
}
