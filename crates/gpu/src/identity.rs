//! What a device is, and what it can do.

use std::fmt;

/// What a device is. Numbers of two devices are comparable only if these agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The adapter's name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Name and version of the driver.
    pub driver: String,
    /// `vulkan`, `metal` or `dx12`.
    pub api: &'static str,
    /// PCI numbers of vendor and device.
    pub pci: (u32, u32),
}

/// The kind of an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the processor's memory.
    Integrated,
    /// A GPU of a virtual machine.
    Virtual,
    /// The processor, in place of a GPU: for proofs, never for speed.
    Software,
    /// Anything else.
    Other,
}

impl Identity {
    pub(crate) fn of(info: &wgpu::AdapterInfo) -> Self {
        let kind = match info.device_type {
            wgpu::DeviceType::DiscreteGpu => Kind::Discrete,
            wgpu::DeviceType::IntegratedGpu => Kind::Integrated,
            wgpu::DeviceType::VirtualGpu => Kind::Virtual,
            wgpu::DeviceType::Cpu => Kind::Software,
            wgpu::DeviceType::Other => Kind::Other,
        };
        let driver = format!("{} {}", info.driver, info.driver_info).trim().to_owned();
        Self { name: info.name.clone(), kind, driver, api: info.backend.to_str(), pci: (info.vendor, info.device) }
    }

    /// Whether the processor stands in for a GPU.
    pub fn is_software(&self) -> bool {
        self.kind == Kind::Software
    }

    /// The machine class of rows that ran here: a readable slug and 8 hexadecimal digits of adapter, driver and API.
    pub fn class(&self) -> String {
        let mut slug = String::new();
        for c in self.name.chars().flat_map(char::to_lowercase) {
            match c.is_ascii_alphanumeric() {
                true => slug.push(c),
                false if !slug.ends_with('-') && !slug.is_empty() => slug.push('-'),
                false => {}
            }
        }
        let all = format!("{}|{}|{}|{:?}", self.name, self.driver, self.api, self.pci);
        format!("{}-{:08x}", slug.trim_end_matches('-'), op::fnv1a(all.as_bytes()) as u32)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.name, self.driver, self.api)
    }
}

/// What a device can do, as far as kernels choose by it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// 16-bit floats in shaders.
    pub f16: bool,
    /// Subgroup operations.
    pub subgroups: bool,
    /// Invocations of the smallest and of the largest subgroup. A kernel may rely on a size only where both agree.
    pub subgroup_size: (u32, u32),
    /// Shapes of cooperative matrices; empty where there are none.
    pub coop: Vec<CoopShape>,
    /// Pipelines can be kept between processes.
    pub pipeline_cache: bool,
    /// Bytes of the largest buffer.
    pub buffer_bytes: u64,
    /// Bytes of the largest part of a buffer that a kernel can be given.
    pub binding_bytes: u64,
    /// Parts of buffers begin at multiples of it.
    pub binding_align: u64,
    /// Bytes that a workgroup can share.
    pub workgroup_bytes: u32,
    /// Invocations of the largest workgroup.
    pub workgroup_size: u32,
    /// Workgroups of a grid along one axis.
    pub grid_axis: u32,
}

/// The type of cooperative matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoopElement {
    /// f16
    F16,
    /// f32
    F32,
    /// Another one.
    Other,
}

/// A cooperative product: C (m x n) += A (m x k) B (k x n).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoopShape {
    /// Rows of A and C.
    pub m: u32,
    /// Columns of B and C.
    pub n: u32,
    /// Columns of A.
    pub k: u32,
    /// The type of A and B.
    pub ab: CoopElement,
    /// The type of C.
    pub c: CoopElement,
}

impl Capabilities {
    /// The subgroup size, where it is one number.
    pub fn fixed_subgroup(&self) -> Option<u32> {
        (self.subgroups && self.subgroup_size.0 == self.subgroup_size.1).then_some(self.subgroup_size.0)
    }

    /// Whether f16 matrices of 16 x 16 are multiplied with sums of f32 by subgroups of one size.
    pub fn coop_16(&self) -> bool {
        let shape = CoopShape { m: 16, n: 16, k: 16, ab: CoopElement::F16, c: CoopElement::F32 };
        self.f16 && self.fixed_subgroup().is_some() && self.coop.contains(&shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_readable_and_sees_the_driver() {
        let of = |driver: &str| {
            let name = "NVIDIA H100 80GB (PCIe)".to_owned();
            Identity { name, kind: Kind::Discrete, driver: driver.to_owned(), api: "vulkan", pci: (0x10de, 1) }.class()
        };
        assert!(of("NVIDIA 580").starts_with("nvidia-h100-80gb-pcie-"), "{}", of("NVIDIA 580"));
        assert_ne!(of("NVIDIA 580"), of("NVIDIA 581"));
    }
}
