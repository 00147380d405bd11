//! The identity of the file that an index or a copy was made from.

use crate::{NiftiError, gzip::crc32, source::Bytes};

/// Bytes at the beginning and at the end that are hashed.
const ENDS: u64 = 4096;

/// 64 bits that change with a file's length, its first 4 KiB and its last 4 KiB. The last bytes of a gzip file hold the
/// checksum of all it unpacks to, so this tells versions apart even where times do not. In plain files only the voxels
/// may change: for those the caller adds the time of the last change.
pub(crate) fn of(bytes: &Bytes, modified_ns: u64) -> Result<u64, NiftiError> {
    let len = bytes.len();
    let mut block = vec![0; ENDS.min(len) as usize];
    bytes.read_at(0, &mut block)?;
    let first = crc32(0, &block);
    bytes.read_at(len - block.len() as u64, &mut block)?;
    let numbers = [len.to_le_bytes(), modified_ns.to_le_bytes()].concat();
    let last = crc32(crc32(0, &block), &numbers);
    Ok(u64::from(first) << 32 | u64::from(last))
}
