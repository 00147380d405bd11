//! Parts of a file that can be unpacked independently, by one thread or in parallel.

use std::borrow::Cow;

use op::Threads;
use rayon::prelude::*;

use super::{
    Inflater,
    blocks::{self, Block},
    index::{Part, splice::Splicer},
};
use crate::{NiftiError, source::Bytes, threads::min_tasks};

/// Parts that can be unpacked independently, in order and without gaps.
#[derive(Debug)]
pub(crate) enum Parts<'a> {
    Blocks(Cow<'a, [Block]>),
    Index(&'a [Part]),
}

impl Parts<'_> {
    fn sizes(&self) -> Box<dyn Iterator<Item = u64> + '_> {
        match self {
            Self::Blocks(blocks) => Box::new(blocks.iter().map(|block| block.unpacked as u64)),
            Self::Index(parts) => Box::new(parts.iter().map(|part| part.unpacked.into())),
        }
    }

    /// Unpacked bytes of all parts.
    pub(crate) fn unpacked_bytes(&self) -> u64 {
        self.sizes().sum()
    }

    /// Unpacked bytes of the largest part.
    pub(crate) fn largest(&self) -> u64 {
        self.sizes().max().unwrap_or(0)
    }

    /// The same parts in groups of up to `max_bytes` unpacked bytes. Each group has at least one part.
    pub(crate) fn batches(&self, max_bytes: u64) -> impl Iterator<Item = Parts<'_>> {
        let mut ends = Vec::new();
        let mut bytes = 0;
        for (i, size) in self.sizes().enumerate() {
            if bytes > 0 && bytes + size > max_bytes {
                ends.push(i);
                bytes = 0;
            }
            bytes += size;
        }
        ends.push(self.sizes().count());
        let mut first = 0;
        ends.into_iter().map(move |end| {
            let range = first..end;
            first = end;
            match self {
                Self::Blocks(blocks) => Parts::Blocks(Cow::Borrowed(&blocks[range])),
                Self::Index(parts) => Parts::Index(&parts[range]),
            }
        })
    }
}

/// Unpacks `parts` into `out`, which may end before they do. Uses up to `threads` threads of the current pool.
///
/// Blocks are small, so each task takes several adjacent ones and reads them at once.
pub(crate) fn unpack_parts(
    parts: &Parts<'_>,
    bytes: &Bytes,
    out: &mut [u8],
    is_verified: bool,
    threads: Threads,
) -> Result<(), NiftiError> {
    match parts {
        Parts::Blocks(blocks) => {
            let tasks = divide(blocks, out, |block| block.unpacked as u64);
            let buffers = || (Inflater::new(), Vec::new(), Vec::new());
            run(tasks, threads, buffers, |(inflater, packed, spill), (blocks, out)| {
                some_blocks(inflater, packed, spill, blocks, bytes, out, is_verified)
            })
        }
        Parts::Index(parts) => {
            let tasks = divide(parts, out, |part| part.unpacked.into());
            run(tasks, threads, Splicer::new, |splicer, (parts, out)| {
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

/// Runs all tasks, each with the buffers of its thread; stops at an error.
fn run<T: Send, B>(
    tasks: Vec<T>,
    threads: Threads,
    buffers: impl Fn() -> B + Sync + Send,
    task: impl Fn(&mut B, T) -> Result<(), NiftiError> + Sync + Send,
) -> Result<(), NiftiError> {
    if threads.is_serial() {
        let mut buffers = buffers();
        return tasks.into_iter().try_for_each(|each| task(&mut buffers, each));
    }
    let min_tasks = min_tasks(tasks.len(), threads);
    tasks.into_par_iter().with_min_len(min_tasks).try_for_each_init(buffers, task)
}

/// Unpacked bytes of a task: enough to hide the cost of starting it, few enough that threads finish together.
const TASK: u64 = 1 << 20;

/// Splits the output at the ends of parts, about every [`TASK`] bytes.
fn divide<'p, 'o, P>(parts: &'p [P], out: &'o mut [u8], size: impl Fn(&P) -> u64) -> Vec<(&'p [P], &'o mut [u8])> {
    let mut tasks = Vec::new();
    let (mut first, mut bytes, mut rest) = (0, 0, out);
    for (i, part) in parts.iter().enumerate() {
        bytes += size(part);
        if bytes >= TASK || i + 1 == parts.len() {
            let (head, tail) = rest.split_at_mut(usize::try_from(bytes).unwrap_or(usize::MAX).min(rest.len()));
            tasks.push((&parts[first..=i], head));
            (first, bytes, rest) = (i + 1, 0, tail);
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
            // The last block unpacks to more than is wanted.
            spill.resize(block.unpacked, 0);
            blocks::unpack(inflater, block, member, spill, is_verified)?;
            out.copy_from_slice(&spill[..out.len()]);
            out = &mut [];
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_all_parts_in_order() {
        let mut start = 0;
        let sizes = [3_usize, 0, 9, 1, 1, 1, 20, 2];
        let block = |&unpacked: &usize| {
            start += unpacked as u64;
            Block { at: 0, packed: 0, start: start - unpacked as u64, unpacked }
        };
        let parts = Parts::Blocks(sizes.iter().map(block).collect());
        assert_eq!((parts.unpacked_bytes(), parts.largest()), (37, 20));
        let sizes_of =
            |max_bytes| -> Vec<Vec<u64>> { parts.batches(max_bytes).map(|batch| batch.sizes().collect()).collect() };
        assert_eq!(sizes_of(4), [vec![3, 0], vec![9], vec![1, 1, 1], vec![20], vec![2]]);
        assert_eq!(sizes_of(100), [vec![3, 0, 9, 1, 1, 1, 20, 2]]);
    }
}
