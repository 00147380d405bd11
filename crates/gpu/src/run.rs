//! Many dispatches in one compute pass, and their time.

use std::time::{Duration, Instant};

use crate::{Bindings, Buffer, Clock, Counts, GpuError, Kernel, Readback, Wgpu};

/// One dispatch: a kernel, its operands, a grid of workgroups.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    kernel: &'a Kernel,
    bindings: &'a Bindings,
    grid: [u32; 3],
}

impl<'a> Step<'a> {
    /// A dispatch. Where an axis of the grid is 0, nothing runs.
    pub fn new(kernel: &'a Kernel, bindings: &'a Bindings, grid: [u32; 3]) -> Self {
        Self { kernel, bindings, grid }
    }
}

/// A grid of at least `groups` workgroups whose axes stay within `axis`; the kernel finds its number as
/// `y * num_workgroups.x + x` and ignores numbers from `groups` on.
pub fn grid_of(groups: u64, axis: u32) -> [u32; 3] {
    let axis = u64::from(axis.max(1));
    if groups <= axis {
        return [groups as u32, 1, 1];
    }
    let rows = groups.div_ceil(axis);
    // As even as possible, so that few are idle.
    [groups.div_ceil(rows) as u32, rows.min(u64::from(u32::MAX)) as u32, 1]
}

/// Dispatches of one timed pass, at most.
const MOST_DISPATCHES: u64 = 4096;
/// A timed pass aims at no more than this: drivers reset devices that seem to hang.
const MOST_SECONDS: f64 = 0.25;

