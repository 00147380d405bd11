//! The clock of a device, and the check that it agrees with the host's.

use crate::{Binding, Kernel, Source, Step, Wgpu};

/// What the times of a device are measured with.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Clock {
    /// Timestamps of the device. Over a long pass they agreed with the host's clock.
    Timestamps {
        /// Nanoseconds of a tick.
        period_ns: f64,
        /// Time by timestamps over time by the host's clock, which includes submission.
        ratio: f64,
    },
    /// The host's clock, submission and waiting included.
    Wall {
        /// Why the device's own clock is not used.
        reason: String,
    },
    /// Not checked yet.
    Unchecked,
}

/// Shares of the host's time that a long pass may take by timestamps.
const AGREES: std::ops::RangeInclusive<f64> = 0.8..=1.02;
/// How long the pass is at least, by the host's clock, in seconds.
const LONG: f64 = 0.01;

impl Clock {
    /// The name for a row.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Timestamps { .. } => "device",
            Self::Wall { .. } => "wall",
            Self::Unchecked => "none",
        }
    }

    pub(crate) fn check(gpu: &Wgpu) -> Self {
        if gpu.identity().is_software() {
            return Self::Wall { reason: "a software adapter has no time of its own".to_owned() };
        }
        if !gpu.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Self::Wall { reason: "the device has no timestamps".to_owned() };
        }
        Self::compare(gpu).unwrap_or_else(|error| Self::Wall { reason: error.to_string() })
    }

    fn compare(gpu: &Wgpu) -> Result<Self, crate::GpuError> {
        let period_ns = f64::from(gpu.queue().get_timestamp_period());
        let source = Source::new("fma", include_str!("../../../kernels/ceiling/fma.wgsl"));
        let kernel: Kernel = gpu.kernel(&source)?;
        let out = gpu.zeros("clock", 4 * 256 * 64)?;
        let bindings = kernel.bind(gpu, &[(0, Binding::write(&out))])?;
        let steps = [Step::new(&kernel, &bindings, [64, 1, 1])];
        let mut rounds = 16;
        loop {
            let wall_s = gpu.by_wall(&steps, rounds)?.as_secs_f64();
            if wall_s >= LONG || rounds >= 1 << 16 {
                break;
            }
            rounds *= 2;
        }
        // The wall clock's pass includes submission; the better of a few is taken, so that a pause is no disagreement.
        let mut best: Option<f64> = None;
        for _ in 0..4 {
            let start = std::time::Instant::now();
            let device_s = gpu.stamped(&steps, rounds, period_ns)?.as_secs_f64();
            let ratio = device_s / start.elapsed().as_secs_f64();
            if best.is_none_or(|best| (ratio - 1.0).abs() < (best - 1.0).abs()) {
                best = Some(ratio);
            }
        }
        let ratio = best.unwrap_or(f64::NAN);
        if AGREES.contains(&ratio) {
            return Ok(Self::Timestamps { period_ns, ratio });
        }
        Ok(Self::Wall { reason: format!("timestamps show {ratio:.2} of the host's time") })
    }
}
