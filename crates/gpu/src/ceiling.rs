//! What a device can do at best: loops of reading, copying and multiplying that do nothing else.
//!
//! A figure of a kernel means something beside what the same device, in the same process, did with a loop like these.

use std::time::Duration;

use crate::{Binding, Bindings, GpuError, Kernel, Source, Step, Wgpu};

/// What a loop does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ceiling {
    /// Reads memory that no cache holds, B/s.
    Read,
    /// Copies memory, B/s; a byte counts as read and as written.
    Copy,
    /// Multiply-adds of f32 on registers, FLOP/s.
    Fma,
    /// Products of f16 matrices with sums of f32 on registers, FLOP/s.
    Coop,
}

impl Ceiling {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Copy, Self::Fma, Self::Coop];

    /// The name in rows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "gpu-read",
            Self::Copy => "gpu-copy",
            Self::Fma => "gpu-fma-f32",
            Self::Coop => "gpu-coop-f16",
        }
    }

    /// Whether a rate is in bytes, not in operations.
    pub const fn is_of_memory(self) -> bool {
        matches!(self, Self::Read | Self::Copy)
    }
}

/// A loop, ready to run.
#[derive(Debug)]
pub struct Loop {
    kernel: Kernel,
    bindings: Bindings,
    grid: [u32; 3],
    /// Bytes or operations of one dispatch.
    work: f64,
}

/// Memory that a loop reads: many times the largest cache of a GPU.
const STREAM_BYTES: u64 = 1 << 30;
/// The same on a software adapter, which only proves that the loop runs.
const SOFTWARE_BYTES: u64 = 1 << 20;
/// Invocations of a workgroup in all loops.
const GROUP: u64 = 256;
/// Operations of an invocation of `fma.wgsl`: 1024 rounds of 4 steps on 16 numbers, two operations each.
const FMA_FLOPS: f64 = 1024.0 * 4.0 * 16.0 * 2.0;
/// Operations of a subgroup of `coop.wgsl`: 1024 rounds of 8 products of 16 x 16 x 16.
const COOP_FLOPS: f64 = 1024.0 * 8.0 * 2.0 * 16.0 * 16.0 * 16.0;
/// Bytes that a workgroup reads at a time: four vectors of 16 bytes for each invocation.
const TILE_BYTES: u64 = GROUP * 4 * 16;

impl Loop {
    /// The loop on this device; `None` where the device has no such operations.
    ///
    /// # Errors
    /// As those of buffers and kernels.
    pub fn new(gpu: &Wgpu, ceiling: Ceiling) -> Result<Option<Self>, GpuError> {
        let most = if gpu.identity().is_software() { SOFTWARE_BYTES } else { STREAM_BYTES };
        let bytes = most.min(gpu.capabilities().binding_bytes) / TILE_BYTES * TILE_BYTES;
        // Enough workgroups to fill any GPU; for reading, few enough that each reads for long.
        let groups: u32 = if gpu.identity().is_software() { 4 } else { 1056 };
        let words = 4 * GROUP * u64::from(groups);
        match ceiling {
            Ceiling::Read => {
                let source = Source::new("read", include_str!("../../../kernels/ceiling/read.wgsl"));
                let tiles = gpu.uniform("ceiling", &[(bytes / TILE_BYTES) as u32, 0, 0, 0])?;
                let (from, to) = (gpu.zeros("ceiling", bytes)?, gpu.zeros("ceiling", words)?);
                // SAFETY: an index is that of a whole tile below the number of tiles, or that of an invocation.
                let kernel = gpu.kernel(&unsafe { source.trusted() })?;
                let bindings = kernel
                    .bind(gpu, &[(0, Binding::read(&from)), (1, Binding::write(&to)), (2, Binding::read(&tiles))])?;
                Ok(Some(Self { kernel, bindings, grid: [groups, 1, 1], work: bytes as f64 }))
            }
            Ceiling::Copy => {
                let source = Source::new("copy", include_str!("../../../kernels/ceiling/copy.wgsl"));
                let tiles = gpu.uniform("ceiling", &[(bytes / TILE_BYTES) as u32, 0, 0, 0])?;
                let (from, to) = (gpu.zeros("ceiling", bytes)?, gpu.zeros("ceiling", bytes)?);
                // SAFETY: an index is that of a whole tile below the number of tiles.
                let kernel = gpu.kernel(&unsafe { source.trusted() })?;
                let bindings = kernel
                    .bind(gpu, &[(0, Binding::read(&from)), (1, Binding::write(&to)), (2, Binding::read(&tiles))])?;
                Ok(Some(Self { kernel, bindings, grid: [groups, 1, 1], work: 2.0 * bytes as f64 }))
            }
            Ceiling::Fma => {
                let source = Source::new("fma", include_str!("../../../kernels/ceiling/fma.wgsl"));
                let out = gpu.zeros("ceiling", words)?;
                // SAFETY: an index is that of an invocation.
                let kernel = gpu.kernel(&unsafe { source.trusted() })?;
                let bindings = kernel.bind(gpu, &[(0, Binding::write(&out))])?;
                let work = f64::from(groups) * GROUP as f64 * FMA_FLOPS;
                Ok(Some(Self { kernel, bindings, grid: [groups, 1, 1], work }))
            }
            Ceiling::Coop => {
                let Some(size) = gpu.capabilities().fixed_subgroup().filter(|_| gpu.capabilities().coop_16()) else {
                    return Ok(None);
                };
                let source = Source::new("coop", include_str!("../../../kernels/ceiling/coop.wgsl"));
                let out = gpu.zeros("ceiling", 4 * 256 * u64::from(groups))?;
                // SAFETY: an index is that of one of 256 numbers of a workgroup.
                let kernel = gpu.kernel(&unsafe { source.trusted() })?;
                let bindings = kernel.bind(gpu, &[(0, Binding::write(&out))])?;
                let work = f64::from(groups) * (GROUP / u64::from(size)) as f64 * COOP_FLOPS;
                Ok(Some(Self { kernel, bindings, grid: [groups, 1, 1], work }))
            }
        }
    }

    /// The rate per second over about `length`, at least one dispatch.
    ///
    /// # Errors
    /// As [`Wgpu::time`].
    pub fn burst(&self, gpu: &Wgpu, length: Duration) -> Result<f64, GpuError> {
        let steps = [Step::new(&self.kernel, &self.bindings, self.grid)];
        let once_s = gpu.time(&steps, 1)?.as_secs_f64().max(1e-6);
        // Several in a row, so that no single pause decides.
        let least = if gpu.identity().is_software() { 1.0 } else { 8.0 };
        let rounds = (length.as_secs_f64() / once_s).clamp(least, 1e4) as u64;
        let time_s = gpu.time(&steps, rounds)?.as_secs_f64().max(1e-9);
        Ok(self.work * rounds as f64 / time_s)
    }
}
