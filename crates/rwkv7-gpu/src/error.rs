//! Why a model is not taken to a device, or tokens are not computed there.

use gemm_gpu::GemmGpuError;
use gpu::GpuError;
use quant::GgmlType;
use rwkv7::RunError;

/// Why a model is not taken to a device, or tokens are not computed there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rwkv7GpuError {
    /// Heads with more channels than a workgroup has invocations.
    #[error("heads have {found} channels; this device computes those of at most {most}")]
    HeadSize {
        /// Channels of a head.
        found: usize,
        /// The most.
        most: usize,
    },
    /// A matrix larger than a kernel can be given on this device.
    #[error("`{name}` has {bytes} bytes; a binding of this device has at most {most}")]
    Binding {
        /// Its name.
        name: String,
        /// Bytes that it has on the device.
        bytes: u64,
        /// The most.
        most: u64,
    },
    /// A matrix of a type that is neither multiplied nor converted.
    #[error("`{name}` has the type {ty}, which is not supported")]
    Type {
        /// Its name.
        name: String,
        /// Its type.
        ty: GgmlType,
    },
    /// The tokens, the output or the state do not fit the model.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A product was refused.
    #[error(transparent)]
    Product(#[from] GemmGpuError),
    /// The device reported an error. What it knew of the sequence is lost: reset or restore the state.
    #[error(transparent)]
    Device(#[from] GpuError),
}
