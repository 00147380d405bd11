//! The index as a file.
//!
//! All numbers are little-endian. The file has the magic `NVGZX\0\x01\0`, the identity (8 bytes) and the number of
//! parts (4). Each part has its first bit (8), one past its last bit (8), unpacked bytes (4), CRC-32 (4), window bytes
//! (4) and the window. At the end is the CRC-32 of everything before (4). Parts are adjacent, so the offset of a part's
//! bytes is not stored.

use super::{Index, MOST_PART, Part, WINDOW};
use crate::{NiftiError, gzip::deflate::crc32};

const MAGIC: &[u8; 8] = b"NVGZX\0\x01\0";
const PART_BYTES: usize = 28;

impl Index {
    /// The bytes of an index file.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.identity.to_le_bytes());
        bytes.extend((self.parts.len() as u32).to_le_bytes());
        for part in &self.parts {
            bytes.extend(part.bit.to_le_bytes());
            bytes.extend(part.end_bit.to_le_bytes());
            bytes.extend(part.unpacked.to_le_bytes());
            bytes.extend(part.crc.to_le_bytes());
            bytes.extend((part.window.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&part.window);
        }
        bytes.extend(crc32(0, &bytes).to_le_bytes());
        bytes
    }

    /// Reads an index file.
    ///
    /// # Errors
    /// [`NiftiError::Index`] for the first fault, [`NiftiError::Truncated`] if the file ends too early.
    pub fn parse(bytes: &[u8]) -> Result<Self, NiftiError> {
        let mut reader = Reader { bytes, at: 0 };
        if reader.take(MAGIC.len())? != MAGIC {
            let got = u64::from_le_bytes(*bytes.first_chunk().unwrap_or(&[0; 8]));
            return Err(NiftiError::Index { field: "magic", offset: 0, got, need: u64::from_le_bytes(*MAGIC) });
        }
        let identity = reader.u64()?;
        let count = reader.u32()?;
        let most = (bytes.len() / PART_BYTES) as u64;
        if u64::from(count) > most {
            return Err(NiftiError::Index { field: "parts", offset: 16, got: count.into(), need: most });
        }
        let mut parts = Vec::with_capacity(count as usize);
        let mut start = 0_u64;
        for _ in 0..count {
            let part = reader.part(start, parts.last())?;
            start = part.end();
            parts.push(part);
        }
        let (at, got) = (reader.at, crc32(0, &bytes[..reader.at]));
        let need = reader.u32()?;
        if got != need {
            return Err(NiftiError::Index { field: "crc", offset: at as u64, got: got.into(), need: need.into() });
        }
        Ok(Self { identity, parts })
    }
}

/// Reads the bytes of an index file in order.
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8], NiftiError> {
        let rest = &self.bytes[self.at..];
        let Some(taken) = rest.get(..n) else {
            let (offset, got, need) = (self.at as u64, rest.len() as u64, n as u64);
            return Err(NiftiError::Truncated { what: "index", offset, got, need });
        };
        self.at += n;
        Ok(taken)
    }

    pub(super) fn u32(&mut self) -> Result<u32, NiftiError> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(super) fn u64(&mut self) -> Result<u64, NiftiError> {
        Ok(u64::from(self.u32()?) | u64::from(self.u32()?) << 32)
    }

    fn part(&mut self, start: u64, before: Option<&Part>) -> Result<Part, NiftiError> {
        let offset = self.at as u64;
        let fault = |field, got, need| Err(NiftiError::Index { field, offset, got, need });
        let (bit, end_bit) = (self.u64()?, self.u64()?);
        let (unpacked, crc, window) = (self.u32()?, self.u32()?, self.u32()?);
        let least = before.map_or(0, |part| part.end_bit);
        if bit < least {
            return fault("first bit", bit, least);
        }
        if end_bit < bit || end_bit > 1 << 56 {
            return fault("last bit", end_bit, bit);
        }
        let most = crate::limits::most_unpacked((end_bit - bit) / 8).min(MOST_PART.into());
        if u64::from(unpacked) > most {
            return fault("unpacked bytes", unpacked.into(), most);
        }
        if window as usize > 2 * WINDOW {
            return fault("window bytes", window.into(), 2 * WINDOW as u64);
        }
        let window = self.take(window as usize)?.to_vec();
        Ok(Part { bit, end_bit, start, unpacked, crc, window })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        let first = Part { bit: 80, end_bit: 1003, start: 0, unpacked: 900, crc: 7, window: Vec::new() };
        let second = Part { bit: 1003, end_bit: 4001, start: 900, unpacked: 5000, crc: 9, window: vec![3; 50] };
        Index { identity: 42, parts: vec![first, second] }
    }

    #[test]
    fn an_index_round_trips_and_finds_its_parts() {
        let index = index();
        assert_eq!(Index::parse(&index.encode()).unwrap(), index);
        assert_eq!(index.unpacked_bytes(), 5900);
        assert_eq!(index.holding(0..900).len(), 1);
        assert_eq!(index.holding(899..901).len(), 2);
        assert_eq!(index.holding(900..900).len(), 0);
        assert_eq!(index.holding(5000..9000)[0].start, 900);
    }

    #[test]
    fn a_damaged_index_is_refused() {
        let bytes = index().encode();
        for cut in 0..bytes.len() {
            assert!(Index::parse(&bytes[..cut]).is_err(), "{cut}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            assert!(Index::parse(&damaged).is_err(), "{at}");
        }
    }
}
