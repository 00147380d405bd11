//! Memory and settings that are shared by many files.

use std::sync::Arc;

use op::Threads;
use simd::{InstructionSet, Isa};

use crate::{
    NiftiError, VolumeFile, Watch,
    convert::instruction_set,
    gzip::{self, Inflater, blocks::Block},
    source::{Packing, Scratch},
};

/// Scratch memory that is kept from one volume to the next, and settings. Use one per thread that decodes.
///
/// Packed bytes and stored voxels are held on huge pages where the system provides them. A gzip file needs both
/// buffers, a plain file a small one, a mapped file none.
#[derive(Debug)]
pub struct Decoder {
    pub(crate) buffers: Buffers,
    pub(crate) simd: InstructionSet,
    pub(crate) threads: Threads,
}

#[derive(Debug)]
pub(crate) struct Buffers {
    pub(crate) packed: Scratch,
    pub(crate) stored: Scratch,
    pub(crate) region: Scratch,
    pub(crate) inflater: Inflater,
    pub(crate) watch: Option<Arc<Watch>>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// One thread, the widest instruction set, and no memory yet.
    pub fn new() -> Self {
        let buffers = Buffers {
            packed: Scratch::default(),
            stored: Scratch::default(),
            region: Scratch::default(),
            inflater: Inflater::new(),
            watch: None,
        };
        Self { buffers, simd: instruction_set(Isa::best()), threads: Threads::SERIAL }
    }

    /// With kernels of this instruction set, or the widest one below it. For tests and comparisons.
    #[must_use]
    pub fn with_isa(self, isa: Isa) -> Self {
        Self { simd: instruction_set(isa), ..self }
    }

    /// With up to this many threads of the rayon pool that the caller is in, for work that can be divided: blocked
    /// gzip, gzip with an index, and conversion in stored order. Results do not depend on their number.
    #[must_use]
    pub fn with_threads(self, threads: Threads) -> Self {
        Self { threads, ..self }
    }

    /// Counts the bytes of voxels that are unpacked or read in `watch`, for whole volumes.
    #[must_use]
    pub fn watched(mut self, watch: Arc<Watch>) -> Self {
        self.buffers.watch = Some(watch);
        self
    }

    /// Bytes of scratch memory held.
    pub fn scratch_bytes(&self) -> usize {
        let Buffers { packed, stored, region, .. } = &self.buffers;
        packed.bytes() + stored.bytes() + region.bytes()
    }

    /// Frees every buffer that is larger than `most_bytes`.
    pub fn shrink(&mut self, most_bytes: usize) {
        let Buffers { packed, stored, region, .. } = &mut self.buffers;
        packed.shrink(most_bytes);
        stored.shrink(most_bytes);
        region.shrink(most_bytes);
    }
}

impl VolumeFile {
    /// The stored voxels, in memory of the file or of `buffers`.
    pub(crate) fn stored<'a>(&'a self, buffers: &'a mut Buffers, threads: Threads) -> Result<&'a [u8], NiftiError> {
        let (bytes, offset) = (&self.image.bytes, self.data_offset);
        if self.packing() == Packing::Plain {
            if let Some(slice) = bytes.slice() {
                // Opening checked that they are there.
                return Ok(&slice[offset as usize..][..self.data_bytes]);
            }
            let Buffers { stored, watch, .. } = buffers;
            let stored = stored.get(self.data_bytes)?;
            Watch::fill(watch.as_deref(), stored, |stored| bytes.read_at(offset, stored))?;
            return Ok(stored);
        }
        let need = self.unpacked_need() as usize;
        let Buffers { packed, stored, inflater, watch, .. } = buffers;
        let stored = stored.get(need)?;
        let parts = if threads.is_serial() { None } else { self.parts()? };
        Watch::fill(watch.as_deref(), stored, |stored| match parts {
            Some(parts) => gzip::unpack_parts(&parts, bytes, stored, self.limits.verify, threads),
            None => {
                let packed = match bytes.slice() {
                    Some(slice) => slice,
                    None => {
                        let packed = packed.get(bytes.len() as usize)?;
                        bytes.read_at(0, packed)?;
                        packed
                    }
                };
                gzip::whole(inflater, packed, bytes, stored, &self.limits)
            }
        })?;
        Ok(&stored[offset as usize..])
    }

    /// Parts that can be unpacked alone and contain all voxels; `None` where none are known.
    pub(crate) fn parts(&self) -> Result<Option<gzip::Parts<'_>>, NiftiError> {
        let need = self.unpacked_need();
        if let Some(blocks) = self.all_blocks()? {
            return Ok(Some(blocks));
        }
        let index = self.index.as_ref().filter(|index| index.unpacked_bytes() >= need);
        Ok(index.map(|index| gzip::Parts::Index(index.holding(0..need))))
    }

    /// The blocks of blocked gzip that contain all voxels. Where checksums are verified, they reach to the end of the
    /// file, as one thread reads it; opening the file limited what follows the voxels.
    pub(crate) fn all_blocks(&self) -> Result<Option<gzip::Parts<'_>>, NiftiError> {
        let need = self.unpacked_need();
        let wanted = if self.limits.verify { u64::MAX } else { need };
        let blocks = self.blocks(0..wanted)?;
        let is_complete = |blocks: &Vec<Block>| blocks.last().is_some_and(|block| block.end() >= need);
        Ok(blocks.filter(is_complete).map(|blocks| gzip::Parts::Blocks(blocks.into())))
    }
}
