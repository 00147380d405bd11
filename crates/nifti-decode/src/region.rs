//! Parts of a volume, by the way that touches least.

use std::ops::Range;

use crate::{
    Affine, Decoded, Decoder, NiftiError, Output, Packing, Plan, VolumeFile,
    affine::Turn,
    convert::turn::Walk,
    decode::{Job, check_length},
    gzip::{self, Unpacker, index::splice::Splicer},
};

/// A run of stored bytes, and where it goes in a buffer.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// In the unpacked image.
    start: u64,
    bytes: usize,
    /// In the buffer.
    at: usize,
}

impl Span {
    fn end(&self) -> u64 {
        self.start + self.bytes as u64
    }
}

/// Up to this share of the stream, unpacking as a stream up to the last byte wanted is faster than unpacking all in one shot.
const STREAM_SHARE: f64 = 0.65;
/// Rows that use less than this of the run that they lie in are read one by one.
const SPARSE: usize = 64;

impl VolumeFile {
    /// Converts the voxels of a region as `plan` says into `out`, x first. `ranges` are in the file's order of axes, x first; axes
    /// that are left out are taken whole. Percentiles, means and statistics of the plan are those of the region.
    ///
    /// What is read: of plain files the rows of the region; of blocked gzip, and of gzip with an index, the parts that hold
    /// them; of other gzip all up to the last one. Only whole streams and parts are verified.
    ///
    /// # Errors
    /// [`NiftiError::Region`] for a range that is empty or beyond the volume; else as [`decode_into`](Self::decode_into).
    pub fn read_region_into<D: Output>(
        &self,
        decoder: &mut Decoder,
        ranges: &[Range<usize>],
        plan: &Plan,
        out: &mut [D],
    ) -> Result<Decoded, NiftiError> {
        let ranges = self.check_ranges(ranges)?;
        let turn = self.turn(plan.orientation)?;
        let stored = [0, 1, 2].map(|axis| ranges.get(axis).map_or(1, ExactSizeIterator::len));
        let volumes = ranges.iter().skip(3).map(ExactSizeIterator::len).product();
        let walk = Walk::new(stored, volumes, turn, self.datatype.bytes());
        check_length(out, walk.voxels())?;
        if !self.datatype.is_real() {
            return Err(NiftiError::NotReal { datatype: self.datatype, to: D::NAME });
        }
        let mut region = std::mem::take(&mut decoder.buffers.region);
        let gathered = region
            .get(walk.voxels() * walk.voxel_bytes)
            .and_then(|voxels| Ok((self.gather(decoder, &ranges, voxels)?, voxels)))
            .and_then(|(way, voxels)| {
                let job = Job { file: self, plan, walk };
                Ok((way, job.convert(decoder.path(), false, voxels, out)?))
            });
        decoder.buffers.region = region;
        let (way, (stats, ran)) = gathered?;
        let mut shape: Vec<usize> = ranges.iter().map(ExactSizeIterator::len).collect();
        if turn != Turn::NONE {
            shape.resize(shape.len().max(3), 1);
            for (extent, from) in shape.iter_mut().zip(turn.from) {
                *extent = stored[from];
            }
        }
        let affine = self.affine().after(&shift(&ranges)).after(&turn.affine(stored));
        Ok(Decoded { shape, affine, stats, ran: Some(ran), way })
    }

    /// As [`read_region_into`](Self::read_region_into), into memory of its own.
    ///
    /// # Errors
    /// As [`read_region_into`](Self::read_region_into).
    pub fn read_region<D: Output>(
        &self,
        decoder: &mut Decoder,
        ranges: &[Range<usize>],
        plan: &Plan,
    ) -> Result<crate::Volume<D>, NiftiError> {
        let voxels = self.check_ranges(ranges)?.iter().map(ExactSizeIterator::len).product();
        let mut voxels = crate::zeroed(voxels);
        let decoded = self.read_region_into(decoder, ranges, plan, &mut voxels)?;
        Ok(crate::Volume { voxels, decoded })
    }

