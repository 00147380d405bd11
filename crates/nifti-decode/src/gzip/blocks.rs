//! Blocked gzip: members that carry their packed size in their header and their unpacked size in their trailer, so that all of
//! them are found without unpacking any.

use std::ops::Range;

use super::{
    GzipFault, Inflater,
    deflate::{Moved, Refused},
    member::{LEAST_HEADER, Member, TRAILER},
};
use crate::{Limits, NiftiError, limits::most_unpacked, source::Bytes};

/// Bytes read at a member's beginning: enough for the fields that state its size, where writers put them first.
const HEAD: usize = 64;

/// One member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    /// Where it begins in the file.
    pub(crate) at: u64,
    /// Bytes of the whole member.
    pub(crate) packed: usize,
    /// Where its bytes begin in the unpacked stream.
    pub(crate) start: u64,
    /// How many they are, as its trailer says.
    pub(crate) unpacked: usize,
}

impl Block {
    pub(crate) fn end(&self) -> u64 {
        self.start + self.unpacked as u64
    }
}

/// All members of `bytes`, of which the first `need` bytes unpacked are wanted, or `None` where one does not state its size, and the
/// file must be unpacked from its beginning.
///
/// A member may claim to be a thousand times as large unpacked, and would be given the memory before it is found to lie: so none
/// may reach further behind what is wanted than `limits` allow.
pub(crate) fn table(bytes: &Bytes, need: u64, limits: &Limits) -> Result<Option<Vec<Block>>, NiftiError> {
    let (len, mut at, mut start) = (bytes.len(), 0_u64, 0_u64);
    let mut blocks = Vec::new();
    let mut head = [0; HEAD];
    while at < len {
        let fault = |fault| NiftiError::Gzip { offset: at, fault };
        let n = bytes.read_some(at, &mut head)?;
        let member = match Member::parse(&head[..n]) {
            Ok(Some(member)) => member,
            Ok(None) => return Ok(None),
            // Padding with zeros, or damage: the stream knows which.
            Err(GzipFault::Magic { got: [0, _] }) => return Ok(None),
            Err(what) => return Err(fault(what)),
        };
        let Some(packed) = member.bytes else { return Ok(None) };
        let least = (member.header + TRAILER) as u64;
        if packed < least || packed > len - at {
            return Err(fault(GzipFault::BlockSize { got: packed, need: least, most: len - at }));
        }
        let mut size = [0; 4];
        bytes.read_at(at + packed - 4, &mut size)?;
        let unpacked = u32::from_le_bytes(size);
        if u64::from(unpacked) > most_unpacked(packed) {
            let (got, limit) = (unpacked.into(), most_unpacked(packed));
            return Err(NiftiError::TooLarge { what: "a gzip member", got, limit });
        }
        let beyond = (start + u64::from(unpacked)).saturating_sub(need);
        if beyond > limits.trailing_bytes {
            if start >= need && !limits.verify {
                break;
            }
            return Err(NiftiError::TooLarge {
                what: "what follows the voxels",
                got: beyond,
                limit: limits.trailing_bytes,
            });
        }
        blocks.push(Block { at, packed: packed as usize, start, unpacked: unpacked as usize });
        at += packed;
        start += u64::from(unpacked);
    }
    Ok(Some(blocks))
}

/// The blocks that hold any of the unpacked bytes `range`.
pub(crate) fn holding(blocks: &[Block], range: Range<u64>) -> &[Block] {
    let first = blocks.partition_point(|block| block.end() <= range.start);
    let last = blocks.partition_point(|block| block.start < range.end);
    &blocks[first..last.max(first)]
}

/// Unpacks one block, whose member is `packed`, into `out`, which has its unpacked size.
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
        // What lies between its end and the next member belongs to neither, and a stream would trip over it.
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

/// What is wrong with a member that libdeflate refused.
fn diagnose(block: &Block, packed: &[u8]) -> NiftiError {
    let bytes = Bytes::Memory(packed.into());
    let mut unpacker = super::Unpacker::new(&bytes);
    let unpacked = block.unpacked as u64;
    match unpacker.drain(unpacked) {
        Err(NiftiError::Gzip { fault, .. }) => NiftiError::Gzip { offset: block.at, fault },
        _ => NiftiError::Gzip { offset: block.at, fault: GzipFault::Data { unpacked } },
    }
}
