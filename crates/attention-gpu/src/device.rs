//! Attention on a device: kernels that are compiled once, and problems with their operands bound.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use attention::cases::Problem;
use gpu::{Binding, Bindings, Buffer, Capabilities, CoopElement, CoopShape, Kernel, Source, Step, Tuner, Wgpu};

use crate::{
    choose::{candidates, class_of},
    error::AttentionGpuError,
    plan::{Plan, Tokens, Window, check, emulated_source, merge_source, source},
    variant::Variant,
};

/// A tensor in device memory: dense, batch x token x head x element.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    /// Where it lies.
    pub buffer: &'a Buffer,
    /// The first byte, a multiple of [`Capabilities::binding_align`](gpu::Capabilities::binding_align).
    pub offset: u64,
}

impl<'a> From<&'a Buffer> for Tensor<'a> {
    fn from(buffer: &'a Buffer) -> Self {
        Self { buffer, offset: 0 }
    }
}

/// The operands of a problem.
#[derive(Debug, Clone, Copy)]
pub struct Tensors<'a> {
    /// batch x queries x heads x head_dim.
    pub q: Tensor<'a>,
    /// batch x keys x kv_heads x head_dim.
    pub k: Tensor<'a>,
    /// batch x keys x kv_heads x head_dim.
    pub v: Tensor<'a>,
    /// batch x queries x heads x head_dim, written.
    pub out: Tensor<'a>,
}

/// Attention on one device.
#[derive(Debug)]
pub struct Attention {
    gpu: Wgpu,
    has: Capabilities,
    is_checked: bool,
    is_emulated: bool,
    /// By the text of the kernel and whether it is checked.
    kernels: Mutex<HashMap<String, Kernel>>,
}

/// A problem, ready to run again and again.
#[derive(Debug)]
pub struct Prepared {
    variant: Variant,
    dispatches: Vec<Dispatch>,
}

#[derive(Debug)]
struct Dispatch {
    kernel: Kernel,
    bindings: Bindings,
    grid: [u32; 3],
}

impl Attention {
    /// On this device. Nothing is compiled yet.
    pub fn new(gpu: &Wgpu) -> Self {
        let (has, kernels) = (gpu.capabilities().clone(), Mutex::default());
        Self { gpu: gpu.clone(), has, is_checked: false, is_emulated: false, kernels }
    }

    /// The same, with cooperative matrices emulated by invocations, as if the device had them: slow, and a proof of all
    /// that stands around them in their kernels. `None` where the device does not compute in f16.
    pub fn emulated(gpu: &Wgpu) -> Option<Self> {
        let mut has = gpu.capabilities().clone();
        has.coop = vec![CoopShape { m: 16, n: 16, k: 16, ab: CoopElement::F16, c: CoopElement::F32 }];
        (has.subgroups, has.subgroup_size) = (true, (32, 32));
        has.f16.then(|| Self { is_emulated: true, has, ..Self::checked(gpu) })
    }

    /// The same, as if the device had only these capabilities: smaller bindings, less workgroup memory, no cooperative
    /// matrices.
    #[must_use]
    pub fn assuming(self, has: Capabilities) -> Self {
        Self { has, ..self }
    }

    /// What it assumes of its device.
    pub fn capabilities(&self) -> &Capabilities {
        &self.has
    }

    /// The same, with wgpu's checks of every index in every kernel: slower, and what tests run first.
    pub fn checked(gpu: &Wgpu) -> Self {
        Self { is_checked: true, ..Self::new(gpu) }
    }

    /// Its device.
    pub fn gpu(&self) -> &Wgpu {
        &self.gpu
    }

