//! From a file to converted voxels.

use rayon::prelude::*;

use crate::{
    Affine, Choice, Clip, Decoder, Endian, NiftiError, Normalize, Orientation, Output, Plan, Scale, Stats, VolumeFile,
    affine::Turn,
    convert::{
        Blocks, Kernel, Map,
        turn::{Part, Space, Walk},
    },
    decoder::Buffers,
    source::Packing,
    stats::{self, Distribution, Moments, Searched, Tally},
};

/// Bytes that are read from a plain file at a time, where slices are no larger: they stay in the second-level cache until they are
/// converted.
const READ_BYTES: usize = 256 << 10;
/// Voxels of a task, where threads share a conversion.
const TASK_VOXELS: usize = 1 << 20;

/// What a conversion did.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Extents of the output, x first.
    pub shape: Vec<usize>,
    /// From voxels of the output to millimeters.
    pub affine: Affine,
    /// Statistics of the scaled values, where the plan asks for them.
    pub stats: Option<Stats>,
    /// The kernel that ran; `None` where voxels were only copied.
    pub ran: Option<Choice>,
    /// How the stored voxels were reached: `mapped`, `read`, `blocks read`, `gzip`, `gzip in parallel`, ..
    pub way: &'static str,
}

/// Converted voxels, x first.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume<D> {
    /// The voxels.
    pub voxels: Vec<D>,
    /// What they are.
    pub decoded: Decoded,
}

impl VolumeFile {
    /// Converts all voxels into memory of their own, as [`decode_into`](Self::decode_into).
    ///
    /// # Errors
    /// As [`decode_into`](Self::decode_into).
    pub fn decode<D: Output>(&self, decoder: &mut Decoder, plan: &Plan) -> Result<Volume<D>, NiftiError> {
        let mut voxels = crate::zeroed(self.voxels());
        let decoded = self.decode_into(decoder, plan, &mut voxels)?;
        Ok(Volume { voxels, decoded })
    }

    /// Converts all voxels as `plan` says into `out`, x first, as many as the file has. Nothing is allocated but what `decoder`
    /// keeps, and a tile where axes are turned.
    ///
    /// # Errors
    /// [`NiftiError::Buffer`] for an output of another length, [`NiftiError::NotReal`] for colors and complex numbers,
    /// [`NiftiError::NoOrientation`], and whatever the file has hidden so far. `out` then holds anything.
    pub fn decode_into<D: Output>(
        &self,
        decoder: &mut Decoder,
        plan: &Plan,
        out: &mut [D],
    ) -> Result<Decoded, NiftiError> {
        let turn = self.turn(plan.orientation)?;
        let walk = self.walk(turn);
        check_length(out, walk.voxels())?;
        let job = Job { file: self, plan, walk };
        // Refuses types that are not real before anything is read.
        job.kernel::<D>(decoder, self.scaling(plan))?;
        let is_countable = Tally::counts(self.datatype);
        let is_blockwise = self.packing() == Packing::Plain
            && self.image.bytes.slice().is_none()
            && walk.keeps_slices()
            && !plan.looks_ahead()
            && (is_countable || !plan.has_stats);
        let (stats, ran) = if is_blockwise {
            job.read_by_blocks(decoder, out)?
        } else {
            let (path, is_parallel) = (decoder.path(), decoder.is_parallel);
            let stored = self.stored(&mut decoder.buffers, is_parallel)?;
            job.convert(path, is_parallel, stored, out)?
        };
        let way = self.way(is_blockwise, decoder.is_parallel);
        Ok(Decoded { stats, ran: Some(ran), way, ..self.turned(turn) })
    }

    /// Copies all voxels as they are stored, in this machine's byte order and in the order of axes asked for, to `out`: every type,
    /// [`Datatype::bytes`](crate::Datatype::bytes) bytes each.
    ///
    /// # Errors
    /// As [`decode_into`](Self::decode_into), but for [`NiftiError::NotReal`].
    pub fn copy_into(
        &self,
        decoder: &mut Decoder,
        orientation: Option<Orientation>,
        out: &mut [u8],
    ) -> Result<Decoded, NiftiError> {
        let turn = self.turn(orientation)?;
        check_length(out, self.data_bytes)?;
        let is_parallel = decoder.is_parallel;
        let stored = self.stored(&mut decoder.buffers, is_parallel)?;
        crate::copy::copy(&self.walk(turn), self.datatype, self.header.endian, stored, out);
        Ok(Decoded { way: self.way(false, is_parallel), ..self.turned(turn) })
    }

    /// Statistics of all scaled values, without any output.
    ///
    /// # Errors
    /// As [`decode_into`](Self::decode_into).
    pub fn stats(&self, decoder: &mut Decoder) -> Result<Stats, NiftiError> {
        if !self.datatype.is_real() {
            return Err(NiftiError::NotReal { datatype: self.datatype, to: "statistics" });
        }
        if let Some(tally) = self.tally_by_blocks(decoder)? {
            return Ok(stats::stats(&tally.finish(&self.scaling(&Plan::scaled()))));
        }
        let is_parallel = decoder.is_parallel;
        let stored = self.stored(&mut decoder.buffers, is_parallel)?;
        Ok(self.stats_of(stored, self.header.endian))
    }

