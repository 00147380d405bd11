//! Kernels: WGSL with constants, compiled; and their operands.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use crate::{
    Buffer, GpuError, Wgpu,
    device::lock,
    memory::Counted,
    translate::{self, Translated},
};

/// WGSL text and the values of its constants. The entry point is `main`; all bindings are in group 0.
#[derive(Debug, Clone)]
pub struct Source {
    name: &'static str,
    text: &'static str,
    shared: Vec<&'static str>,
    constants: Vec<(&'static str, Constant)>,
    is_trusted: bool,
}

/// The value of a constant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Constant {
    /// u32
    U32(u32),
    /// f32, finite
    F32(f32),
    /// bool
    Bool(bool),
}

impl From<u32> for Constant {
    fn from(value: u32) -> Self {
        Self::U32(value)
    }
}

impl From<f32> for Constant {
    fn from(value: f32) -> Self {
        Self::F32(value)
    }
}

impl From<bool> for Constant {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::U32(value) => write!(f, "u32 = {value}u"),
            Self::F32(value) => write!(f, "f32 = {value:?}f"),
            Self::Bool(value) => write!(f, "bool = {value}"),
        }
    }
}

impl Source {
    /// A checked kernel without constants.
    pub fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text, shared: Vec::new(), constants: Vec::new(), is_trusted: false }
    }

    /// With functions that several kernels share.
    #[must_use]
    pub fn with(mut self, shared: &'static str) -> Self {
        self.shared.push(shared);
        self
    }

    /// With the value of a constant that the text uses but does not declare.
    #[must_use]
    pub fn constant(mut self, name: &'static str, value: impl Into<Constant>) -> Self {
        self.constants.push((name, value.into()));
        self
    }

    /// Without the checks of indices, of loops and of workgroup memory that wgpu adds to shaders.
    ///
    /// # Safety
    /// With the operands and grids that it is given, the kernel indexes within its bindings, its loops end, and it
    /// writes workgroup memory before it reads it.
    #[must_use]
    pub unsafe fn trusted(mut self) -> Self {
        self.is_trusted = true;
        self
    }

    /// The same, checked: what tests run first.
    #[must_use]
    pub fn checked(mut self) -> Self {
        self.is_trusted = false;
        self
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The SPIR-V that a Vulkan device is given for a kernel with cooperative matrices, or for any kernel after
    /// [`Wgpu::translate_every_kernel`]. Needs no device.
    ///
    /// # Errors
    /// What the compiler says of a text that is not valid.
    pub fn spirv(&self) -> Result<Vec<u32>, String> {
        Ok(translate::translate(&self.wgsl(), !self.is_trusted)?.spirv)
    }

    /// Whether it is compiled without checks.
    pub fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    /// The whole text. What is added stands behind, so that lines in messages are those of the file.
    pub fn wgsl(&self) -> String {
        let mut text = self.text.to_owned();
        for shared in &self.shared {
            text.push('\n');
            text.push_str(shared);
        }
        for (name, value) in &self.constants {
            text.push_str(&format!("\nconst {name}: {value};"));
        }
        text.push('\n');
        text
    }
}

/// A compiled kernel.
#[derive(Debug, Clone)]
pub struct Kernel {
    pub(crate) name: &'static str,
    pub(crate) pipeline: wgpu::ComputePipeline,
}

impl Kernel {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// A part of a buffer as an operand.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    buffer: &'a Buffer,
    offset: u64,
    bytes: u64,
    is_written: bool,
}

impl<'a> Binding<'a> {
    /// A whole buffer that the kernel reads, as storage or uniform.
    pub fn read(buffer: &'a Buffer) -> Self {
        Self { buffer, offset: 0, bytes: buffer.bytes(), is_written: false }
    }

    /// A whole buffer that the kernel writes.
    pub fn write(buffer: &'a Buffer) -> Self {
        Self { is_written: true, ..Self::read(buffer) }
    }

    /// A part of it. `offset` is a multiple of [`Capabilities::binding_align`](crate::Capabilities::binding_align).
    #[must_use]
    pub fn part(self, offset: u64, bytes: u64) -> Self {
        Self { offset, bytes, ..self }
    }
}

/// The operands of a kernel.
#[derive(Debug, Clone)]
pub struct Bindings {
    pub(crate) group: wgpu::BindGroup,
    /// The buffers and whether each is written.
    pub(crate) uses: Vec<(Arc<Counted>, bool)>,
}