    /// Makes a problem ready: `variant`, or the one that is chosen for it. A problem without output has no dispatches.
    ///
    /// # Errors
    /// [`AttentionGpuError`]: all of it.
    pub fn prepare(
        &self,
        problem: &Problem,
        variant: Option<Variant>,
        tensors: &Tensors<'_>,
    ) -> Result<Prepared, AttentionGpuError> {
        let has = &self.has;
        check(problem)?;
        let variant = match variant {
            Some(variant) => variant,
            None => candidates(problem, has)?[0],
        };
        let plan = Plan::new(problem, variant, has)?;
        let rows = Rows::of(problem);
        rows.check(problem, tensors)?;
        let mut dispatches = Vec::new();
        if rows.query_bytes > 0 {
            for (window, merge) in &plan.windows {
                self.dispatch(problem, &plan, (window, merge.as_ref()), rows, tensors, &mut dispatches)?;
            }
        }
        Ok(Prepared { variant, dispatches })
    }

    /// Makes a problem ready with the variant that `tuner` finds fastest for its class, or remembers. To find it, the
    /// problem is computed with these operands, by every variant that is chosen without being asked for.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub fn prepare_tuned(
        &self,
        tuner: &Tuner,
        problem: &Problem,
        tensors: &Tensors<'_>,
    ) -> Result<Prepared, AttentionGpuError> {
        check(problem)?;
        let (op, class) = class_of(problem);
        let variant = tuner.choose(&op, &class, &candidates(problem, &self.has)?, |variant| {
            let prepared = self.prepare(problem, Some(variant), tensors)?;
            Ok::<_, AttentionGpuError>(tuner.measured(&prepared.steps())?)
        })?;
        self.prepare(problem, variant, tensors)
    }

    /// Compiles the kernels of a variant ahead of the first problem that needs them.
    ///
    /// # Errors
    /// [`AttentionGpuError::Variant`] where the device cannot run it, [`AttentionGpuError::Device`].
    pub fn compile(&self, problem: &Problem, variant: Variant) -> Result<(), AttentionGpuError> {
        if let Some(reason) = variant.lacks(problem, &self.has) {
            return Err(AttentionGpuError::Variant { variant: variant.name(), reason });
        }
        let (element, head_dim) = (problem.element, problem.shape.head_dim as u32);
        let source = if self.is_emulated { emulated_source } else { source };
        self.kernel(source(variant, element, head_dim))?;
        if let Variant::Decode { groups, .. } = variant {
            self.kernel(merge_source(element, head_dim, groups))?;
        }
        Ok(())
    }

    fn dispatch(
        &self,
        problem: &Problem,
        plan: &Plan,
        (window, merge): (&Window, Option<&Window>),
        rows: Rows,
        tensors: &Tensors<'_>,
        dispatches: &mut Vec<Dispatch>,
    ) -> Result<(), AttentionGpuError> {
        let gpu = &self.gpu;
        let head_dim = problem.shape.head_dim as u32;
        let list = |window: &Window| gpu.upload("attention items", bytemuck::cast_slice(&window.items));
        let q = part(tensors.q, &window.queries, rows.query_bytes, false);
        let k = part(tensors.k, &window.keys, rows.key_bytes, false);
        let v = part(tensors.v, &window.keys, rows.key_bytes, false);
        let out = part(tensors.out, &window.queries, rows.query_bytes, true);
        let (items, params) = (list(window)?, gpu.uniform("attention params", &window.params)?);
        let common = [(0, q), (1, k), (2, v), (4, Binding::read(&items)), (5, Binding::read(&params))];
        let source = if self.is_emulated { emulated_source } else { source };
        let kernel = self.kernel(source(plan.variant, problem.element, head_dim))?;
        let (Variant::Decode { groups, .. }, Some(merge)) = (plan.variant, merge) else {
            let bindings = kernel.bind(gpu, &[&common[..], &[(3, out)]].concat())?;
            dispatches.push(Dispatch { kernel, bindings, grid: window.grid });
            return Ok(());
        };
        let slots = window.groups * u64::from(4 * groups);
        let sums = gpu.zeros("attention parts", slots * u64::from(head_dim) * 4)?;
        let scales = gpu.zeros("attention parts", slots * 8)?;
        let left = [(3, Binding::write(&sums)), (6, Binding::write(&scales))];
        let bindings = kernel.bind(gpu, &[&common[..], &left].concat())?;
        dispatches.push(Dispatch { kernel, bindings, grid: window.grid });
        let kernel = self.kernel(merge_source(problem.element, head_dim, groups))?;
        let (items, params) = (list(merge)?, gpu.uniform("attention params", &merge.params)?);
        let operands = [
            (3, out),
            (4, Binding::read(&items)),
            (5, Binding::read(&params)),
            (6, Binding::read(&sums)),
            (7, Binding::read(&scales)),
        ];
        let bindings = kernel.bind(gpu, &operands)?;
        dispatches.push(Dispatch { kernel, bindings, grid: merge.grid });
        Ok(())
    }

    /// Compiles a kernel, or finds it.
    fn kernel(&self, source: Source) -> Result<Kernel, AttentionGpuError> {
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        let text = source.wgsl();
        if let Some(kernel) = kernels.get(&text) {
            return Ok(kernel.clone());
        }
        let source = if self.is_checked {
            source
        } else {
            // SAFETY: an item's rows and keys lie within the tensors, whose sizes `Rows::check` has compared with their
            // buffers; kernels read and write no others, as their comments say. Workgroups beyond the list end at once.
            // Every loop counts up to a bound that it does not change. What is read from workgroup memory was written
            // before, by the same workgroup. Tests run all of them checked.
            unsafe { source.trusted() }
        };
        let kernel = self.gpu.kernel(&source)?;
        kernels.insert(text, kernel.clone());
        Ok(kernel)
    }
}

