//! Whole volumes: converted, or copied as they are stored.

use std::fmt;

use crate::{
    Affine, Choice, Decoder, Losses, NiftiError, Orientation, Output, Plan, Scale, Stats, Threads, Volume, VolumeFile,
    VolumeView,
    affine::Reorientation,
    conversion::{Conversion, Report},
    convert::{Map, reorient::Traversal},
    source::Packing,
    stats::Tally,
};

/// What a conversion produced, beside the voxels.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Extents of the output, first axis fastest. After a reorientation they differ from the file's.
    pub shape: Vec<usize>,
    /// Maps indices of the output to coordinates, in the header's unit of length.
    pub affine: Affine,
    /// Statistics of the scaled values, where the plan asks for them.
    pub stats: Option<Stats>,
    /// Voxels whose value the output type does not have. Empty for integers, which are exact, and for copies.
    pub losses: Losses,
    /// The kernel that ran; `None` where voxels were only copied.
    pub ran: Option<Choice>,
    /// How the stored voxels were reached.
    pub access: Access,
}

impl Decoded {
    /// `voxels`, which this conversion filled, with their shape.
    ///
    /// # Errors
    /// [`NiftiError::Buffer`] for voxels that cannot be those of this conversion, because their number differs.
    pub fn view<'a, D>(&self, voxels: &'a [D]) -> Result<VolumeView<'a, D>, NiftiError> {
        VolumeView::new(voxels, &self.shape)
    }

    /// With what a conversion reports.
    pub(crate) fn with(self, report: Report) -> Self {
        let Report { stats, ran, losses } = report;
        Self { stats, losses, ran: Some(ran), ..self }
    }
}

/// How the stored voxels were reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Access {
    /// In the caller's memory, or in a map.
    InMemory,
    /// Read from a plain file, all at once.
    Read,
    /// Read from a plain file, some slices at a time.
    ReadByBlocks,
    /// Unpacked from the beginning, by one thread.
    Gzip,
    /// Unpacked as blocks, or as parts of an index, by several threads.
    GzipInParallel,
    /// Unpacked by one thread that built an index.
    GzipAndIndex,
    /// A region: its rows, in memory.
    RowsInMemory,
    /// A region: its rows, read one by one.
    RowsRead,
    /// A region: runs of rows with the gaps between them, read from a plain file.
    RunsRead,
    /// A region: the blocks that contain it, unpacked.
    Blocks,
    /// A region: the parts of the index that contain it, unpacked.
    Index,
    /// A region: unpacked from the beginning up to its end.
    Stream,
    /// A region: copied out of the whole volume, which was unpacked.
    WholeStream,
    /// Nothing was read.
    Nothing,
}

