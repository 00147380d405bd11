//! Extensions: typed blobs between the header and the voxels.

use crate::{Endian, NiftiError, Warning};

/// One extension. `content` is what follows `esize` and `ecode`, padding included, as nibabel gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Type of the content: 2 DICOM, 4 AFNI, 6 text, 32 CIFTI, ..
    pub ecode: i32,
    /// The content.
    pub content: Vec<u8>,
}

/// Bytes of `esize` and `ecode`.
const PREFIX: usize = 8;

/// Reads the extensions in `bytes`, which begin with the four extender bytes at `offset` of their file and end where
/// the voxels begin (or the file does).
///
/// Where an `esize` is below 16, not a multiple of 16, or beyond the end, the next extension cannot be found: a
/// warning, and the rest is skipped.
pub(crate) fn parse(bytes: &[u8], offset: u64, endian: Endian) -> (Vec<Extension>, Option<Warning>) {
    let mut found = Vec::new();
    if bytes.first().is_none_or(|&extender| extender == 0) {
        return (found, None);
    }
    let mut at = 4;
    // What is shorter than a prefix is padding before the voxels.
    while let Some(prefix) = bytes.get(at..at + PREFIX) {
        let number = |at: usize| {
            let number = [prefix[at], prefix[at + 1], prefix[at + 2], prefix[at + 3]];
            if endian == Endian::Little { i32::from_le_bytes(number) } else { i32::from_be_bytes(number) }
        };
        let (esize, ecode) = (number(0), number(4));
        if esize == 0 && ecode == 0 {
            break;
        }
        let size = usize::try_from(esize).unwrap_or(0);
        let content = bytes.get(at + PREFIX..at.saturating_add(size)).filter(|_| size >= PREFIX && size % 16 == 0);
        let Some(content) = content else {
            return (found, Some(Warning::Extension { offset: offset + at as u64, got: esize.into() }));
        };
        found.push(Extension { ecode, content: content.to_vec() });
        at += size;
    }
    (found, None)
}

/// The extender bytes and `extensions` as a file has them, each padded to 16 bytes.
pub(crate) fn encode(extensions: &[Extension], endian: Endian) -> Result<Vec<u8>, NiftiError> {
    let mut bytes = vec![u8::from(!extensions.is_empty()), 0, 0, 0];
    for extension in extensions {
        let size = (extension.content.len() + PREFIX).next_multiple_of(16);
        let Ok(esize) = i32::try_from(size) else {
            return Err(NiftiError::Unstorable { field: "esize", got: size as i64, need: "a 32-bit number" });
        };
        for number in [esize, extension.ecode] {
            bytes.extend(if endian == Endian::Little { number.to_le_bytes() } else { number.to_be_bytes() });
        }
        let end = bytes.len() + size - PREFIX;
        bytes.extend_from_slice(&extension.content);
        bytes.resize(end, 0);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_round_trip_in_both_orders() {
        let list = [
            Extension { ecode: 6, content: b"a comment".to_vec() },
            Extension { ecode: 4, content: vec![7; 40] },
            Extension { ecode: 2, content: Vec::new() },
        ];
        for endian in [Endian::Little, Endian::Big] {
            let bytes = encode(&list, endian).unwrap();
            let (found, warning) = parse(&bytes, 348, endian);
            assert_eq!(warning, None);
            assert_eq!(found.len(), 3);
            for (found, written) in found.iter().zip(&list) {
                assert_eq!(found.ecode, written.ecode);
                assert!(found.content.starts_with(&written.content));
                assert!(found.content[written.content.len()..].iter().all(|&b| b == 0));
                assert_eq!((found.content.len() + PREFIX) % 16, 0);
            }
        }
        assert_eq!(encode(&[], Endian::Little).unwrap(), [0; 4]);
    }
}