    /// All ranges, those left out included.
    fn check_ranges(&self, ranges: &[Range<usize>]) -> Result<Vec<Range<usize>>, NiftiError> {
        for (axis, range) in ranges.iter().enumerate() {
            let extent = self.shape.get(axis).copied().unwrap_or(0);
            if range.start >= range.end || range.end > extent {
                let (start, end, extent) = (range.start as u64, range.end as u64, extent as u64);
                return Err(NiftiError::Region { axis, start, end, extent });
            }
        }
        let rest = self.shape.iter().skip(ranges.len()).map(|&extent| 0..extent);
        Ok(ranges.iter().cloned().chain(rest).collect())
    }

    /// Copies the stored voxels of the region to `voxels`, side by side; says how it reached them.
    fn gather(
        &self,
        decoder: &mut Decoder,
        ranges: &[Range<usize>],
        voxels: &mut [u8],
    ) -> Result<&'static str, NiftiError> {
        let rows = Rows::new(self, ranges);
        if let (Packing::Plain, Some(slice)) = (self.packing(), self.image.bytes.slice()) {
            for (start, row) in rows.starts().zip(voxels.chunks_exact_mut(rows.bytes)) {
                row.copy_from_slice(&slice[start as usize..][..rows.bytes]);
            }
            return Ok("rows in memory");
        }
        if self.packing() == Packing::Plain && rows.is_sparse() {
            for (start, row) in rows.starts().zip(voxels.chunks_exact_mut(rows.bytes)) {
                self.image.bytes.read_at(start, row)?;
            }
            return Ok("rows read");
        }
        if rows.is_contiguous() {
            let span = Span { start: rows.first, bytes: voxels.len(), at: 0 };
            return self.fetch(decoder, &[span], voxels);
        }
        let spans = rows.spans();
        let mut runs = vec![0; spans.iter().map(|span| span.bytes).sum()];
        let way = self.fetch(decoder, &spans, &mut runs)?;
        let mut out = voxels.chunks_exact_mut(rows.bytes);
        for span in &spans {
            let run = &runs[span.at..][..span.bytes];
            for (row, out) in run.chunks(rows.stride).zip(out.by_ref()) {
                out.copy_from_slice(&row[..rows.bytes]);
            }
        }
        Ok(way)
    }

    /// Fills `out` with `spans`, which are in order and apart.
    fn fetch(&self, decoder: &mut Decoder, spans: &[Span], out: &mut [u8]) -> Result<&'static str, NiftiError> {
        let bytes = &self.image.bytes;
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else { return Ok("nothing") };
        let wanted = first.start..last.end();
        if self.packing() == Packing::Plain {
            for span in spans {
                bytes.read_at(span.start, &mut out[span.at..][..span.bytes])?;
            }
            return Ok("runs read");
        }
        if let Some(blocks) = self.blocks(wanted.clone())?
            && blocks.last().is_some_and(|block| block.end() >= wanted.end)
        {
            let (mut packed, mut unpacked) = (Vec::new(), Vec::new());
            for block in blocks.iter().filter(|block| touches(spans, block.start, block.end())) {
                packed.resize(block.packed, 0);
                bytes.read_at(block.at, &mut packed)?;
                unpacked.resize(block.unpacked, 0);
                let inflater = &mut decoder.buffers.inflater;
                gzip::blocks::unpack(inflater, block, &packed, &mut unpacked, self.limits.verify)?;
                scatter(spans, block.start, &unpacked, out);
            }
            return Ok("blocks");
        }
        if let Some(index) = self.index.as_ref().filter(|index| index.unpacked_bytes() >= wanted.end) {
            let mut splicer = Splicer::new();
            for part in index.holding(wanted).iter().filter(|part| touches(spans, part.start, part.end())) {
                scatter(spans, part.start, splicer.unpack(part, bytes)?, out);
            }
            return Ok("index");
        }
        if (wanted.end as f64) < STREAM_SHARE * self.unpacked_need() as f64 {
            return self.stream(spans, out).map(|()| "stream");
        }
        let is_parallel = decoder.is_parallel;
        let stored = self.stored(&mut decoder.buffers, is_parallel)?;
        scatter(spans, self.data_offset, stored, out);
        Ok("whole stream")
    }

    /// Unpacks from the beginning up to the last span.
    fn stream(&self, spans: &[Span], out: &mut [u8]) -> Result<(), NiftiError> {
        let mut unpacker = Unpacker::new(&self.image.bytes);
        for span in spans {
            unpacker.skip(span.start - unpacker.unpacked())?;
            let got = unpacker.read(&mut out[span.at..][..span.bytes])?;
            if got < span.bytes {
                let (got, need) = (unpacker.unpacked(), span.end());
                return Err(NiftiError::Truncated { what: "gzip stream", offset: 0, got, need });
            }
        }
        Ok(())
    }
}

