//! Regions of a volume, read by the access that touches the fewest bytes.

use std::ops::Range;

use crate::{
    Access, Affine, Decoded, Decoder, Losses, NiftiError, Orientation, Output, Packing, Plan, Threads, Volume,
    VolumeFile, Watch,
    affine::Reorientation,
    conversion::Conversion,
    convert::reorient::Traversal,
    copy::copy,
    decode::{check_length, reoriented_shape},
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

/// Up to this share of the stream, unpacking as a stream up to the last byte wanted is faster than unpacking all in one
/// shot.
const STREAM_SHARE: f64 = 0.65;
/// Rows that use less than this of the run that they lie in are read one by one.
const SPARSE: usize = 64;

impl VolumeFile {
    /// Converts the voxels of a region as `plan` says into `out`, x first. `ranges` are in the file's order of axes, x
    /// first; axes that are left out are taken whole. Percentiles, means and statistics of the plan are those of the
    /// region.
    ///
    /// What is read: of plain files the rows of the region; of blocked gzip, and of gzip with an index, the parts that
    /// hold them; of other gzip all up to the last one. Only whole streams and parts are verified.
    ///
    /// # Errors
    /// [`NiftiError::Region`] for a range that is empty or beyond the volume; else as
    /// [`decode_into`](Self::decode_into).
    pub fn read_region_into<D: Output>(
        &self,
        decoder: &mut Decoder,
        ranges: &[Range<usize>],
        plan: &Plan,
        out: &mut [D],
    ) -> Result<Decoded, NiftiError> {
        let region = Region::new(self, ranges, plan.orientation)?;
        check_length(out, region.traversal.voxels())?;
        if !self.datatype.is_real() {
            return Err(NiftiError::NotReal { datatype: self.datatype, to: D::NAME });
        }
        let conversion = Conversion { file: self, plan, traversal: region.traversal };
        let simd = decoder.simd;
        let convert = |voxels: &[u8]| conversion.run(simd, Threads::SERIAL, voxels, out);
        let (access, report) = self.with_region(decoder, &region, convert)?;
        Ok(Decoded { access, ..region.geometry(self) }.with(report))
    }

    /// As [`read_region_into`](Self::read_region_into), with memory for the output.
    ///
    /// # Errors
    /// As [`read_region_into`](Self::read_region_into).
    pub fn read_region<D: Output>(
        &self,
        decoder: &mut Decoder,
        ranges: &[Range<usize>],
        plan: &Plan,
    ) -> Result<Volume<D>, NiftiError> {
        let voxels = self.check_ranges(ranges)?.iter().map(ExactSizeIterator::len).product();
        let mut voxels = crate::zeroed(voxels);
        let decoded = self.read_region_into(decoder, ranges, plan, &mut voxels)?;
        Ok(Volume::new(voxels, decoded))
    }

    /// Copies the voxels of a region as they are stored, in this machine's byte order and with the axes in the given
    /// order, to `out`: every type, [`Datatype::bytes`](crate::Datatype::bytes) bytes each. Else as
    /// [`read_region_into`](Self::read_region_into).
    ///
    /// # Errors
    /// As [`read_region_into`](Self::read_region_into), except [`NiftiError::NotReal`].
    pub fn copy_region_into(
        &self,
        decoder: &mut Decoder,
        ranges: &[Range<usize>],
        orientation: Option<Orientation>,
        out: &mut [u8],
    ) -> Result<Decoded, NiftiError> {
        let region = Region::new(self, ranges, orientation)?;
        check_length(out, region.traversal.voxels() * self.datatype.bytes())?;
        let (access, ()) = self.with_region(decoder, &region, |voxels| {
            copy(&region.traversal, self.datatype, self.header.endian, voxels, out);
            Ok(())
        })?;
        Ok(Decoded { access, ..region.geometry(self) })
    }

    /// Calls `f` with the stored voxels of a region, which lie in memory of the decoder.
    fn with_region<T>(
        &self,
        decoder: &mut Decoder,
        region: &Region,
        f: impl FnOnce(&[u8]) -> Result<T, NiftiError>,
    ) -> Result<(Access, T), NiftiError> {
        // Taken out of the decoder, which `gather` needs as well.
        let mut buffer = std::mem::take(&mut decoder.buffers.region);
        let result = buffer.get(region.traversal.voxels() * self.datatype.bytes()).and_then(|voxels| {
            let access = self.gather(decoder, &region.ranges, voxels)?;
            Ok((access, f(voxels)?))
        });
        decoder.buffers.region = buffer;
        result
    }

    /// The ranges of all axes, checked; axes that are left out are whole.
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

    /// Copies the stored voxels of the region to `voxels` without gaps, and returns how it reached them.
    fn gather(&self, decoder: &mut Decoder, ranges: &[Range<usize>], voxels: &mut [u8]) -> Result<Access, NiftiError> {
        let rows = Rows::new(self, ranges);
        if let (Packing::Plain, Some(slice)) = (self.packing(), self.image.bytes.slice()) {
            for (start, row) in rows.starts().zip(voxels.chunks_exact_mut(rows.bytes)) {
                row.copy_from_slice(&slice[start as usize..][..rows.bytes]);
            }
            return Ok(Access::RowsInMemory);
        }
        if self.packing() == Packing::Plain && rows.is_sparse() {
            for (start, row) in rows.starts().zip(voxels.chunks_exact_mut(rows.bytes)) {
                self.image.bytes.read_at(start, row)?;
            }
            return Ok(Access::RowsRead);
        }
        if rows.is_contiguous() {
            let span = Span { start: rows.first, bytes: voxels.len(), at: 0 };
            return self.fetch(decoder, &[span], voxels);
        }
        let spans = rows.spans();
        let mut runs = vec![0; spans.iter().map(|span| span.bytes).sum()];
        let access = self.fetch(decoder, &spans, &mut runs)?;
        let mut out = voxels.chunks_exact_mut(rows.bytes);
        for span in &spans {
            let run = &runs[span.at..][..span.bytes];
            for (row, out) in run.chunks(rows.stride).zip(out.by_ref()) {
                out.copy_from_slice(&row[..rows.bytes]);
            }
        }
        Ok(access)
    }

    /// Fills `out` with `spans`, which are in order and do not overlap.
    fn fetch(&self, decoder: &mut Decoder, spans: &[Span], out: &mut [u8]) -> Result<Access, NiftiError> {
        let bytes = &self.image.bytes;
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else { return Ok(Access::Nothing) };
        let wanted = first.start..last.end();
        if self.packing() == Packing::Plain {
            for span in spans {
                bytes.read_at(span.start, &mut out[span.at..][..span.bytes])?;
            }
            return Ok(Access::RunsRead);
        }
        if let Some(blocks) = self.blocks(wanted.clone())?
            && blocks.last().is_some_and(|block| block.end() >= wanted.end)
        {
            let (mut packed, mut unpacked) = (Vec::new(), Vec::new());
            let watch = decoder.buffers.watch.clone();
            for block in blocks.iter().filter(|block| touches(spans, block.start, block.end())) {
                packed.resize(block.packed, 0);
                bytes.read_at(block.at, &mut packed)?;
                unpacked.resize(block.unpacked, 0);
                let inflater = &mut decoder.buffers.inflater;
                gzip::blocks::unpack(inflater, block, &packed, &mut unpacked, self.limits.verify)?;
                scatter(spans, block.start, &unpacked, out);
                if let Some(watch) = &watch {
                    watch.add(block.unpacked as u64);
                }
            }
            return Ok(Access::Blocks);
        }
        if let Some(index) = self.index.as_ref().filter(|index| index.unpacked_bytes() >= wanted.end) {
            let mut splicer = Splicer::new();
            for part in index.holding(wanted).iter().filter(|part| touches(spans, part.start, part.end())) {
                scatter(spans, part.start, splicer.unpack(part, bytes)?, out);
                if let Some(watch) = &decoder.buffers.watch {
                    watch.add(part.end() - part.start);
                }
            }
            return Ok(Access::Index);
        }
        if (wanted.end as f64) < STREAM_SHARE * self.unpacked_need() as f64 {
            return self.stream(spans, out, decoder.buffers.watch.as_deref()).map(|()| Access::Stream);
        }
        let threads = decoder.threads;
        let stored = self.stored(&mut decoder.buffers, threads)?;
        scatter(spans, self.data_offset, stored, out);
        Ok(Access::WholeStream)
    }

    /// Unpacks from the beginning up to the last span.
    fn stream(&self, spans: &[Span], out: &mut [u8], watch: Option<&Watch>) -> Result<(), NiftiError> {
        // Skipped this far at a time, so that a watch sees it move.
        const STEP: u64 = 4 << 20;
        let mut unpacker = Unpacker::new(&self.image.bytes);
        let mut shown = 0;
        let mut show = |unpacked: u64| {
            if let Some(watch) = watch {
                watch.add(unpacked - shown);
                shown = unpacked;
            }
        };
        for span in spans {
            while unpacker.unpacked() < span.start {
                let before = unpacker.unpacked();
                unpacker.skip((span.start - before).min(STEP))?;
                show(unpacker.unpacked());
                // The stream ended: the read below says where.
                if unpacker.unpacked() == before {
                    break;
                }
            }
            let got = unpacker.read(&mut out[span.at..][..span.bytes])?;
            if got < span.bytes {
                let (got, need) = (unpacker.unpacked(), span.end());
                return Err(NiftiError::Truncated { what: "gzip stream", offset: 0, got, need });
            }
            show(unpacker.unpacked());
        }
        Ok(())
    }
}

/// A region with the order in which its voxels are wanted.
struct Region {
    /// Of all axes.
    ranges: Vec<Range<usize>>,
    /// Extents of the three spatial axes, as stored.
    stored: [usize; 3],
    reorientation: Reorientation,
    traversal: Traversal,
}

impl Region {
    fn new(file: &VolumeFile, ranges: &[Range<usize>], orientation: Option<Orientation>) -> Result<Self, NiftiError> {
        let ranges = file.check_ranges(ranges)?;
        let reorientation = file.reorientation(orientation)?;
        let stored = [0, 1, 2].map(|axis| ranges.get(axis).map_or(1, ExactSizeIterator::len));
        let volumes = ranges.iter().skip(3).map(ExactSizeIterator::len).product();
        let traversal = Traversal::new(stored, volumes, reorientation, file.datatype.bytes());
        Ok(Self { ranges, stored, reorientation, traversal })
    }

    /// Shape and affine of the output.
    fn geometry(&self, file: &VolumeFile) -> Decoded {
        let extents = self.ranges.iter().map(ExactSizeIterator::len).collect();
        let affine = file.affine().after(&shift(&self.ranges)).after(&self.reorientation.affine(self.stored));
        let shape = reoriented_shape(extents, self.stored, self.reorientation);
        Decoded { shape, affine, stats: None, losses: Losses::default(), ran: None, access: Access::Nothing }
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
