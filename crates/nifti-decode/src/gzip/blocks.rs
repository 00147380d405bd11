//! Blocked gzip: each member has its packed size in its header and its unpacked size in its trailer, so all members are
//! found without unpacking any.

use std::ops::Range;

use super::{
    GzipFault, Inflater,
    deflate::{Moved, Refused},
    member::{LEAST_HEADER, Member, TRAILER},
};
use crate::{Limits, NiftiError, limits::most_unpacked, source::Bytes};

/// Bytes read at a member's beginning: enough for the fields with its size, because writers put them first.
const HEAD: usize = 64;

/// One member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    /// Offset of its first byte in the file.
    pub(crate) at: u64,
    /// Bytes of the whole member.
    pub(crate) packed: usize,
    /// Offset of its bytes in the unpacked stream.
    pub(crate) start: u64,
    /// Number of its unpacked bytes, from its trailer.
    pub(crate) unpacked: usize,
}

impl Block {
    pub(crate) fn end(&self) -> u64 {
        self.start + self.unpacked as u64
    }
}

/// The members of a file, found only as far as they are needed: a slice at the beginning needs none of the later ones.
#[derive(Debug)]
pub(crate) struct Table {
    blocks: Vec<Block>,
    /// Offset of the next member, in the file and in the unpacked stream.
    at: u64,
    start: u64,
    /// The next member's first bytes, which were read with the trailer of the previous member.
    head: [u8; HEAD],
    head_bytes: usize,
    /// Whether no further member with a stated size follows.
    is_over: bool,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { blocks: Vec::new(), at: 0, start: 0, head: [0; HEAD], head_bytes: 0, is_over: false }
    }

    /// The members of `bytes` that hold the unpacked bytes `wanted`. `None` if a member up to there does not state its
    /// size; then the file must be unpacked from its beginning. The first `need` unpacked bytes are a volume.
    ///
    /// A member may claim to unpack to a thousand times its size, and memory is allocated before the claim is found to
    /// be false. So no member may extend further beyond the volume than `limits` allow.
    pub(crate) fn holding(
        &mut self,
        bytes: &Bytes,
        wanted: Range<u64>,
        need: u64,
        limits: &Limits,
    ) -> Result<Option<Vec<Block>>, NiftiError> {
        if self.at == 0 {
            self.head_bytes = bytes.read_some(0, &mut self.head)?;
        }
        while self.start < wanted.end && !self.is_over && self.at < bytes.len() {
            self.find_next(bytes, need, limits)?;
        }
        // A request up to the end must check that nothing else follows.
        let is_known = self.start >= wanted.end || self.at >= bytes.len() && !self.is_over;
        Ok(is_known.then(|| holding(&self.blocks, wanted).to_vec()))
    }

    fn find_next(&mut self, bytes: &Bytes, need: u64, limits: &Limits) -> Result<(), NiftiError> {
        let (len, at, start) = (bytes.len(), self.at, self.start);
        let fault = |fault| NiftiError::Gzip { offset: at, fault };
        let member = match Member::parse(&self.head[..self.head_bytes]) {
            Ok(member) => member,
            // Zero padding or damage: unpacking as a stream finds out which.
            Err(GzipFault::Magic { got: [0, _] }) => None,
            Err(what) => return Err(fault(what)),
        };
        let Some((member, packed)) = member.and_then(|member| Some((member, member.bytes?))) else {
            self.is_over = true;
            return Ok(());
        };
        let least = (member.header + TRAILER) as u64;
        if packed < least || packed > len - at {
            return Err(fault(GzipFault::BlockSize { got: packed, need: least, most: len - at }));
        }
        // The size at the end of this member, and the header of the next one.
        let mut ends = [0; 4 + HEAD];
        let there = bytes.read_some(at + packed - 4, &mut ends)?;
        let (size, head) = ends.split_first_chunk().unwrap_or((&[0; 4], &[]));
        let unpacked = u32::from_le_bytes(*size);
        if u64::from(unpacked) > most_unpacked(packed) {
            let (got, limit) = (unpacked.into(), most_unpacked(packed));
            return Err(NiftiError::TooLarge { what: "a gzip member", got, limit });
        }
        let beyond = (start + u64::from(unpacked)).saturating_sub(need);
        if beyond > limits.trailing_bytes {
            let (what, got, limit) = ("what follows the voxels", beyond, limits.trailing_bytes);
            return Err(NiftiError::TooLarge { what, got, limit });
        }
        self.blocks.push(Block { at, packed: packed as usize, start, unpacked: unpacked as usize });
        self.head.copy_from_slice(head);
        self.head_bytes = there - 4;
        self.at += packed;
        self.start += u64::from(unpacked);
        Ok(())
    }
}

/// The blocks that hold any of the unpacked bytes `range`.
fn holding(blocks: &[Block], range: Range<u64>) -> &[Block] {
    let first = blocks.partition_point(|block| block.end() <= range.start);
    let last = blocks.partition_point(|block| block.start < range.end);
    &blocks[first..last.max(first)]
}

/// Unpacks one block into `out`. `packed` is its member, and `out` has its unpacked size.
pub(crate) fn unpack(
    inflater: &mut Inflater,
    block: &Block,
    packed: &[u8],
    out: &mut [u8],
    is_verified: bool,
) -> Result<(), NiftiError> {
    let fault = |fault| NiftiError::Gzip { offset: block.at, fault };
    let result = if is_verified {
        inflater.member(packed, out)
    } else {
        let header = Member::parse(packed).ok().flatten().map_or(LEAST_HEADER, |member| member.header);
        let moved = inflater.raw(&packed[header.min(packed.len())..], out);
        moved.map(|moved| Moved { packed: header + moved.packed + TRAILER, ..moved })
    };
    match result {
        // Bytes between its end and the next member belong to neither member, and a stream would fail on them.
        Ok(moved) if moved.packed != packed.len() => {
            let (got, need) = (packed.len() as u64, moved.packed as u64);
            Err(fault(GzipFault::BlockSize { got, need, most: need }))
        }
        Ok(moved) if moved.unpacked == out.len() => Ok(()),
        Ok(moved) => Err(fault(GzipFault::Size { got: moved.unpacked as u32, need: out.len() as u32 })),
        Err(Refused::Long) => Err(fault(GzipFault::Size { got: u32::MAX, need: out.len() as u32 })),
        Err(Refused::Bad) => Err(diagnose(block, packed)),
    }
}

/// Finds the fault of a member that libdeflate refused.
fn diagnose(block: &Block, packed: &[u8]) -> NiftiError {
    let bytes = Bytes::Memory(packed.into());
    let mut unpacker = super::Unpacker::new(&bytes);
    let unpacked = block.unpacked as u64;
    match unpacker.drain(unpacked) {
        Err(NiftiError::Gzip { fault, .. }) => NiftiError::Gzip { offset: block.at, fault },
        _ => NiftiError::Gzip { offset: block.at, fault: GzipFault::Data { unpacked } },
    }
}