impl Prepared {
    /// The variant that runs.
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// The dispatches of one run, for [`Wgpu::run`] and [`Wgpu::time`].
    pub fn steps(&self) -> Vec<Step<'_>> {
        self.dispatches.iter().map(|of| Step::new(&of.kernel, &of.bindings, of.grid)).collect()
    }
}

/// Bytes of the rows of a token.
#[derive(Debug, Clone, Copy)]
struct Rows {
    query_bytes: u64,
    key_bytes: u64,
}

impl Rows {
    fn of(problem: &Problem) -> Self {
        let bytes_of = |heads: usize| (heads * problem.shape.head_dim * problem.element.bytes()) as u64;
        Self { query_bytes: bytes_of(problem.shape.heads), key_bytes: bytes_of(problem.shape.kv_heads) }
    }

    /// That every tensor lies within its buffer.
    fn check(self, problem: &Problem, tensors: &Tensors<'_>) -> Result<(), AttentionGpuError> {
        let batch = problem.shape.batch as u64;
        let queries = batch * problem.shape.queries as u64 * self.query_bytes;
        let keys = batch * problem.shape.keys as u64 * self.key_bytes;
        let Tensors { q, k, v, out } = *tensors;
        for (tensor, of, need) in [("Q", q, queries), ("K", k, keys), ("V", v, keys), ("the output", out, queries)] {
            let (offset, size) = (of.offset, of.buffer.bytes());
            if offset.checked_add(need).is_none_or(|end| end > size) {
                return Err(AttentionGpuError::Tensor { tensor, offset, need, size });
            }
        }
        Ok(())
    }
}

/// The tokens of a tensor as an operand. None at all is its first 16 bytes, which nothing reads.
fn part<'a>(tensor: Tensor<'a>, tokens: &Tokens, bytes: u64, is_written: bool) -> Binding<'a> {
    let all = if is_written { Binding::write(tensor.buffer) } else { Binding::read(tensor.buffer) };
    let (first, length) = (tokens.start * bytes, (tokens.end - tokens.start) * bytes);
    if length == 0 { all.part(0, 16) } else { all.part(tensor.offset + first, length) }
}