    /// Counts the voxels of a plain file as they are read, where they can be counted.
    fn tally_by_blocks(&self, decoder: &mut Decoder) -> Result<Option<Tally>, NiftiError> {
        let is_read = self.packing() == Packing::Plain && self.image.bytes.slice().is_none();
        let Some(mut tally) = is_read.then(|| Tally::new(self.datatype, self.header.endian)).flatten() else {
            return Ok(None);
        };
        for part in self.walk(Turn::NONE).parts(READ_BYTES) {
            tally.add(self.read_part(&mut decoder.buffers, &part)?);
        }
        Ok(Some(tally))
    }

    /// The stored voxels of a part of a plain file.
    fn read_part<'a>(&self, buffers: &'a mut Buffers, part: &Part) -> Result<&'a mut [u8], NiftiError> {
        let Buffers { stored, watch, .. } = buffers;
        let voxels = stored.get(part.stored.len())?;
        self.image.bytes.read_at(self.data_offset + part.stored.start as u64, voxels)?;
        if let Some(watch) = watch {
            watch.add(part.stored.len() as u64);
        }
        Ok(voxels)
    }

    /// Statistics of this volume's scaled values, of voxels that are in memory in the order of bytes `endian`.
    pub(crate) fn stats_of(&self, stored: &[u8], endian: Endian) -> Stats {
        stats::stats(&*self.distribution(stored, endian, &self.scaling(&Plan::scaled())))
    }

    /// How stored axes become those of `orientation`.
    pub(crate) fn turn(&self, orientation: Option<Orientation>) -> Result<Turn, NiftiError> {
        match orientation {
            None => Ok(Turn::NONE),
            Some(wanted) => Turn::between(self.affine().orientation(), wanted).ok_or(NiftiError::NoOrientation),
        }
    }

    pub(crate) fn walk(&self, turn: Turn) -> Walk {
        let volumes = self.shape.iter().skip(3).product();
        Walk::new(self.spatial_shape(), volumes, turn, self.datatype.bytes())
    }

    /// Shape and affine after a turn.
    pub(crate) fn turned(&self, turn: Turn) -> Decoded {
        let stored = self.spatial_shape();
        let mut shape = self.shape.clone();
        // Axes that are not there have one voxel; a turn that moves one to the front brings it into being.
        if turn != Turn::NONE {
            shape.resize(shape.len().max(3), 1);
            for (extent, from) in shape.iter_mut().zip(turn.from) {
                *extent = stored[from];
            }
        }
        let affine = if turn == Turn::NONE { self.affine() } else { self.affine().after(&turn.affine(stored)) };
        Decoded { shape, affine, stats: None, ran: None, way: "" }
    }

    pub(crate) fn scaling(&self, plan: &Plan) -> Map {
        let Scale { slope, inter } = self.scale.filter(|_| plan.is_scaled).unwrap_or(Scale::NONE);
        Map { slope, inter, ..Map::IDENTITY }
    }

    fn distribution<'a>(&self, stored: &'a [u8], endian: Endian, map: &Map) -> Box<dyn Distribution + 'a> {
        match Tally::new(self.datatype, endian) {
            Some(mut tally) => {
                tally.add(stored);
                Box::new(tally.finish(map))
            }
            None => Box::new(Searched::new(stored, self.datatype, endian, *map)),
        }
    }

    fn way(&self, is_blockwise: bool, is_parallel: bool) -> &'static str {
        let has_parts = is_parallel && (self.packing().is_blocked() || self.index.is_some());
        match self.packing() {
            Packing::Plain if is_blockwise => "read by blocks",
            Packing::Plain if self.image.bytes.slice().is_some() => "in memory",
            Packing::Plain => "read",
            _ if has_parts => "gzip in parallel",
            _ => "gzip",
        }
    }
}

pub(crate) fn check_length<D>(out: &[D], need: usize) -> Result<(), NiftiError> {
    if out.len() == need { Ok(()) } else { Err(NiftiError::Buffer { got: out.len(), need }) }
}

/// One conversion.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) file: &'a VolumeFile,
    pub(crate) plan: &'a Plan,
    pub(crate) walk: Walk,
}

