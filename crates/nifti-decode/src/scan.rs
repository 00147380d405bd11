//! Passes over all stored voxels in a few megabytes of memory, however large the volume: its check and its statistics.
//!
//! A plain file is read block by block. Blocked gzip, and gzip with an index, is unpacked some parts at a time by
//! libdeflate. Other gzip is unpacked as a stream by zlib-rs, unless the volume is so small that unpacking it in one
//! shot fits the same memory.

use std::ops::Range;

use crate::{
    Decoder, NiftiError, Packing, Plan, Stats, Threads, VolumeFile,
    decoder::Buffers,
    gzip::{self, Parts},
    stats::{self, Passes, Searched, Tally},
};

/// Bytes that are read from a file at a time, where slices are no larger: they stay in L2 until they are converted.
pub(crate) const READ_BYTES: usize = 256 << 10;
/// Unpacked bytes of the parts that one thread unpacks before they are passed on.
const BATCH_BYTES: u64 = 1 << 20;
/// The same of all threads together. No part may be larger.
const PARALLEL_BATCH_BYTES: u64 = 4 << 20;
/// Volumes up to this size are unpacked in one shot, by libdeflate.
const ONE_SHOT_BYTES: u64 = 4 << 20;

impl VolumeFile {
    /// Reads and unpacks the whole file, checks the checksums that it carries, and keeps nothing: the voxels are all
    /// there, and gzip streams are sound up to their end. Takes a few MiB of memory, whatever the size of the volume.
    ///
    /// # Errors
    /// Faults in the voxels' part of the file: [`NiftiError::Truncated`], [`NiftiError::Gzip`],
    /// [`NiftiError::TooLarge`], [`NiftiError::Io`].
    pub fn verify(&self, decoder: &mut Decoder) -> Result<(), NiftiError> {
        let watch = decoder.buffers.watch.clone();
        // An index ends with the voxels; only the blocks, or the stream, show whether the rest is sound.
        self.pass(decoder, self.all_blocks()?, &mut |piece| {
            if let Some(watch) = &watch {
                watch.add(piece.len() as u64);
            }
        })
    }

    /// Statistics of all scaled values, without any output. They are exact, and take a few MiB of memory, whatever the
    /// size of the volume: the file is read once where voxels have 8 or 16 bits, at most three times for 32 bits and
    /// five times for 64 bits.
    ///
    /// # Errors
    /// [`NiftiError::NotReal`] for colors and complex numbers; else as [`verify`](Self::verify).
    pub fn stats(&self, decoder: &mut Decoder) -> Result<Stats, NiftiError> {
        if !self.datatype.is_real() {
            return Err(NiftiError::NotReal { datatype: self.datatype, to: "statistics" });
        }
        let scaling = self.scaling(&Plan::scaled());
        if let Some(mut tally) = Tally::new(self.datatype, self.header.endian) {
            let mut passes = FilePasses { file: self, decoder, planned: 1, shown: 0 };
            passes.pass(&mut |piece| tally.add(piece))?;
            return Ok(stats::of_counts(&tally.finish(&scaling)));
        }
        let planned = Searched::passes(self.datatype);
        let mut passes = FilePasses { file: self, decoder, planned, shown: 0 };
        let stats = stats::stats(&mut Searched::new(&mut passes, self.datatype, self.header.endian, scaling)?)?;
        passes.finish();
        Ok(stats)
    }

    /// Calls `each` with all stored voxels, some whole voxels at a time, in order; unpacks `parts` where they are given
    /// and small.
    fn pass(
        &self,
        decoder: &mut Decoder,
        parts: Option<Parts<'_>>,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), NiftiError> {
        let voxel_bytes = self.datatype.bytes();
        let step = READ_BYTES / voxel_bytes * voxel_bytes;
        if self.packing() == Packing::Plain {
            if let Some(slice) = self.image.bytes.slice() {
                slice[self.data_offset as usize..][..self.data_bytes].chunks(step).for_each(each);
                return Ok(());
            }
            for start in (0..self.data_bytes).step_by(step) {
                let end = (start + step).min(self.data_bytes);
                each(self.read_stored(&mut decoder.buffers, start..end)?);
            }
            return Ok(());
        }
        let need = self.unpacked_need();
        if let Some(parts) = parts.filter(|parts| parts.largest() <= PARALLEL_BATCH_BYTES) {
            return self.pass_over_parts(&parts, decoder, each);
        }
        if need + self.packed_bytes() <= ONE_SHOT_BYTES {
            self.stored(&mut decoder.buffers, Threads::SERIAL)?.chunks(step).for_each(each);
            return Ok(());
        }
        let mut voxels = WholeVoxels::new(self, each);
        gzip::streamed(&self.image.bytes, need, step, &self.limits, &mut |bytes| voxels.add(bytes))
    }

