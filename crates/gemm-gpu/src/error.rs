//! Why a product was refused.

use gpu::GpuError;
use quant::GgmlType;

/// Why a product was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GemmGpuError {
    /// Shapes disagree.
    #[error("{what}: {got} was given, {need} is needed")]
    Shape {
        /// The extent.
        what: &'static str,
        /// Its value.
        got: usize,
        /// What it has to be.
        need: usize,
    },
    /// An extent that no kernel's index reaches.
    #[error("{what} is {got}; at most {most} is computed")]
    TooLarge {
        /// The extent.
        what: &'static str,
        /// Its value.
        got: usize,
        /// The largest one.
        most: usize,
    },
    /// The device or the operands do not have what a forced variant needs.
    #[error("variant {variant} cannot compute this: {reason}")]
    Variant {
        /// Name of the variant.
        variant: String,
        /// What is missing.
        reason: &'static str,
    },
    /// Blocks of a type without a kernel for them in this layout.
    #[error("there is no kernel for weights in {ty}, {layout}")]
    Type {
        /// The type.
        ty: GgmlType,
        /// The layout.
        layout: &'static str,
    },
    /// An error of the device.
    #[error(transparent)]
    Gpu(#[from] GpuError),
}
