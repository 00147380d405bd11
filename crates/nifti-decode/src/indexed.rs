//! Access-point indexes: made while a file is read for the first time, used whenever a part of it is read.

use std::sync::Arc;

use crate::{
    Access, Decoded, Decoder, Index, NiftiError, Output, Packing, Plan, VolumeFile, Watch,
    conversion::Conversion,
    decode::check_length,
    gzip::{self, Builder},
    identity,
};

impl VolumeFile {
    /// Takes an index that was made from this file. Regions are read through it, and whole volumes with several
    /// threads.
    ///
    /// # Errors
    /// [`NiftiError::Stale`] for the index of another file.
    pub fn with_index(mut self, index: Arc<Index>) -> Result<Self, NiftiError> {
        let need = self.identity()?;
        if index.identity != need {
            return Err(NiftiError::Stale { what: "the index", got: index.identity, need });
        }
        self.index = Some(index);
        Ok(self)
    }

    /// As [`decode_into`](Self::decode_into), and makes an index at the same time; `None` for files that need none:
    /// plain ones, and blocked ones, whose parts can be found without an index.
    ///
    /// Takes as much longer as zlib-rs is slower than libdeflate, and about 30 KiB of windows for each MiB of voxels.
    ///
    /// # Errors
    /// As [`decode_into`](Self::decode_into).
    pub fn decode_and_index<D: Output>(
        &self,
        decoder: &mut Decoder,
        plan: &Plan,
        out: &mut [D],
    ) -> Result<(Decoded, Option<Index>), NiftiError> {
        if self.packing() != Packing::Gzip {
            return self.decode_into(decoder, plan, out).map(|decoded| (decoded, None));
        }
        let reorientation = self.reorientation(plan.orientation)?;
        let traversal = self.traversal(reorientation);
        check_length(out, traversal.voxels())?;
        if !self.datatype.is_real() {
            return Err(NiftiError::NotReal { datatype: self.datatype, to: D::NAME });
        }
        let (simd, threads) = (decoder.simd, decoder.threads);
        let (index, stored) = self.unpack_and_index(decoder)?;
        let report = Conversion { file: self, plan, traversal }.run(simd, threads, stored, out)?;
        let decoded = Decoded { access: Access::GzipAndIndex, ..self.geometry(reorientation) }.with(report);
        Ok((decoded, Some(index)))
    }

    /// Makes an index; `None` as [`decode_and_index`](Self::decode_and_index).
    ///
    /// # Errors
    /// Faults in the voxels' part of the file.
    pub fn index(&self, decoder: &mut Decoder) -> Result<Option<Index>, NiftiError> {
        if self.packing() != Packing::Gzip {
            return Ok(None);
        }
        Ok(Some(self.unpack_and_index(decoder)?.0))
    }

    /// Makes an index out of one of indexed_gzip's (`.gzidx`), which nibabel uses; `None` as
    /// [`decode_and_index`](Self::decode_and_index).
    ///
    /// Its points carry no checksums, so the file is unpacked once, part by part, and its members' checksums have to be
    /// right: an index of another file is detected, and so is one whose windows were tampered with.
    ///
    /// # Errors
    /// [`NiftiError::Index`] for bytes that are no such index, for the index of a file of another length, and for one
    /// that was not made to the file's end; [`NiftiError::Gzip`] where its points and windows do not unpack to what the
    /// file holds.
    pub fn import_gzidx(&self, gzidx: &[u8]) -> Result<Option<Index>, NiftiError> {
        if self.packing() != Packing::Gzip {
            return Ok(None);
        }
        let (bytes, need) = (&self.image.bytes, self.unpacked_need());
        gzip::index::import::import(bytes, self.identity()?, gzidx, need, &self.limits).map(Some)
    }

    fn unpack_and_index<'a>(&'a self, decoder: &'a mut Decoder) -> Result<(Index, &'a [u8]), NiftiError> {
        let bytes = &self.image.bytes;
        let identity = self.identity()?;
        let stored = decoder.buffers.stored.get(self.unpacked_need() as usize)?;
        let packed = match bytes.slice() {
            Some(slice) => slice,
            None => {
                let packed = decoder.buffers.packed.get(bytes.len() as usize)?;
                bytes.read_at(0, packed)?;
                packed
            }
        };
        let watch = decoder.buffers.watch.as_deref();
        let index = Watch::fill(watch, stored, |stored| Builder::new(packed, identity).build(stored, &self.limits))?;
        Ok((index, &stored[self.data_offset as usize..]))
    }

    /// Identifies this version of the file, for indexes.
    fn identity(&self) -> Result<u64, NiftiError> {
        identity::of(&self.image.bytes, 0)
    }
}
