//! Our side of attention: O = softmax(Q K^T / sqrt(head_dim)) V of dense tensors in the order batch, token, head,
//! element. Results are shown as f32.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::path::Path;
use std::rc::Rc;

use ::attention::cases::Problem;
use ::attention::{
    Attention, Element, ElementType, Operands, Options, Shape, Threads, View, ViewMut, Workspace, kernels,
};
use half::{bf16, f16};
use op::CaseRow;
use peer::{Case, Closures, Description, Implementation, Load, Ran, Refusal};

use super::normal_like;

/// Seeds of Q, K and V.
const SEEDS: [u64; 3] = [0xa55a_0011, 0xa55a_0012, 0xa55a_0013];

pub(super) struct FusedAttention {
    threads: Threads,
    workspace: Workspace,
}

impl FusedAttention {
    pub(super) fn new(threads: NonZeroUsize) -> Self {
        Self { threads: threads.into(), workspace: Workspace::default() }
    }
}

impl Implementation for FusedAttention {
    fn describe(&mut self) -> Result<Description, String> {
        Ok(Description::new("assay", env!("CARGO_PKG_VERSION"), format!("threads: {}", self.threads)))
    }

    fn cases(&mut self) -> Result<Vec<CaseRow>, Refusal> {
        Ok(super::rows(&::attention::cases::CASES))
    }

    fn inputs(&mut self, case: &Case, dir: &Path) -> Result<(), Refusal> {
        let problem: Problem = case.read()?;
        let lens = [queries(problem.shape), keys(problem.shape), values(problem.shape)].map(|e| e.iter().product());
        for ((name, seed), len) in ["q", "k", "v"].into_iter().zip(SEEDS).zip(lens) {
            let values = normal_like(seed, len);
            let bytes: Vec<u8> = match problem.element {
                ElementType::F16 => values.flat_map(|x| f16::from_f32(x).to_le_bytes()).collect(),
                ElementType::Bf16 => values.flat_map(|x| bf16::from_f32(x).to_le_bytes()).collect(),
                _ => values.flat_map(f32::to_le_bytes).collect(),
            };
            peer::write(&dir.join(name), &bytes)?;
        }
        Ok(())
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Load<'_> {
        let problem: Problem = case.read()?;
        match problem.element {
            ElementType::F16 => self.load_as(problem, inputs, |bytes| f16::from_le_bytes([bytes[0], bytes[1]])),
            ElementType::Bf16 => self.load_as(problem, inputs, |bytes| bf16::from_le_bytes([bytes[0], bytes[1]])),
            _ => self.load_as(problem, inputs, |bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])),
        }
    }
}

impl FusedAttention {
    fn load_as<T: Element>(&mut self, problem: Problem, inputs: &Path, number: fn(&[u8]) -> T) -> Load<'_> {
        let read = |name: &str| -> Result<Vec<T>, Refusal> {
            Ok(std::fs::read(inputs.join(name))?.chunks_exact(problem.element.bytes()).map(number).collect())
        };
        let (q, k, v) = (read("q")?, read("k")?, read("v")?);
        let out = Rc::new(RefCell::new(vec![T::from_f32(f32::NAN); output(problem.shape).iter().product()]));
        let result = out.clone();
        let (workspace, threads) = (&mut self.workspace, self.threads);
        let failed = |error: Box<dyn std::error::Error>| Refusal::Error(error.to_string());
        let ran = ran(&problem, threads, [&q, &k, &v], &mut out.borrow_mut()).map_err(failed)?;
        let bounds = problem.bounds();
        let mut attend = move || -> Result<(), Box<dyn std::error::Error>> {
            let mut out = out.borrow_mut();
            let [q, k, v] = operands(problem.shape, [&q, &k, &v])?;
            let attention = Attention::new(q, k, v).mask(problem.mask).threads(threads).workspace(workspace);
            let attention = match &bounds {
                Some(bounds) => attention.sequences(bounds, bounds),
                None => attention,
            };
            attention.run(ViewMut::from_bnhd(&mut out, output(problem.shape))?)?;
            Ok(())
        };
        attend().map_err(failed)?;
        let run = move || {
            // The same call succeeded above, on the same operands.
            let _ = attend();
        };
        let output = move || result.borrow().iter().flat_map(|value| value.to_f32().to_le_bytes()).collect();
        Ok(Closures::boxed(ran, run, output))
    }
}

/// What the public type does with the problem: the same, behind the list of kernels, which reports it with its work.
fn ran<T: Element>(
    problem: &Problem,
    threads: Threads,
    qkv: [&[T]; 3],
    out: &mut [T],
) -> Result<Ran, Box<dyn std::error::Error>> {
    let [q, k, v] = operands(problem.shape, qkv)?;
    let bounds = problem.bounds();
    let options = Options::NONE.mask(problem.mask);
    let options = match &bounds {
        Some(bounds) => options.sequences(bounds, bounds),
        None => options,
    };
    let operands = Operands { options, ..Operands::new(q, k, v, ViewMut::from_bnhd(out, output(problem.shape))?) };
    let kernels = kernels();
    let auto = kernels.iter().find(|kernel| kernel.name() == "auto").ok_or("there is no kernel called auto")?;
    let mut loaded = auto.load(&::attention::Case { shape: problem.shape, threads }, operands)?;
    loaded.run();
    Ok(loaded.ran())
}

fn operands<'a, T: Element>(
    shape: Shape,
    [q, k, v]: [&'a [T]; 3],
) -> Result<[View<'a, T>; 3], Box<dyn std::error::Error>> {
    Ok([View::from_bnhd(q, queries(shape))?, View::from_bnhd(k, keys(shape))?, View::from_bnhd(v, values(shape))?])
}

fn queries(Shape { batch, queries, heads, head_dim, .. }: Shape) -> [usize; 4] {
    [batch, queries, heads, head_dim]
}

fn keys(Shape { batch, keys, kv_heads, head_dim, .. }: Shape) -> [usize; 4] {
    [batch, keys, kv_heads, head_dim]
}

fn values(Shape { batch, keys, kv_heads, value_dim, .. }: Shape) -> [usize; 4] {
    [batch, keys, kv_heads, value_dim]
}

fn output(Shape { batch, queries, heads, value_dim, .. }: Shape) -> [usize; 4] {
    [batch, queries, heads, value_dim]
}
