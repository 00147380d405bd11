//! Access points into an ordinary gzip stream: positions where unpacking can begin without the bytes before.
//!
//! DEFLATE refers back at most 32 KiB, and a block begins with its Huffman codes. So a point consists of the position
//! of a block in bits and the 32 KiB before it. The part between two points is spliced into a complete stream, which
//! libdeflate unpacks at full speed through its documented interface (`splice`):
//!
//! 1. a stored block with the 32 KiB, to which the part's references point;
//! 2. empty blocks up to the bit within a byte where the part begins, and the part's own blocks;
//! 3. an empty final block, at the position where the file's own stream would continue.
//!
//! Each part has its own CRC-32, computed when the index was built, so every read through an index is verified.
//! The method follows Mark Adler's zran.c and indexed_gzip (pauldmccarthy/indexed_gzip).

pub(crate) mod build;
mod file;
mod gzidx;
pub(crate) mod import;
pub(crate) mod splice;

/// Bytes that DEFLATE can refer back to.
pub(crate) const WINDOW: usize = 32 << 10;
/// Maximum number of unpacked bytes of a part, which one thread holds at a time. There is a point about every MiB,
/// unless the stream has a longer block.
const MOST_PART: u32 = 256 << 20;

/// A part of the unpacked stream that can be unpacked alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// First bit in the file.
    pub(crate) bit: u64,
    /// One past its last bit.
    pub(crate) end_bit: u64,
    /// Offset of its bytes in the unpacked stream.
    pub(crate) start: u64,
    /// Number of its unpacked bytes.
    pub(crate) unpacked: u32,
    /// CRC-32 of its bytes.
    pub(crate) crc: u32,
    /// The bytes before it, at most [`WINDOW`] bytes, packed by DEFLATE; empty at a member's beginning.
    pub(crate) window: Vec<u8>,
}

impl Part {
    pub(crate) fn end(&self) -> u64 {
        self.start + u64::from(self.unpacked)
    }
}

/// The access points of one gzip file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// The file that it belongs to: see [`identity`](crate::identity).
    pub(crate) identity: u64,
    /// In order, without gaps, from 0 to the end of the voxels.
    pub(crate) parts: Vec<Part>,
}

impl Index {
    /// Number of parts that can be unpacked alone.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Unpacked bytes that the parts cover.
    pub fn unpacked_bytes(&self) -> u64 {
        self.parts.last().map_or(0, Part::end)
    }

    /// The parts that hold any of the unpacked bytes `range`.
    pub(crate) fn holding(&self, range: std::ops::Range<u64>) -> &[Part] {
        let first = self.parts.partition_point(|part| part.end() <= range.start);
        let last = self.parts.partition_point(|part| part.start < range.end);
        &self.parts[first..last.max(first)]
    }
}
