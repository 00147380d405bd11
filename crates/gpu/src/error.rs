//! What can go wrong, as values.

/// Why no device was opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// No adapter of any kind: no driver, or no loader.
    #[error("no GPU adapter was found: is a driver for Vulkan, Metal or Direct3D 12 installed?")]
    NoAdapter,
    /// Adapters exist, but none as asked for.
    #[error("no GPU adapter fits `{wanted}`; there are: {}", found.join(", "))]
    NoneFits {
        /// What was asked for.
        wanted: String,
        /// Names of the adapters that exist.
        found: Vec<String>,
    },
    /// The adapter lacks something that every kernel needs.
    #[error("adapter `{adapter}` lacks {what}")]
    Lacks {
        /// Name of the adapter.
        adapter: String,
        /// The feature.
        what: &'static str,
    },
    /// The driver refused to open the device.
    #[error("adapter `{adapter}` was not opened: {reason}")]
    Refused {
        /// Name of the adapter.
        adapter: String,
        /// What the driver said.
        reason: String,
    },
}

/// Why a call on a device failed. The device remains usable after all but [`Lost`](Self::Lost).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// Device memory is refused.
    #[error("no device memory for {bytes} bytes of `{label}`")]
    OutOfMemory {
        /// What the memory was for.
        label: String,
        /// Bytes asked for.
        bytes: u64,
    },
    /// A buffer larger than the device allows.
    #[error("`{label}` needs {bytes} bytes; a buffer of this device has at most {limit}")]
    BufferSize {
        /// What the memory was for.
        label: String,
        /// Bytes asked for.
        bytes: u64,
        /// Bytes of the largest buffer.
        limit: u64,
    },
    /// A range outside a buffer, or not on its boundaries.
    #[error("bytes {offset}..+{bytes} of `{label}`, which has {size}: {rule}")]
    Range {
        /// Label of the buffer.
        label: String,
        /// First byte.
        offset: u64,
        /// Number of bytes.
        bytes: u64,
        /// Bytes that the buffer has.
        size: u64,
        /// What is required.
        rule: &'static str,
    },
    /// A grid with more workgroups along an axis than the device allows.
    #[error("kernel `{kernel}` was given a grid of {grid:?} workgroups; an axis has at most {limit}")]
    Grid {
        /// Name of the kernel.
        kernel: &'static str,
        /// Workgroups along each axis.
        grid: [u32; 3],
        /// The most along one axis.
        limit: u32,
    },
    /// A kernel that the device cannot compile or run.
    #[error("kernel `{kernel}`: {message}")]
    Kernel {
        /// Name of the kernel.
        kernel: &'static str,
        /// What the compiler or the driver said.
        message: String,
    },
    /// An error that wgpu reported for what was asked of it.
    #[error("{doing}: {message}")]
    Validation {
        /// What was being done.
        doing: &'static str,
        /// What wgpu said.
        message: String,
    },
    /// The device is gone; everything on it is lost.
    #[error("the device is lost: {reason}")]
    Lost {
        /// What the driver said.
        reason: String,
    },
    /// The device did not finish in time.
    #[error("the device did not finish within {seconds} s")]
    Timeout {
        /// How long was waited.
        seconds: u64,
    },
}
