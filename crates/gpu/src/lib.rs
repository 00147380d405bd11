//! GPUs through wgpu: devices, counted memory, kernels in WGSL, device time, ceilings.
//!
//! ```no_run
//! use gpu::{Binding, Choice, Source, Step, Wgpu};
//!
//! let gpu = Wgpu::open(&Choice::Best)?;
//! let x = gpu.upload("x", bytemuck::cast_slice(&[1.0_f32, 2.0]))?;
//! let source = Source::new(
//!     "double",
//!     "@group(0) @binding(0) var<storage, read_write> x: array<f32>;
//!      @compute @workgroup_size(2) fn main(@builtin(local_invocation_index) i: u32) { x[i] *= FACTOR; }",
//! )
//! .constant("FACTOR", 2.0_f32);
//! let kernel = gpu.kernel(&source)?;
//! let bound = kernel.bind(&gpu, &[(0, Binding::write(&x))])?;
//! gpu.run(&[Step::new(&kernel, &bound, [1, 1, 1])])?;
//! assert_eq!(gpu.read_as::<f32>(&x, 0, 2)?, [2.0, 4.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | part | what it does |
//! |---|---|
//! | [`Wgpu::open`] | takes an adapter, asks for features and limits by name, and checks the device's clock |
//! | [`Identity`], [`Capabilities`] | what the device is, and what it can do |
//! | [`Buffer`] | device memory from a counted allocator |
//! | [`Source`], [`Kernel`], [`Bindings`], [`Step`] | WGSL with constants, compiled, with its operands, in a grid |
//! | [`Wgpu::run`], [`Wgpu::time`] | many dispatches in one compute pass; their device time |
//! | [`Wgpu::run_and_read`] | the same, and a result of them, in one submission |
//! | [`Counts`] | dispatches, barriers, passes, submissions, pipelines, bytes |
//! | [`Wgpu::keep_pipelines`] | what the driver compiled, kept on disk by `pipeline-cache` |
//! | [`Tuner`] | which of several kernels is fastest for a class of problems, measured once and kept |
//! | [`ceiling`] | what the device can read, copy and multiply at best |
//!
//! Every call reports errors as values: of validation, of memory, of a lost device. Waiting happens inside
//! [`Wgpu::read`], [`Wgpu::run_and_read`], [`Wgpu::time`] and [`Wgpu::wait`] alone.

mod cache;
pub mod ceiling;
mod clock;
mod counts;
mod device;
mod error;
mod identity;
mod kernel;
mod memory;
mod run;
mod translate;
mod tuner;

pub use cache::DriverCache;
pub use clock::Clock;
pub use counts::Counts;
pub use device::{Choice, Wgpu};
pub use error::{GpuError, Unavailable};
pub use identity::{Capabilities, CoopElement, CoopShape, Identity, Kind};
pub use kernel::{Binding, Bindings, Constant, Kernel, Source};
pub use memory::{Buffer, Readback};
pub use run::{Step, grid_of};
pub use tuner::Tuner;
