//! Parts of a file, unpacked side by side into one buffer.

use rayon::prelude::*;

use super::{
    Inflater,
    blocks::{self, Block},
    index::{Part, splice::Splicer},
};
use crate::{NiftiError, source::Bytes};

/// What can be unpacked side by side: in order, without gaps, from 0.
#[derive(Debug)]
pub(crate) enum Parts<'a> {
    Blocks(Vec<Block>),
    Index(&'a [Part]),
}

/// Unpacks the first `out.len()` bytes with the threads of the current pool.
///
/// Blocks are small, so each task takes several that lie together and reads them at once.
pub(crate) fn parallel(parts: &Parts<'_>, bytes: &Bytes, out: &mut [u8], is_verified: bool) -> Result<(), NiftiError> {
    match parts {
        Parts::Blocks(blocks) => {
            let tasks = divide(blocks, out, Block::end);
            let buffers = || (Inflater::new(), Vec::new(), Vec::new());
            tasks.into_par_iter().try_for_each_init(buffers, |(inflater, packed, spill), (blocks, out)| {
                some_blocks(inflater, packed, spill, blocks, bytes, out, is_verified)
            })
        }
        Parts::Index(parts) => {
            let tasks = divide(parts, out, Part::end);
            tasks.into_par_iter().try_for_each_init(Splicer::new, |splicer, (parts, out)| {
                let mut rest = out;
                for part in parts {
                    let unpacked = splicer.unpack(part, bytes)?;
                    let (head, tail) = rest.split_at_mut(unpacked.len().min(rest.len()));
                    head.copy_from_slice(&unpacked[..head.len()]);
                    rest = tail;
                }
                Ok(())
            })
        }
    }
}

/// Unpacked bytes of a task: enough to hide its beginning, few enough that threads end together.
const TASK: u64 = 1 << 20;

/// Cuts the output at the ends of parts, about every [`TASK`] bytes.
fn divide<'p, 'o, P>(parts: &'p [P], out: &'o mut [u8], end: fn(&P) -> u64) -> Vec<(&'p [P], &'o mut [u8])> {
    let mut tasks = Vec::new();
    let (mut first, mut start, mut rest) = (0, 0, out);
    for (i, part) in parts.iter().enumerate() {
        let end = end(part);
        if end - start >= TASK || i + 1 == parts.len() {
            let (head, tail) = rest.split_at_mut(usize::try_from(end - start).unwrap_or(usize::MAX).min(rest.len()));
            tasks.push((&parts[first..=i], head));
            (first, start, rest) = (i + 1, end, tail);
        }
    }
    tasks
}

fn some_blocks(
    inflater: &mut Inflater,
    packed: &mut Vec<u8>,
    spill: &mut Vec<u8>,
    blocks: &[Block],
    bytes: &Bytes,
    mut out: &mut [u8],
    is_verified: bool,
) -> Result<(), NiftiError> {
    let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { return Ok(()) };
    packed.resize((last.at - first.at) as usize + last.packed, 0);
    bytes.read_at(first.at, packed)?;
    for block in blocks {
        let member = &packed[(block.at - first.at) as usize..][..block.packed];
        if block.unpacked <= out.len() {
            let (head, tail) = out.split_at_mut(block.unpacked);
            blocks::unpack(inflater, block, member, head, is_verified)?;
            out = tail;
        } else {
            // The last block holds more than what is wanted.
            spill.resize(block.unpacked, 0);
            blocks::unpack(inflater, block, member, spill, is_verified)?;
            out.copy_from_slice(&spill[..out.len()]);
            out = &mut [];
        }
    }
    Ok(())
}