    /// Unpacks some parts at a time; threads share them.
    fn pass_over_parts(
        &self,
        parts: &Parts<'_>,
        decoder: &mut Decoder,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), NiftiError> {
        let threads = decoder.threads;
        let mut voxels = WholeVoxels::new(self, each);
        for batch in parts.batches(if threads.is_serial() { BATCH_BYTES } else { PARALLEL_BATCH_BYTES }) {
            let unpacked = decoder.buffers.stored.get(batch.unpacked_bytes() as usize)?;
            gzip::unpack_parts(&batch, &self.image.bytes, unpacked, self.limits.verify, threads)?;
            voxels.add(unpacked);
        }
        Ok(())
    }

    /// The stored voxels of a range of a plain file, in bytes from the first voxel.
    fn read_stored<'a>(&self, buffers: &'a mut Buffers, range: Range<usize>) -> Result<&'a mut [u8], NiftiError> {
        let voxels = buffers.stored.get(range.len())?;
        self.image.bytes.read_at(self.data_offset + range.start as u64, voxels)?;
        Ok(voxels)
    }

    /// As `read_stored`, and counts what was read.
    pub(crate) fn read_part<'a>(
        &self,
        buffers: &'a mut Buffers,
        range: Range<usize>,
    ) -> Result<&'a mut [u8], NiftiError> {
        if let Some(watch) = &buffers.watch {
            watch.add(range.len() as u64);
        }
        self.read_stored(buffers, range)
    }
}

/// Passes over the voxels of a file, with progress: all passes together count as the bytes of the volume.
struct FilePasses<'a> {
    file: &'a VolumeFile,
    decoder: &'a mut Decoder,
    /// Most passes that there will be.
    planned: u64,
    /// Bytes that the watch was shown.
    shown: u64,
}

impl FilePasses<'_> {
    /// Shows the bytes of passes that were not needed.
    fn finish(self) {
        if let Some(watch) = &self.decoder.buffers.watch {
            watch.add((self.file.data_bytes as u64).saturating_sub(self.shown));
        }
    }
}

impl Passes for FilePasses<'_> {
    fn pass(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<(), NiftiError> {
        let watch = self.decoder.buffers.watch.clone();
        let (planned, shown) = (self.planned, &mut self.shown);
        let mut passed = 0;
        self.file.pass(self.decoder, self.file.parts()?, &mut |piece| {
            each(piece);
            passed += piece.len() as u64;
            if let Some(watch) = &watch {
                // The quotient of the sum, so that rounding does not add up.
                let share = passed / planned - (passed - piece.len() as u64) / planned;
                watch.add(share);
                *shown += share;
            }
        })
    }
}

/// Cuts unpacked bytes into whole voxels: drops what lies before and behind them, and joins a voxel that two pieces
/// share.
struct WholeVoxels<'a> {
    each: &'a mut dyn FnMut(&[u8]),
    /// Bytes until the first voxel begins.
    before: u64,
    /// Bytes of voxels that are still to come.
    left: u64,
    voxel_bytes: usize,
    /// The first bytes of a voxel, from the piece before.
    begun: Vec<u8>,
}

impl<'a> WholeVoxels<'a> {
    fn new(file: &VolumeFile, each: &'a mut dyn FnMut(&[u8])) -> Self {
        let voxel_bytes = file.datatype.bytes();
        let begun = Vec::with_capacity(voxel_bytes);
        Self { each, before: file.data_offset, left: file.data_bytes as u64, voxel_bytes, begun }
    }

    fn add(&mut self, bytes: &[u8]) {
        let skipped = self.before.min(bytes.len() as u64);
        self.before -= skipped;
        let taken = self.left.min(bytes.len() as u64 - skipped);
        self.left -= taken;
        let mut bytes = &bytes[skipped as usize..][..taken as usize];
        if !self.begun.is_empty() {
            let missing = (self.voxel_bytes - self.begun.len()).min(bytes.len());
            self.begun.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if self.begun.len() < self.voxel_bytes {
                return;
            }
            (self.each)(&self.begun);
            self.begun.clear();
        }
        let whole = bytes.len() / self.voxel_bytes * self.voxel_bytes;
        if whole > 0 {
            (self.each)(&bytes[..whole]);
        }
        self.begun.extend_from_slice(&bytes[whole..]);
    }
}
