//! One conversion: stored voxels, a plan and a traversal to voxels of the output.

use rayon::prelude::*;

use crate::{
    Choice, Clip, Decoder, NiftiError, Normalize, Output, Plan, Stats, VolumeFile,
    convert::{
        Blocks, Kernel, Map, Path,
        reorient::{TileBuffer, Traversal},
    },
    scan::READ_BYTES,
    stats::{self, Distribution, Moments, Searched, Tally},
};

/// Voxels of a task, where threads share a conversion.
const TASK_VOXELS: usize = 1 << 20;

/// One conversion.
#[derive(Clone, Copy)]
pub(crate) struct Conversion<'a> {
    pub(crate) file: &'a VolumeFile,
    pub(crate) plan: &'a Plan,
    pub(crate) traversal: Traversal,
}

impl Conversion<'_> {
    pub(crate) fn kernel<D: Output>(&self, decoder: &Decoder, map: Map) -> Result<Kernel, NiftiError> {
        let VolumeFile { datatype, header, .. } = self.file;
        Kernel::new::<D>(*datatype, header.endian, map, decoder.path(), self.traversal.voxels())
    }

    /// Tables to count in, where that is wanted and possible. They take a megabyte.
    fn tally(&self, is_wanted: bool) -> Option<Tally> {
        is_wanted.then(|| Tally::new(self.file.datatype, self.file.header.endian)).flatten()
    }

    /// Reads, counts and converts a plain file some voxels at a time, so that they never leave the cache.
    pub(crate) fn run_by_blocks<D: Output>(
        &self,
        decoder: &mut Decoder,
        out: &mut [D],
    ) -> Result<(Option<Stats>, Choice), NiftiError> {
        let file = self.file;
        let map = file.scaling(self.plan).clipped(self.plan.clip);
        let kernel = self.kernel::<D>(decoder, map)?;
        let mut tally = self.tally(self.plan.has_stats);
        let (mut converter, mut tile) = (Converter::new(&kernel, tally.as_mut()), TileBuffer::default());
        for part in self.traversal.parts(READ_BYTES) {
            let src = file.read_part(&mut decoder.buffers, part.stored.clone())?;
            part.traversal.run(src, &mut out[part.out], &mut tile, &mut |src, dst| converter.run(src, dst));
        }
        kernel.finish();
        let scaling = file.scaling(self.plan);
        Ok((tally.map(|tally| stats::of_counts(tally.finish(&scaling))), kernel.choice()))
    }

    /// Converts voxels that are in memory.
    pub(crate) fn run<D: Output>(
        &self,
        path: Path,
        is_parallel: bool,
        stored: &[u8],
        out: &mut [D],
    ) -> Result<(Option<Stats>, Choice), NiftiError> {
        let VolumeFile { datatype, header, .. } = self.file;
        let (plan, scaling) = (self.plan, self.file.scaling(self.plan));
        let (mut map, mut stats) = (scaling.clipped(plan.clip), None);
        let mut tally = self.tally(plan.has_stats && !plan.needs_distribution());
        if plan.needs_distribution() || plan.has_stats && tally.is_none() {
            let mut in_memory = stored;
            let mut distribution: Box<dyn Distribution + '_> = match Tally::new(*datatype, header.endian) {
                Some(mut tally) => {
                    tally.add(stored);
                    Box::new(tally.finish(&scaling))
                }
                None => Box::new(Searched::new(&mut in_memory, *datatype, header.endian, scaling)?),
            };
            if plan.has_stats {
                stats = Some(stats::stats(&mut *distribution)?);
            }
            map = normalized(plan, map, &mut *distribution)?;
        }
        let kernel = Kernel::new::<D>(*datatype, header.endian, map, path, self.traversal.voxels())?;
        if is_parallel && self.traversal.keeps_order() {
            tally = self.run_in_parallel(&kernel, tally, stored, out);
        } else {
            let mut converter = Converter::new(&kernel, tally.as_mut());
            self.traversal.run(stored, out, &mut TileBuffer::default(), &mut |src, dst| converter.run(src, dst));
        }
        kernel.finish();
        Ok((stats.or_else(|| tally.map(|tally| stats::of_counts(tally.finish(&scaling)))), kernel.choice()))
    }

    fn run_in_parallel<D: Output>(
        &self,
        kernel: &Kernel,
        tally: Option<Tally>,
        stored: &[u8],
        out: &mut [D],
    ) -> Option<Tally> {
        let is_counted = tally.is_some();
        let empty = || self.tally(is_counted);
        let voxel_bytes = self.traversal.voxel_bytes;
        let tasks = stored.par_chunks(TASK_VOXELS * voxel_bytes).zip(out.par_chunks_mut(TASK_VOXELS));
        let convert = |mut tally: Option<Tally>, (src, dst): (&[u8], &mut [D])| {
            let run = Traversal::contiguous(dst.len(), voxel_bytes);
            let mut converter = Converter::new(kernel, tally.as_mut());
            run.run(src, dst, &mut TileBuffer::default(), &mut |src, dst| converter.run(src, dst));
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

/// Converts the runs of a traversal, and counts their voxels where a tally is given.
struct Converter<'a, D> {
    kernel: &'a Kernel,
    tally: Option<&'a mut Tally>,
    blocks: Blocks<D>,
}

impl<'a, D: Output> Converter<'a, D> {
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

/// `map` with the bounds and the normalization that follow from the distribution of the volume's values.
fn normalized(plan: &Plan, mut map: Map, distribution: &mut dyn Distribution) -> Result<Map, NiftiError> {
    if let Clip::Percentiles { low, high } = plan.clip {
        let bounds = stats::percentiles(distribution, &[low, high])?;
        // A volume of NaN alone has no bounds.
        if bounds.iter().all(|bound| !bound.is_nan()) {
            (map.low, map.high) = (bounds[0], bounds[1]);
        }
    }
    if let Normalize::ZScore { over } = plan.normalize {
        let Moments { mean, std, .. } = distribution.moments(map.low, map.high, over)?;
        if mean.is_finite() && std.is_finite() {
            map.shift = mean;
            // Where all values are equal, the deviation is nothing but the rounding error of the mean.
            map.gain = if std > mean.abs() * 1e-12 { 1.0 / std } else { 0.0 };
        }
    }
    Ok(map)
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
