//! The device of a bench process, and its ceilings as the bench glue takes them.

use std::{sync::OnceLock, time::Duration};

use gpu::{Choice, Wgpu, ceiling};
use proof::bench::Given;
use record::Unit;

/// The device of this process.
pub(crate) fn device() -> Option<&'static Wgpu> {
    static DEVICE: OnceLock<Option<Wgpu>> = OnceLock::new();
    DEVICE.get_or_init(|| Wgpu::open(&Choice::Best).ok()).as_ref()
}

/// Reading memory, B/s.
pub(crate) const READ: Given = Given { name: "gpu-read", unit: Unit::BytesPerSecond, burst: read };
/// f32 multiply-adds, FLOP/s.
pub(crate) const FMA: Given = Given { name: "gpu-fma-f32", unit: Unit::FlopPerSecond, burst: fma };
/// Cooperative products of f16, FLOP/s.
pub(crate) const COOP: Given = Given { name: "gpu-coop-f16", unit: Unit::FlopPerSecond, burst: coop };

fn read(length: Duration) -> Option<f64> {
    static LOOP: OnceLock<Option<ceiling::Loop>> = OnceLock::new();
    burst(&LOOP, ceiling::Ceiling::Read, length)
}

fn fma(length: Duration) -> Option<f64> {
    static LOOP: OnceLock<Option<ceiling::Loop>> = OnceLock::new();
    burst(&LOOP, ceiling::Ceiling::Fma, length)
}

fn coop(length: Duration) -> Option<f64> {
    static LOOP: OnceLock<Option<ceiling::Loop>> = OnceLock::new();
    burst(&LOOP, ceiling::Ceiling::Coop, length)
}

/// A software adapter has no ceiling: its times say nothing.
fn burst(kept: &OnceLock<Option<ceiling::Loop>>, which: ceiling::Ceiling, length: Duration) -> Option<f64> {
    let gpu = device().filter(|gpu| !gpu.identity().is_software())?;
    kept.get_or_init(|| ceiling::Loop::new(gpu, which).ok().flatten()).as_ref()?.burst(gpu, length).ok()
}