impl Wgpu {
    /// Submits dispatches in one compute pass, without waiting for them. Later calls see their results.
    ///
    /// # Errors
    /// [`GpuError::Grid`], [`GpuError::Validation`], [`GpuError::Lost`].
    pub fn run(&self, steps: &[Step<'_>]) -> Result<(), GpuError> {
        self.submit(steps, 1, None, None)
    }

    /// [`run`](Self::run), then fetches `bytes` bytes of `from`, all in one submission. Whole words, at a multiple of
    /// four.
    ///
    /// # Errors
    /// As [`run`](Self::run); [`GpuError::Range`] for bytes outside the buffer, or more than `to` has room for;
    /// [`GpuError::Timeout`].
    pub fn run_and_read(
        &self,
        steps: &[Step<'_>],
        (from, offset, bytes): (&Buffer, u64, u64),
        to: &Readback,
    ) -> Result<Vec<u8>, GpuError> {
        from.check(offset, bytes)?;
        to.staging.check(0, bytes)?;
        if bytes == 0 {
            self.run(steps)?;
            return Ok(Vec::new());
        }
        self.submit(steps, 1, None, Some((from, offset, bytes, to)))?;
        self.shared().count(|counts| counts.read_bytes += bytes);
        self.map(&to.staging, bytes)
    }

    /// The time of `iters` rounds of these dispatches, by the device's [`clock`](Self::clock). Rounds share passes;
    /// what separates two dispatches is what their operands demand.
    ///
    /// # Errors
    /// As [`run`](Self::run), and [`GpuError::Timeout`].
    pub fn time(&self, steps: &[Step<'_>], iters: u64) -> Result<Duration, GpuError> {
        let most = (MOST_DISPATCHES / steps.len().max(1) as u64).max(1);
        let (mut done, mut rounds, mut total) = (0, 1.min(iters), Duration::ZERO);
        while done < iters {
            let time = self.timed(steps, rounds)?;
            total += time;
            done += rounds;
            let each = (time.as_secs_f64() / rounds as f64).max(1e-9);
            rounds = ((MOST_SECONDS / each) as u64).clamp(1, most).min(iters - done);
        }
        Ok(total)
    }

    fn timed(&self, steps: &[Step<'_>], rounds: u64) -> Result<Duration, GpuError> {
        match self.clock() {
            Clock::Timestamps { period_ns, .. } => self.stamped(steps, rounds, *period_ns),
            _ => self.by_wall(steps, rounds),
        }
    }

    /// By the host's clock: submission and waiting included.
    pub(crate) fn by_wall(&self, steps: &[Step<'_>], rounds: u64) -> Result<Duration, GpuError> {
        self.wait()?;
        let start = Instant::now();
        self.submit(steps, rounds, None, None)?;
        self.wait()?;
        Ok(start.elapsed())
    }

    /// By the device's clock: from the beginning of the pass to its end.
    pub(crate) fn stamped(&self, steps: &[Step<'_>], rounds: u64, period_ns: f64) -> Result<Duration, GpuError> {
        let set = self.scoped("timestamps", || {
            self.device().create_query_set(&wgpu::QuerySetDescriptor {
                label: None,
                ty: wgpu::QueryType::Timestamp,
                count: 2,
            })
        })?;
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = self.allocate("timestamps", 16, usage)?;
        self.submit(steps, rounds, Some(&set), None)?;
        let staging = self.allocate("timestamps", 16, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)?;
        self.scoped("timestamps", || {
            let mut encoder = self.device().create_command_encoder(&Default::default());
            encoder.resolve_query_set(&set, 0..2, resolved.raw(), 0);
            encoder.copy_buffer_to_buffer(resolved.raw(), 0, staging.raw(), 0, 16);
            self.queue().submit([encoder.finish()]);
        })?;
        self.shared().count(|counts| counts.submissions += 1);
        let stamps: Vec<u64> = bytemuck::pod_collect_to_vec(&self.map(&staging, 16)?);
        let ticks = stamps[1].saturating_sub(stamps[0]);
        Ok(Duration::from_secs_f64(ticks as f64 * period_ns * 1e-9))
    }

    /// `read` is copied behind the dispatches: a buffer, its first byte and their number, and where they go.
    fn submit(
        &self,
        steps: &[Step<'_>],
        rounds: u64,
        stamps: Option<&wgpu::QuerySet>,
        read: Option<(&Buffer, u64, u64, &Readback)>,
    ) -> Result<(), GpuError> {
        let limit = self.capabilities().grid_axis;
        if let Some(step) = steps.iter().find(|step| step.grid.iter().any(|&axis| axis > limit)) {
            return Err(GpuError::Grid { kernel: step.kernel.name, grid: step.grid, limit });
        }
        let steps: Vec<&Step<'_>> = steps.iter().filter(|step| !step.grid.contains(&0)).collect();
        self.scoped("run", || {
            let mut encoder = self.device().create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: stamps.map(|query_set| wgpu::ComputePassTimestampWrites {
                    query_set,
                    beginning_of_pass_write_index: Some(0),
                    end_of_pass_write_index: Some(1),
                }),
            });
            for _ in 0..rounds {
                for step in &steps {
                    pass.set_pipeline(&step.kernel.pipeline);
                    pass.set_bind_group(0, &step.bindings.group, &[]);
                    let [x, y, z] = step.grid;
                    pass.dispatch_workgroups(x, y, z);
                }
            }
            drop(pass);
            if let Some((from, offset, bytes, to)) = read {
                encoder.copy_buffer_to_buffer(from.raw(), offset, to.staging.raw(), 0, bytes);
            }
            self.queue().submit([encoder.finish()]);
        })?;
        let barriers = barriers(&steps, rounds);
        self.shared().count(|counts: &mut Counts| {
            counts.dispatches += rounds * steps.len() as u64;
            counts.barriers += barriers;
            counts.passes += 1;
            counts.submissions += 1;
        });
        Ok(())
    }
}

/// How many of the dispatches wait for earlier ones of the same pass.
fn barriers(steps: &[&Step<'_>], rounds: u64) -> u64 {
    let uses: Vec<Vec<(u64, bool)>> = steps
        .iter()
        .map(|step| step.bindings.uses.iter().map(|(buffer, is_written)| (buffer.id, *is_written)).collect())
        .collect();
    // From the second round on, every round begins in the state that the one before left.
    let (mut open, mut per_round) = (Vec::new(), [0; 3]);
    for count in &mut per_round[..rounds.min(3) as usize] {
        for used in &uses {
            if conflicts(&open, used) {
                open.clear();
                *count += 1;
            }
            open.extend_from_slice(used);
        }
        // Duplicates add nothing.
        open.sort_unstable();
        open.dedup();
    }
    per_round[0] + per_round[1] + per_round[2] * rounds.saturating_sub(2)
}

/// Whether a dispatch with the operands `used` must wait for those that used `open`.
fn conflicts(open: &[(u64, bool)], used: &[(u64, bool)]) -> bool {
    used.iter()
        .any(|(id, is_written)| open.iter().any(|(other, was_written)| id == other && (*is_written || *was_written)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_cover_and_stay_within_their_axes() {
        for (groups, axis) in [(0, 65_535), (1, 65_535), (65_535, 65_535), (65_536, 65_535), (1 << 21, 65_535), (8, 3)]
        {
            let [x, y, z] = grid_of(groups, axis);
            assert!(x <= axis && y <= axis && z == 1);
            let covered = u64::from(x) * u64::from(y);
            assert!(covered >= groups && covered < groups + u64::from(y), "{groups}: {x} x {y}");
        }
    }

    #[test]
    fn readers_share_and_writers_wait() {
        assert!(!conflicts(&[(1, false), (2, true)], &[(1, false), (3, true)]));
        assert!(conflicts(&[(2, true)], &[(2, false)]));
        assert!(conflicts(&[(2, false)], &[(2, true)]));
        assert!(conflicts(&[(2, true)], &[(2, true)]));
    }
}
