//! The header of a gzip member, and the two fields in which blocked files store a member's size there.

use super::GzipFault;
use crate::source::Packing;

pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// CRC-32 and size.
pub(super) const TRAILER: usize = 8;
/// Bytes of a header without optional parts.
pub(super) const LEAST_HEADER: usize = 10;

const FHCRC: u8 = 2;
const FEXTRA: u8 = 4;
const FNAME: u8 = 8;
const FCOMMENT: u8 = 16;

/// A member's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    /// Bytes of the header.
    pub(super) header: usize,
    /// Bytes of the whole member, if the header states them.
    pub(super) bytes: Option<u64>,
    /// The kind of field that states it; `Gzip` if none does.
    pub(super) packing: Packing,
}

impl Member {
    /// Reads a header; `None` if `bytes` end within it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, GzipFault> {
        let Some(fixed) = bytes.first_chunk::<LEAST_HEADER>() else { return Ok(None) };
        if fixed[..2] != MAGIC {
            return Err(GzipFault::Magic { got: [fixed[0], fixed[1]] });
        }
        if fixed[2] != 8 {
            return Err(GzipFault::Method { got: fixed[2] });
        }
        let flags = fixed[3];
        if flags & 0xe0 != 0 {
            return Err(GzipFault::Flags { got: flags });
        }
        let (mut at, mut size, mut packing) = (LEAST_HEADER, None, Packing::Gzip);
        if flags & FEXTRA != 0 {
            let Some(length) = bytes.get(at..at + 2) else { return Ok(None) };
            let end = at + 2 + usize::from(u16::from_le_bytes([length[0], length[1]]));
            let Some(extra) = bytes.get(at + 2..end) else { return Ok(None) };
            (size, packing) = stated_size(extra);
            at = end;
        }
        for _ in 0..(u32::from(flags & FNAME != 0) + u32::from(flags & FCOMMENT != 0)) {
            let Some(length) = bytes[at..].iter().position(|&b| b == 0) else { return Ok(None) };
            at += length + 1;
        }
        if flags & FHCRC != 0 {
            at += 2;
        }
        Ok((at <= bytes.len()).then_some(Self { header: at, bytes: size, packing }))
    }
}

/// The member's size from the subfields of an extra field: `BC` holds it minus one in 16 bits, `SZ` in 32 bits.
fn stated_size(mut extra: &[u8]) -> (Option<u64>, Packing) {
    while let [id1, id2, low, high, rest @ ..] = extra {
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        let Some(content) = rest.get(..length) else { break };
        match (&[*id1, *id2], content) {
            (b"BC", &[a, b]) => return (Some(u64::from(u16::from_le_bytes([a, b])) + 1), Packing::Bgzf),
            (b"SZ", &[a, b, c, d]) => return (Some(u32::from_le_bytes([a, b, c, d]).into()), Packing::Mgzip),
            _ => extra = &rest[length..],
        }
    }
    (None, Packing::Gzip)
}

const PLAIN: [u8; LEAST_HEADER] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// A header without optional parts.
pub(crate) fn plain_header() -> Vec<u8> {
    PLAIN.to_vec()
}

/// The header of a BGZF member whose DEFLATE data has `packed` bytes; `None` if the member exceeds 64 KiB.
pub(crate) fn bgzf_header(packed: usize) -> Option<Vec<u8>> {
    let mut header = plain_header();
    header[3] = FEXTRA;
    header.extend([6, 0, b'B', b'C', 2, 0]);
    let size = header.len() + 2 + packed + TRAILER;
    header.extend(u16::try_from(size - 1).ok()?.to_le_bytes());
    Some(header)
}

/// The header of an mgzip member whose DEFLATE data has `packed` bytes; `None` if the member exceeds 4 GiB.
pub(crate) fn mgzip_header(packed: usize) -> Option<Vec<u8>> {
    let mut header = plain_header();
    header[3] = FEXTRA;
    header.extend([8, 0, b'S', b'Z', 4, 0]);
    let size = header.len() + 4 + packed + TRAILER;
    header.extend(u32::try_from(size).ok()?.to_le_bytes());
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_state_their_members_size() {
        let bgzf = bgzf_header(100).unwrap();
        let member = Member::parse(&bgzf).unwrap().unwrap();
        assert_eq!(member, Member { header: 18, bytes: Some(126), packing: Packing::Bgzf });
        let mgzip = mgzip_header(100).unwrap();
        let member = Member::parse(&mgzip).unwrap().unwrap();
        assert_eq!(member, Member { header: 20, bytes: Some(128), packing: Packing::Mgzip });
        assert_eq!(bgzf_header(1 << 16), None);
    }

    #[test]
    fn optional_parts_are_skipped_and_truncated_headers_are_incomplete() {
        let mut bytes = PLAIN.to_vec();
        bytes[3] = FEXTRA | FNAME | FCOMMENT | FHCRC;
        bytes.extend([5, 0, b'X', b'Y', 1, 0, 9]); // an extra field that states no size
        bytes.extend(*b"name\0comment\0");
        bytes.extend([1, 2]); // checksum of the header
        let whole = Member { header: bytes.len(), bytes: None, packing: Packing::Gzip };
        assert_eq!(Member::parse(&bytes), Ok(Some(whole)));
        for cut in 0..bytes.len() {
            assert_eq!(Member::parse(&bytes[..cut]), Ok(None), "{cut}");
        }
    }

    #[test]
    fn bytes_that_are_not_gzip_are_refused() {
        let with = |at: usize, byte| {
            let mut bytes = PLAIN;
            bytes[at] = byte;
            Member::parse(&bytes).unwrap_err()
        };
        assert_eq!(with(0, 0), GzipFault::Magic { got: [0, 0x8b] });
        assert_eq!(with(2, 7), GzipFault::Method { got: 7 });
        assert_eq!(with(3, 0x21), GzipFault::Flags { got: 0x21 });
    }
}