impl Job<'_> {
    fn kernel<D: Output>(&self, decoder: &Decoder, map: Map) -> Result<Kernel, NiftiError> {
        let VolumeFile { datatype, header, .. } = self.file;
        Kernel::new::<D>(*datatype, header.endian, map, decoder.path(), self.walk.voxels())
    }

    /// Tables to count in, where that is wanted and can be done. They take a megabyte.
    fn tally(&self, is_wanted: bool) -> Option<Tally> {
        is_wanted.then(|| Tally::new(self.file.datatype, self.file.header.endian)).flatten()
    }

    /// Reads, counts and converts some voxels at a time, so that they never leave the cache.
    fn read_by_blocks<D: Output>(
        &self,
        decoder: &mut Decoder,
        out: &mut [D],
    ) -> Result<(Option<Stats>, Choice), NiftiError> {
        let file = self.file;
        let map = file.scaling(self.plan).clipped(self.plan.clip);
        let kernel = self.kernel::<D>(decoder, map)?;
        let mut tally = self.tally(self.plan.has_stats);
        let (mut converting, mut space) = (Converting::new(&kernel, tally.as_mut()), Space::default());
        for part in self.walk.parts(READ_BYTES) {
            let src = file.read_part(&mut decoder.buffers, &part)?;
            part.walk.run(src, &mut out[part.out], &mut space, &mut |src, dst| converting.run(src, dst));
        }
        kernel.finish();
        let plain = file.scaling(self.plan);
        Ok((tally.map(|tally| stats::stats(&tally.finish(&plain))), kernel.choice()))
    }

    /// Converts voxels that are in memory.
    pub(crate) fn convert<D: Output>(
        &self,
        path: crate::convert::Path,
        is_parallel: bool,
        stored: &[u8],
        out: &mut [D],
    ) -> Result<(Option<Stats>, Choice), NiftiError> {
        let VolumeFile { datatype, header, .. } = self.file;
        let (plan, plain) = (self.plan, self.file.scaling(self.plan));
        let (mut map, mut stats) = (plain.clipped(plan.clip), None);
        let mut tally = self.tally(plan.has_stats && !plan.looks_ahead());
        if plan.looks_ahead() || plan.has_stats && tally.is_none() {
            let distribution = self.file.distribution(stored, header.endian, &plain);
            stats = plan.has_stats.then(|| stats::stats(&*distribution));
            map = ahead(plan, map, &*distribution);
        }
        let kernel = Kernel::new::<D>(*datatype, header.endian, map, path, self.walk.voxels())?;
        if is_parallel && self.walk.is_straight() {
            tally = self.convert_side_by_side(&kernel, tally, stored, out);
        } else {
            let mut converting = Converting::new(&kernel, tally.as_mut());
            self.walk.run(stored, out, &mut Space::default(), &mut |src, dst| converting.run(src, dst));
        }
        kernel.finish();
        Ok((stats.or_else(|| tally.map(|tally| stats::stats(&tally.finish(&plain)))), kernel.choice()))
    }

    fn convert_side_by_side<D: Output>(
        &self,
        kernel: &Kernel,
        tally: Option<Tally>,
        stored: &[u8],
        out: &mut [D],
    ) -> Option<Tally> {
        let is_counted = tally.is_some();
        let empty = || self.tally(is_counted);
        let tasks = stored.par_chunks(TASK_VOXELS * self.walk.voxel_bytes).zip(out.par_chunks_mut(TASK_VOXELS));
        let convert = |mut tally: Option<Tally>, (src, dst): (&[u8], &mut [D])| {
            let straight = Walk::straight(dst.len(), self.walk.voxel_bytes);
            let mut converting = Converting::new(kernel, tally.as_mut());
            straight.run(src, dst, &mut Space::default(), &mut |src, dst| converting.run(src, dst));
            kernel.finish();
            tally
        };
        let merge = |a: Option<Tally>, b: Option<Tally>| match (a, b) {
            (Some(mut a), Some(mut b)) => {
                a.merge(&mut b);
                Some(a)
            }
            (a, b) => a.or(b),
        };
        tasks.fold(empty, convert).reduce(|| None, merge)
    }
}

/// Converts what a walk passes, and counts it if asked to.
struct Converting<'a, D> {
    kernel: &'a Kernel,
    tally: Option<&'a mut Tally>,
    blocks: Blocks<D>,
}

impl<'a, D: Output> Converting<'a, D> {
    fn new(kernel: &'a Kernel, tally: Option<&'a mut Tally>) -> Self {
        Self { kernel, tally, blocks: Blocks::new() }
    }

    fn run(&mut self, src: &[u8], dst: &mut [D]) {
        if let Some(tally) = &mut self.tally {
            tally.add(src);
        }
        self.kernel.run(src, dst, &mut self.blocks);
    }
}

/// Bounds and normalization from figures of the whole volume.
fn ahead(plan: &Plan, mut map: Map, distribution: &dyn Distribution) -> Map {
    if let Clip::Percentiles { low, high } = plan.clip {
        let bounds = stats::percentiles(distribution, &[low, high]);
        // Without any number there is nothing to bound.
        if bounds.iter().all(|bound| !bound.is_nan()) {
            (map.low, map.high) = (bounds[0], bounds[1]);
        }
    }
    if let Normalize::ZScore { over } = plan.normalize {
        let Moments { mean, std, .. } = distribution.moments(map.low, map.high, over);
        if mean.is_finite() && std.is_finite() {
            map.shift = mean;
            // Equal values have no spread but for the rounding of their mean.
            map.gain = if std > mean.abs() * 1e-12 { 1.0 / std } else { 0.0 };
        }
    }
    map
}

impl Map {
    /// With fixed bounds; percentiles are not known yet.
    fn clipped(self, clip: Clip) -> Self {
        match clip {
            Clip::Values { low, high } => Self { low, high, ..self },
            _ => self,
        }
    }
}