impl Access {
    /// Name in lower case, as the command line prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::InMemory => "in memory",
            Self::Read => "read",
            Self::ReadByBlocks => "read by blocks",
            Self::Gzip => "gzip",
            Self::GzipInParallel => "gzip in parallel",
            Self::GzipAndIndex => "gzip, indexed",
            Self::RowsInMemory => "rows in memory",
            Self::RowsRead => "rows read",
            Self::RunsRead => "runs read",
            Self::Blocks => "blocks",
            Self::Index => "index",
            Self::Stream => "stream",
            Self::WholeStream => "whole stream",
            Self::Nothing => "nothing",
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl VolumeFile {
    /// Converts all voxels as `plan` says. As [`decode_into`](Self::decode_into), with memory for the output.
    ///
    /// # Errors
    /// As [`decode_into`](Self::decode_into).
    pub fn decode<D: Output>(&self, decoder: &mut Decoder, plan: &Plan) -> Result<Volume<D>, NiftiError> {
        let mut voxels = crate::zeroed(self.voxels());
        let decoded = self.decode_into(decoder, plan, &mut voxels)?;
        Ok(Volume::new(voxels, decoded))
    }

    /// Converts all voxels as `plan` says into `out`, which has as many elements as the file has voxels. The first axis
    /// of the output is the fastest; the shape stands in [`Decoded::shape`]. Nothing is allocated but the memory that
    /// `decoder` keeps, and a tile where axes are reordered.
    ///
    /// # Errors
    /// [`NiftiError::Buffer`] for an output of another length, [`NiftiError::NotReal`] for colors and complex numbers,
    /// [`NiftiError::NoOrientation`], [`NiftiError::Inexact`] for an integer type that lacks a value, and faults in the
    /// voxels' part of the file. The content of `out` is then unspecified.
    pub fn decode_into<D: Output>(
        &self,
        decoder: &mut Decoder,
        plan: &Plan,
        out: &mut [D],
    ) -> Result<Decoded, NiftiError> {
        let reorientation = self.reorientation(plan.orientation)?;
        let traversal = self.traversal(reorientation);
        check_length(out, traversal.voxels())?;
        let conversion = Conversion { file: self, plan, traversal };
        // Refuses types that are not real before anything is read.
        conversion.kernel::<D>(decoder, self.scaling(plan))?;
        let is_blockwise = self.packing() == Packing::Plain
            && self.image.bytes.slice().is_none()
            && traversal.is_slicewise()
            && !plan.needs_distribution()
            && (Tally::counts(self.datatype) || !plan.has_stats);
        let report = if is_blockwise {
            conversion.run_by_blocks(decoder, out)?
        } else {
            let (simd, threads) = (decoder.simd, decoder.threads);
            let stored = self.stored(&mut decoder.buffers, threads)?;
            conversion.run(simd, threads, stored, out)?
        };
        let access = self.access(is_blockwise, decoder.threads);
        Ok(Decoded { access, ..self.geometry(reorientation) }.with(report))
    }

    /// Copies all voxels as they are stored, in this machine's byte order and with the axes in the given order, to
    /// `out`. Every type can be copied; a voxel has [`Datatype::bytes`](crate::Datatype::bytes) bytes.
    ///
    /// # Errors
    /// As [`decode_into`](Self::decode_into), except [`NiftiError::NotReal`].
    pub fn copy_into(
        &self,
        decoder: &mut Decoder,
        orientation: Option<Orientation>,
        out: &mut [u8],
    ) -> Result<Decoded, NiftiError> {
        let reorientation = self.reorientation(orientation)?;
        check_length(out, self.data_bytes)?;
        let threads = decoder.threads;
        let stored = self.stored(&mut decoder.buffers, threads)?;
        crate::copy::copy(&self.traversal(reorientation), self.datatype, self.header.endian, stored, out);
        Ok(Decoded { access: self.access(false, threads), ..self.geometry(reorientation) })
    }

    /// How the stored axes become those of `orientation`.
    pub(crate) fn reorientation(&self, orientation: Option<Orientation>) -> Result<Reorientation, NiftiError> {
        match orientation {
            None => Ok(Reorientation::IDENTITY),
            Some(wanted) => {
                Reorientation::between(self.affine().orientation(), wanted).ok_or(NiftiError::NoOrientation)
            }
        }
    }

    pub(crate) fn traversal(&self, reorientation: Reorientation) -> Traversal {
        let volumes = self.shape.iter().skip(3).product();
        Traversal::new(self.spatial_shape(), volumes, reorientation, self.datatype.bytes())
    }

    /// Shape and affine after a reorientation.
    pub(crate) fn geometry(&self, reorientation: Reorientation) -> Decoded {
        let stored = self.spatial_shape();
        let shape = reoriented_shape(self.shape.clone(), stored, reorientation);
        let affine = match reorientation {
            Reorientation::IDENTITY => self.affine(),
            _ => self.affine().after(&reorientation.affine(stored)),
        };
        Decoded { shape, affine, stats: None, losses: Losses::default(), ran: None, access: Access::Nothing }
    }

    pub(crate) fn scaling(&self, plan: &Plan) -> Map {
        let Scale { slope, inter } = self.scale.filter(|_| plan.is_scaled).unwrap_or(Scale::NONE);
        Map { slope, inter, ..Map::IDENTITY }
    }

    fn access(&self, is_blockwise: bool, threads: Threads) -> Access {
        let has_parts = !threads.is_serial() && (self.packing().is_blocked() || self.index.is_some());
        match self.packing() {
            Packing::Plain if is_blockwise => Access::ReadByBlocks,
            Packing::Plain if self.image.bytes.slice().is_some() => Access::InMemory,
            Packing::Plain => Access::Read,
            _ if has_parts => Access::GzipInParallel,
            _ => Access::Gzip,
        }
    }
}

/// `shape`, whose first three axes have the extents `stored`, after a reorientation. Missing axes have one voxel; a
/// reorientation that moves one to the front adds it.
pub(crate) fn reoriented_shape(mut shape: Vec<usize>, stored: [usize; 3], reorientation: Reorientation) -> Vec<usize> {
    if reorientation != Reorientation::IDENTITY {
        shape.resize(shape.len().max(3), 1);
        for (extent, from) in shape.iter_mut().zip(reorientation.from) {
            *extent = stored[from];
        }
    }
    shape
}

pub(crate) fn check_length<D>(out: &[D], need: usize) -> Result<(), NiftiError> {
    if out.len() == need { Ok(()) } else { Err(NiftiError::Buffer { got: out.len(), need }) }
}
