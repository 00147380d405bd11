//! The kernels as tests, benches and peers see them: one list, one trait.

use std::{sync::Arc, time::Duration};

use attention::{ElementType, cases::Problem};
use gpu::{Buffer, Wgpu};
use half::{bf16, f16};
use op::{Loaded, Op, Ran};

use crate::{
    device::{Attention, Prepared, Tensors},
    error::AttentionGpuError,
    variant::{VARIANTS, Variant},
};

/// The op: O = softmax(Q K^T / sqrt(head_dim)) V.
#[derive(Debug)]
pub enum AttentionGpuOp {}

impl Op for AttentionGpuOp {
    type Case = Problem;
    type Operands<'a> = Operands<'a>;
    type Error = AttentionGpuError;
}

/// The data of a problem: bytes of dense tensors, batch x token x head x element. The output lies on the device;
/// [`Loaded::read`] fetches it.
#[derive(Debug, Clone, Copy)]
pub struct Operands<'a> {
    /// batch x queries x heads x head_dim.
    pub q: &'a [u8],
    /// batch x keys x kv_heads x head_dim.
    pub k: &'a [u8],
    /// batch x keys x kv_heads x head_dim.
    pub v: &'a [u8],
    /// Copies of K and V on the device. Runs take them in turns; with several, no cache holds what a run reads.
    pub copies: usize,
}

/// One implementation of the op: a variant, or `auto`, which chooses one.
pub trait Kernel: op::Kernel<AttentionGpuOp> {}

impl<K: op::Kernel<AttentionGpuOp>> Kernel for K {}

/// All kernels on a device: every variant, last `auto`. Whether a kernel computes a case depends on the device, too.
pub fn kernels(attention: &Arc<Attention>) -> Vec<Box<dyn Kernel>> {
    let of = |name, variant| Box::new(Implementation { name, variant, attention: Arc::clone(attention) });
    let mut list: Vec<Box<dyn Kernel>> = Vec::new();
    for (name, variant) in VARIANTS {
        list.push(of(name, Some(variant)));
    }
    list.push(of("auto", None));
    list
}

struct Implementation {
    name: &'static str,
    variant: Option<Variant>,
    attention: Arc<Attention>,
}

impl op::Kernel<AttentionGpuOp> for Implementation {
    fn name(&self) -> &'static str {
        self.name
    }

    fn supports(&self, case: &Problem) -> bool {
        let has = self.attention.capabilities();
        self.variant.is_none_or(|variant| variant.lacks(case, has).is_none())
    }

    fn load<'a>(&'a self, case: &Problem, operands: Operands<'a>) -> Result<Box<dyn Loaded + 'a>, AttentionGpuError> {
        Ok(Box::new(OnDevice::new(&self.attention, case, self.variant, operands)?))
    }
}

/// A problem with its data on the device.
#[derive(Debug)]
pub struct OnDevice {
    gpu: Wgpu,
    /// Of each copy of K and V.
    prepared: Vec<Prepared>,
    next: usize,
    out: Buffer,
    len: usize,
    element: ElementType,
    work: (u64, u64),
}

impl OnDevice {
    /// Sends the operands and prepares the problem; `None` chooses a variant.
    ///
    /// # Errors
    /// Those of [`Attention::prepare`].
    pub fn new(
        attention: &Attention,
        case: &Problem,
        variant: Option<Variant>,
        operands: Operands<'_>,
    ) -> Result<Self, AttentionGpuError> {
        let gpu = attention.gpu();
        let len = case.shape.batch * case.shape.queries * case.shape.heads * case.shape.head_dim;
        let out = gpu.zeros("out", (len * case.element.bytes()) as u64)?;
        let q = gpu.upload("q", operands.q)?;
        let mut prepared = Vec::new();
        for _ in 0..operands.copies.max(1) {
            let (k, v) = (gpu.upload("k", operands.k)?, gpu.upload("v", operands.v)?);
            let tensors = Tensors { q: (&q).into(), k: (&k).into(), v: (&v).into(), out: (&out).into() };
            prepared.push(attention.prepare(case, variant, &tensors)?);
        }
        let work = (case.flops(), case.bytes());
        Ok(Self { gpu: gpu.clone(), prepared, next: 0, out, len, element: case.element, work })
    }

    /// Fills the output with NaNs, so that what is not written is seen.
    ///
    /// # Errors
    /// As [`Wgpu::write`].
    pub fn poison(&mut self) -> Result<(), AttentionGpuError> {
        let whole = self.out.bytes() / 4 * 4;
        Ok(self.gpu.write(&self.out, 0, &vec![0xff; whole as usize])?)
    }
}

/// A device that fails in a timed run leaves nothing to compare: like a full stack, it ends the process.
fn done<T>(result: Result<T, gpu::GpuError>) -> T {
    result.unwrap_or_else(|error| panic!("the device failed: {error}"))
}

impl Loaded for OnDevice {
    fn run(&mut self) {
        done(self.gpu.run(&self.prepared[self.next].steps()));
        done(self.gpu.wait());
        self.next = (self.next + 1) % self.prepared.len();
    }

    /// By the clock of the device.
    fn time(&mut self, iters: u64) -> Duration {
        let copies = self.prepared.len() as u64;
        let all: Vec<_> = self.prepared.iter().flat_map(Prepared::steps).collect();
        let mut elapsed = done(self.gpu.time(&all, iters / copies));
        for prepared in &self.prepared[..(iters % copies) as usize] {
            elapsed += done(self.gpu.time(&prepared.steps(), 1));
        }
        elapsed
    }

    fn reset(&mut self) {
        self.next = 0;
    }

    fn read(&mut self, out: &mut [f32]) {
        let len = self.len as u64;
        match self.element {
            ElementType::F32 => copy(out, &done(self.gpu.read_as::<f32>(&self.out, 0, len)), |x| x),
            ElementType::F16 => copy(out, &done(self.gpu.read_as::<f16>(&self.out, 0, len)), f16::to_f32),
            ElementType::Bf16 => copy(out, &done(self.gpu.read_as::<bf16>(&self.out, 0, len)), bf16::to_f32),
        }
    }

    fn ran(&self) -> Ran {
        let variant = self.prepared[0].variant();
        let dispatches = self.prepared[0].steps().len();
        Ran {
            path: format!("{dispatches} dispatches"),
            tile: format!("{} rows", variant.rows()),
            flops: self.work.0,
            bytes: self.work.1,
            ..Ran::new(variant.name(), self.gpu.identity().name.clone())
        }
    }
}

fn copy<T: Copy>(out: &mut [f32], from: &[T], widen: impl Fn(T) -> f32) {
    out.iter_mut().zip(from).for_each(|(out, from)| *out = widen(*from));
}