impl Kernel {
    /// Binds operands by their numbers.
    ///
    /// # Errors
    /// [`GpuError::Range`] for a part outside its buffer, [`GpuError::Validation`] for operands that do not fit.
    pub fn bind(&self, gpu: &Wgpu, operands: &[(u32, Binding<'_>)]) -> Result<Bindings, GpuError> {
        for (_, operand) in operands {
            operand.buffer.check(operand.offset, operand.bytes)?;
        }
        let entries: Vec<_> = operands
            .iter()
            .map(|&(binding, Binding { buffer, offset, bytes, .. })| wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: buffer.raw(),
                    offset,
                    size: NonZeroU64::new(bytes),
                }),
            })
            .collect();
        let group = gpu.scoped("bind", || {
            let layout = self.pipeline.get_bind_group_layout(0);
            gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(self.name),
                layout: &layout,
                entries: &entries,
            })
        })?;
        gpu.shared().count(|counts| counts.bind_groups += 1);
        let uses = operands.iter().map(|(_, operand)| (operand.buffer.inner.clone(), operand.is_written)).collect();
        Ok(Bindings { group, uses })
    }
}

impl Wgpu {
    /// Compiles a kernel; the second time, returns the one that it has.
    ///
    /// # Errors
    /// [`GpuError::Kernel`] with what the compiler or the driver says.
    pub fn kernel(&self, source: &Source) -> Result<Kernel, GpuError> {
        let name = source.name;
        let is_checked = self.checks(source.is_trusted);
        let key = (source.wgsl(), is_checked);
        if let Some(kernel) = lock(&self.shared().kernels).get(&key) {
            return Ok(kernel.clone());
        }
        let translated = self.translates(&key.0).then(|| translate::translate(&key.0, is_checked)).transpose();
        let translated = translated.map_err(|message| GpuError::Kernel { kernel: name, message })?;
        let pipeline = self.scoped("compile", || {
            let layout = translated.as_ref().map(|translated| self.layout(translated));
            let module = match &translated {
                Some(translated) => self.module_of_spirv(name, translated),
                None => self.module_of_wgsl(name, &key.0, is_checked),
            };
            self.device().create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(name),
                layout: layout.as_ref(),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &[],
                    zero_initialize_workgroup_memory: is_checked,
                },
                cache: self.pipeline_cache(),
            })
        });
        let pipeline = pipeline.map_err(|error| match error {
            GpuError::Validation { message, .. } => GpuError::Kernel { kernel: name, message },
            other => other,
        })?;
        self.shared().count(|counts| counts.pipelines += 1);
        let kernel = Kernel { name, pipeline };
        lock(&self.shared().kernels).insert(key, kernel.clone());
        Ok(kernel)
    }

    fn module_of_wgsl(&self, name: &str, text: &str, is_checked: bool) -> wgpu::ShaderModule {
        let descriptor =
            wgpu::ShaderModuleDescriptor { label: Some(name), source: wgpu::ShaderSource::Wgsl(text.into()) };
        if is_checked {
            return self.device().create_shader_module(descriptor);
        }
        // SAFETY: whoever made the source trusted has promised what the checks would have ensured.
        unsafe { self.device().create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
    }

    fn module_of_spirv(&self, name: &str, translated: &Translated) -> wgpu::ShaderModule {
        let entry_points = [wgpu::PassthroughShaderEntryPoint { name: "main".into(), workgroup_size: (0, 0, 0) }];
        let descriptor = wgpu::ShaderModuleDescriptorPassthrough {
            label: Some(name),
            entry_points: entry_points.as_slice().into(),
            spirv: Some(translated.spirv.as_slice().into()),
            ..Default::default()
        };
        // SAFETY: the module is naga's translation of a text that naga validated, with more memory operands. It has
        // naga's checks, or whoever made the source trusted has promised what they would have ensured.
        unsafe { self.device().create_shader_module_passthrough(descriptor) }
    }

    fn layout(&self, translated: &Translated) -> wgpu::PipelineLayout {
        let entries = &translated.layout;
        let group = self.device().create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries });
        self.device().create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &[Some(&group)],
            immediate_size: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_stand_behind_the_text() {
        let source = Source::new("k", "fn main() {}").constant("N", 3).constant("X", 1.0).constant("B", true);
        let text = "fn main() {}\nconst N: u32 = 3u;\nconst X: f32 = 1.0f;\nconst B: bool = true;\n";
        assert_eq!(source.wgsl(), text);
    }
}
