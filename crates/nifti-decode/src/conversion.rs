//! One conversion: stored voxels, a plan and a traversal to voxels of the output.

use rayon::prelude::*;
use simd::InstructionSet;

use crate::{
    Choice, Clip, Decoder, Losses, NiftiError, Normalize, Output, Plan, Stats, Threads, VolumeFile,
    convert::{
        Blocks, Kernel, Loss, Map,
        reorient::{TileBuffer, Traversal},
    },
    scan::READ_BYTES,
    stats::{self, Distribution, Moments, Searched, Tally},
    threads::min_tasks,
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

/// What a conversion reports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report {
    pub(crate) stats: Option<Stats>,
    pub(crate) ran: Choice,
    pub(crate) losses: Losses,
}

impl Conversion<'_> {
    pub(crate) fn kernel<D: Output>(&self, decoder: &Decoder, map: Map) -> Result<Kernel<D>, NiftiError> {
        let VolumeFile { datatype, header, .. } = self.file;
        Kernel::new(*datatype, header.endian, map, decoder.simd, self.traversal.voxels())
    }

    /// Tables to count in, where that is wanted and possible. They take a megabyte.
    fn tally(&self, is_wanted: bool) -> Option<Tally> {
        is_wanted.then(|| Tally::new(self.file.datatype, self.file.header.endian)).flatten()
    }

    /// Reads, counts and converts a plain file some voxels at a time, so that they never leave the cache.
    pub(crate) fn run_by_blocks<D: Output>(&self, decoder: &mut Decoder, out: &mut [D]) -> Result<Report, NiftiError> {
        let file = self.file;
        let map = file.scaling(self.plan).clipped(self.plan.clip);
        let kernel = self.kernel::<D>(decoder, map)?;
        let mut tally = self.tally(self.plan.has_stats);
        let (mut converter, mut tile) = (Converter::new(&kernel, tally.as_mut(), out), TileBuffer::default());
        for part in self.traversal.parts(READ_BYTES) {
            let src = file.read_part(&mut decoder.buffers, part.stored.clone())?;
            part.traversal.run(src, &mut out[part.out], &mut tile, &mut |src, dst| converter.run(src, dst));
        }
        let losses = converter.finish()?;
        let scaling = file.scaling(self.plan);
        let stats = tally.map(|tally| stats::of_counts(&tally.finish(&scaling)));
        Ok(Report { stats, ran: kernel.choice(), losses })
    }

    /// Converts voxels that are in memory.
    pub(crate) fn run<D: Output>(
        &self,
        simd: InstructionSet,
        threads: Threads,
        stored: &[u8],
        out: &mut [D],
    ) -> Result<Report, NiftiError> {
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
        let kernel = Kernel::new(*datatype, header.endian, map, simd, self.traversal.voxels())?;
        let losses = if !threads.is_serial() && self.traversal.keeps_order() {
            let losses;
            (tally, losses) = self.run_in_parallel(&kernel, tally, stored, out, threads)?;
            losses
        } else {
            let mut converter = Converter::new(&kernel, tally.as_mut(), out);
            self.traversal.run(stored, out, &mut TileBuffer::default(), &mut |src, dst| converter.run(src, dst));
            converter.finish()?
        };
        let stats = stats.or_else(|| tally.map(|tally| stats::of_counts(&tally.finish(&scaling))));
        Ok(Report { stats, ran: kernel.choice(), losses })
    }

    fn run_in_parallel<D: Output>(
        &self,
        kernel: &Kernel<D>,
        tally: Option<Tally>,
        stored: &[u8],
        out: &mut [D],
        threads: Threads,
    ) -> Result<(Option<Tally>, Losses), NiftiError> {
        let is_counted = tally.is_some();
        let voxel_bytes = self.traversal.voxel_bytes;
        let start = address(out);
        let empty = || (self.tally(is_counted), Losses::default());
        let min_tasks = min_tasks(out.len().div_ceil(TASK_VOXELS), threads);
        let tasks = stored.par_chunks(TASK_VOXELS * voxel_bytes).zip(out.par_chunks_mut(TASK_VOXELS));
        let convert = |(mut tally, mut losses): (Option<Tally>, Losses), (src, dst): (&[u8], &mut [D])| {
            let run = Traversal::contiguous(dst.len(), voxel_bytes);
            let mut converter = Converter { start, ..Converter::new(kernel, tally.as_mut(), dst) };
            run.run(src, dst, &mut TileBuffer::default(), &mut |src, dst| converter.run(src, dst));
            kernel.finish();
            losses.merge(&converter.losses);
            (tally, losses)
        };
        let merge = |(a, mut losses): (Option<Tally>, Losses), (b, others): (Option<Tally>, Losses)| {
            losses.merge(&others);
            let tally = match (a, b) {
                (Some(mut a), Some(mut b)) => {
                    a.merge(&mut b);
                    Some(a)
                }
                (a, b) => a.or(b),
            };
            (tally, losses)
        };
        let (tally, losses) =
            tasks.with_min_len(min_tasks).fold(empty, convert).reduce(|| (None, Losses::default()), merge);
        check_exact::<D>(&losses)?;
        Ok((tally, losses))
    }
}

/// Converts the runs of a traversal, and counts their voxels where a tally is given.
struct Converter<'a, D: Output> {
    kernel: &'a Kernel<D>,
    tally: Option<&'a mut Tally>,
    blocks: Blocks<D>,
    losses: Losses,
    /// Address of the output, to tell the index of a run.
    start: usize,
}

impl<'a, D: Output> Converter<'a, D> {
    fn new(kernel: &'a Kernel<D>, tally: Option<&'a mut Tally>, out: &[D]) -> Self {
        Self { kernel, tally, blocks: Blocks::new(), losses: Losses::default(), start: address(out) }
    }

    fn run(&mut self, src: &[u8], dst: &mut [D]) {
        if let Some(tally) = &mut self.tally {
            tally.add(src);
        }
        let first = (address(dst) - self.start) / size_of::<D>();
        self.kernel.run(src, dst, &mut self.blocks, (first, &mut self.losses));
    }

    /// Ends the conversion; what was lost, or the error for an output that must be exact.
    fn finish(self) -> Result<Losses, NiftiError> {
        self.kernel.finish();
        check_exact::<D>(&self.losses)?;
        Ok(self.losses)
    }
}

fn address<D>(out: &[D]) -> usize {
    out.as_ptr().addr()
}

/// Integers are exact.
fn check_exact<D: Output>(losses: &Losses) -> Result<(), NiftiError> {
    match losses.first {
        Some(Loss { index, value }) if D::FORMAT.is_none() => {
            Err(NiftiError::Inexact { to: D::NAME, value, index, count: losses.total() })
        }
        _ => Ok(()),
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
