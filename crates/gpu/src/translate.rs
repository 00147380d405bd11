//! Kernels with cooperative matrices, translated by this crate instead of wgpu.
//!
//! Such a module has the Vulkan memory model, where an access belongs to one invocation unless it says otherwise. naga
//! 30 never says otherwise, nor do its barriers make writes available (gfx-rs/wgpu#8805): a driver may keep from one
//! invocation what another has written, and reorder the two. So naga translates WGSL here, [`memory::shared`] completes
//! accesses and barriers, and the device takes the result as it is. With a wgpu that does so itself, this module goes.

mod memory;

use naga::back::spv::{
    BindingInfo, Options, PipelineOptions, WriterFlags, ZeroInitializeWorkgroupMemoryMode, write_vec,
};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, StorageAccess};

/// What texts with cooperative matrices say.
const EXTENSION: &str = "enable wgpu_cooperative_matrix;";

/// Whether a text has to be translated here.
pub(crate) fn is_needed(wgsl: &str) -> bool {
    wgsl.contains(EXTENSION)
}

/// A module that a Vulkan device takes as it is.
#[derive(Debug)]
pub(crate) struct Translated {
    pub(crate) spirv: Vec<u32>,
    /// The bindings of group 0, which has all, by their numbers.
    pub(crate) layout: Vec<wgpu::BindGroupLayoutEntry>,
}

/// Translates a text whose entry point is `main`, with the checks that wgpu adds or without.
pub(crate) fn translate(wgsl: &str, is_checked: bool) -> Result<Translated, String> {
    let module = naga::front::wgsl::parse_str(wgsl).map_err(|error| error.emit_to_string(wgsl))?;
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
    let info = validator.validate(&module).map_err(|error| error.emit_to_string(wgsl))?;
    if module.entry_points.is_empty() {
        return Err("no entry point".to_owned());
    }
    let layout = layout(&module, &info);
    let policy = if is_checked { BoundsCheckPolicy::Restrict } else { BoundsCheckPolicy::Unchecked };
    let options = Options {
        // That of Vulkan 1.2, which all drivers with cooperative matrices have.
        lang_version: (1, 5),
        flags: WriterFlags::LABEL_VARYINGS,
        bounds_check_policies: BoundsCheckPolicies { index: policy, buffer: policy, ..BoundsCheckPolicies::default() },
        zero_initialize_workgroup_memory: match is_checked {
            true => ZeroInitializeWorkgroupMemoryMode::Polyfill,
            false => ZeroInitializeWorkgroupMemoryMode::None,
        },
        force_loop_bounding: is_checked,
        // wgpu numbers the bindings of a group from 0 on, without gaps.
        binding_map: (0..)
            .zip(&layout)
            .map(|(binding, entry)| {
                let from = naga::ResourceBinding { group: 0, binding: entry.binding };
                (from, BindingInfo { descriptor_set: 0, binding, binding_array_size: None })
            })
            .collect(),
        emit_int_div_checks: is_checked,
        ..Options::default()
    };
    let entry_point = PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: "main".to_owned() };
    let spirv = write_vec(&module, &info, &options, Some(&entry_point)).map_err(|error| error.to_string())?;
    let spirv = memory::shared(&spirv).ok_or("naga's SPIR-V has an unknown form")?;
    Ok(Translated { spirv, layout })
}

/// The bindings that `main` uses.
fn layout(module: &naga::Module, info: &ModuleInfo) -> Vec<wgpu::BindGroupLayoutEntry> {
    let main = info.get_entry_point(0);
    let entry = |handle: naga::Handle<naga::GlobalVariable>, variable: &naga::GlobalVariable| {
        if main[handle].is_empty() {
            return None;
        }
        let ty = match variable.space {
            AddressSpace::Uniform => wgpu::BufferBindingType::Uniform,
            AddressSpace::Storage { access } => {
                wgpu::BufferBindingType::Storage { read_only: !access.contains(StorageAccess::STORE) }
            }
            _ => return None,
        };
        Some(wgpu::BindGroupLayoutEntry {
            binding: variable.binding?.binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        })
    };
    let mut entries: Vec<_> =
        module.global_variables.iter().filter_map(|(handle, variable)| entry(handle, variable)).collect();
    entries.sort_by_key(|entry| entry.binding);
    entries
}