/// The rows of a region in its file: all of the same length.
struct Rows {
    /// Where the first begins.
    first: u64,
    /// Bytes of a row.
    bytes: usize,
    /// Bytes from a row to the next within a plane.
    stride: usize,
    /// Rows of a plane that follow each other.
    per_plane: usize,
    /// Extents and strides in bytes of the axes behind y, fastest first.
    outer: Vec<(usize, u64)>,
}

impl Rows {
    fn new(file: &VolumeFile, ranges: &[Range<usize>]) -> Self {
        let voxel = file.datatype.bytes() as u64;
        let mut strides = vec![voxel];
        for &extent in &file.shape {
            strides.push(strides[strides.len() - 1] * extent as u64);
        }
        let first = ranges.iter().zip(&strides).map(|(range, stride)| range.start as u64 * stride).sum::<u64>();
        Self {
            first: file.data_offset + first,
            bytes: ranges[0].len() * voxel as usize,
            stride: strides[1] as usize,
            per_plane: ranges.get(1).map_or(1, ExactSizeIterator::len),
            outer: ranges.iter().zip(&strides).skip(2).map(|(range, &stride)| (range.len(), stride)).collect(),
        }
    }

    /// Where the first row of each plane begins.
    fn planes(&self) -> impl Iterator<Item = u64> {
        let count: usize = self.outer.iter().map(|(extent, _)| extent).product();
        (0..count).map(|mut plane| {
            let mut start = self.first;
            for &(extent, stride) in &self.outer {
                start += (plane % extent) as u64 * stride;
                plane /= extent;
            }
            start
        })
    }

    fn starts(&self) -> impl Iterator<Item = u64> {
        let (per_plane, stride) = (self.per_plane, self.stride as u64);
        self.planes().flat_map(move |plane| (0..per_plane as u64).map(move |row| plane + row * stride))
    }

    /// Bytes from the first byte of a plane's first row to the last one of its last row.
    fn run(&self) -> usize {
        (self.per_plane - 1) * self.stride + self.bytes
    }

    fn is_sparse(&self) -> bool {
        self.run() / (self.per_plane * self.bytes) >= SPARSE
    }

    /// Whether all rows follow each other without gaps.
    fn is_contiguous(&self) -> bool {
        let mut next = self.first;
        self.starts().all(|start| {
            let follows = start == next;
            next = start + self.bytes as u64;
            follows
        })
    }

    fn spans(&self) -> Vec<Span> {
        let bytes = self.run();
        self.planes().enumerate().map(|(i, start)| Span { start, bytes, at: i * bytes }).collect()
    }
}

/// Whether any span has bytes in `start..end`.
fn touches(spans: &[Span], start: u64, end: u64) -> bool {
    let first = spans.partition_point(|span| span.end() <= start);
    spans.get(first).is_some_and(|span| span.start < end)
}

/// Copies what `part`, unpacked from `start` on, has of the spans.
fn scatter(spans: &[Span], start: u64, part: &[u8], out: &mut [u8]) {
    let end = start + part.len() as u64;
    let first = spans.partition_point(|span| span.end() <= start);
    for span in spans[first..].iter().take_while(|span| span.start < end) {
        let (from, to) = (span.start.max(start), span.end().min(end));
        let at = span.at + (from - span.start) as usize;
        let n = (to - from) as usize;
        out[at..at + n].copy_from_slice(&part[(from - start) as usize..][..n]);
    }
}

/// Maps voxels of a region to those of the volume.
fn shift(ranges: &[Range<usize>]) -> Affine {
    let mut affine = Affine::IDENTITY;
    for (row, range) in affine.0.iter_mut().take(3).zip(ranges) {
        row[3] = range.start as f64;
    }
    affine
}
