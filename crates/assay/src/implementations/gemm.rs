//! Our side of matrix products: C <- A B with row-major A (m x k) and C (m x n), all of the same type. B (k x n) is
//! row-major or column-major.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::path::Path;
use std::rc::Rc;

use ::gemm::cases::{Order, Product};
use ::gemm::{
    Activation, Element, ElementType, LayoutError, MatMut, MatRef, ProblemLayout, QMatRef, Rhs, Shape, Storage,
    Threads, Workspace, explain,
};
use half::{bf16, f16};
use op::CaseRow;
use peer::{Case, Closures, Description, Implementation, Load, Ran, Refusal, Regime, Rotation};
use quant::GgmlType;

use super::normal_like;

/// Seeds of the operands.
const SEED_A: u64 = 0xa55a_0001;
const SEED_B: u64 = 0xa55a_0002;

pub(super) struct Gemm {
    threads: Threads,
    workspace: Workspace,
}

impl Gemm {
    pub(super) fn new(threads: NonZeroUsize) -> Self {
        Self { threads: threads.into(), workspace: Workspace::default() }
    }
}

impl Implementation for Gemm {
    fn describe(&mut self) -> Result<Description, String> {
        Ok(Description::new("assay", env!("CARGO_PKG_VERSION"), format!("threads: {}", self.threads)))
    }

    fn cases(&mut self) -> Result<Vec<CaseRow>, Refusal> {
        Ok(super::rows(&::gemm::cases::CASES))
    }

    fn inputs(&mut self, case: &Case, dir: &Path) -> Result<(), Refusal> {
        let Product { shape: Shape { m, n, k }, element, b, .. } = product(case)?;
        if let Order::Blocks(ty) = b {
            let weights: Vec<f32> = normal_like(SEED_B, n * k).collect();
            let mut bytes = vec![0; n * ty.row_bytes(k).map_err(|error| Refusal::Error(error.to_string()))?];
            quant::quantize(ty, &weights, &mut bytes).map_err(|error| Refusal::Error(error.to_string()))?;
            peer::write(&dir.join("b"), &bytes)?;
            let a: Vec<u8> = normal_like(SEED_A, m * k).flat_map(f32::to_le_bytes).collect();
            return Ok(peer::write(&dir.join("a"), &a)?);
        }
        for (name, seed, len) in [("a", SEED_A, m * k), ("b", SEED_B, k * n)] {
            let values = normal_like(seed, len);
            let bytes: Vec<u8> = match element {
                ElementType::F16 => values.flat_map(|x| f16::from_f32(x).to_le_bytes()).collect(),
                ElementType::Bf16 => values.flat_map(|x| bf16::from_f32(x).to_le_bytes()).collect(),
                _ => values.flat_map(f32::to_le_bytes).collect(),
            };
            peer::write(&dir.join(name), &bytes)?;
        }
        Ok(())
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Load<'_> {
        let (product, regime) = (product(case)?, case.regime);
        if let Order::Blocks(ty) = product.b {
            return self.load_blocks(product, ty, regime, inputs);
        }
        match product.element {
            ElementType::F16 => self.load_as(product, regime, inputs, |bytes| f16::from_le_bytes([bytes[0], bytes[1]])),
            ElementType::Bf16 => {
                self.load_as(product, regime, inputs, |bytes| bf16::from_le_bytes([bytes[0], bytes[1]]))
            }
            _ => self
                .load_as(product, regime, inputs, |bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])),
        }
    }
}

impl Gemm {
    fn load_as<T: Element>(
        &mut self,
        product: Product,
        regime: Regime,
        inputs: &Path,
        number: fn(&[u8]) -> T,
    ) -> Load<'_> {
        let Product { shape: shape @ Shape { m, n, k }, element, b: order, .. } = product;
        let read = |name: &str| -> Result<Vec<T>, Refusal> {
            Ok(std::fs::read(inputs.join(name))?.chunks_exact(element.bytes()).map(number).collect())
        };
        let (a, b) = (read("a")?, read("b")?);
        let b = Rotation::copied(b, regime.copies(element.bytes() * k * n));
        let is_by_columns = order == Order::Columns;
        let b_storage = if is_by_columns { Storage::col_major(element) } else { Storage::row_major(element) };
        let layout = ProblemLayout::new(shape, Storage::row_major(element), b_storage, Storage::row_major(element));
        let (flops, moved) = (2 * m * n * k, element.bytes() * (m * k + k * n + m * n));
        let ran = Ran { flops: flops as u64, bytes: moved as u64, ..explain(layout, self.threads).ran() };
        self.loaded(shape, ran, a, b, move |b| match is_by_columns {
            true => MatRef::from_col_major(b, k, n).map(Rhs::from),
            false => MatRef::from_row_major(b, k, n).map(Rhs::from),
        })
    }

    /// Weights in blocks, with A and C of f32.
    fn load_blocks(&mut self, product: Product, ty: GgmlType, regime: Regime, inputs: &Path) -> Load<'_> {
        let Shape { m, n, k } = product.shape;
        let a = std::fs::read(inputs.join("a"))?;
        let a: Vec<f32> = a.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        let weights = std::fs::read(inputs.join("b"))?;
        let b = QMatRef::from_bytes(ty, &weights, n, k).map_err(|error| Refusal::Error(error.to_string()))?;
        let (flops, moved) = (2 * m * n * k, 4 * (m * k + m * n) + weights.len());
        let ran = Ran { flops: flops as u64, bytes: moved as u64, ..b.explain(m, self.threads).ran() };
        let copies = regime.copies(weights.len());
        let weights = Rotation::copied(weights, copies);
        self.loaded(product.shape, ran, a, weights, move |bytes| QMatRef::from_bytes(ty, bytes, n, k).map(Rhs::from))
    }

    /// The product of row-major A and C with what `rhs` makes of the copies of B, after one run.
    fn loaded<'s, T: Element, B: 's>(
        &'s mut self,
        Shape { m, n, k }: Shape,
        ran: Ran,
        a: Vec<T>,
        mut b: Rotation<B>,
        rhs: impl Fn(&B) -> Result<Rhs<'_>, LayoutError> + 's,
    ) -> Load<'s> {
        let c = Rc::new(RefCell::new(vec![T::from_f32(f32::NAN); m * n]));
        let (workspace, threads) = (&mut self.workspace, self.threads);
        let result = c.clone();
        let mut product = move || -> Result<(), Box<dyn std::error::Error>> {
            let (mut c, b) = (c.borrow_mut(), rhs(b.take())?);
            let (a, c) = (MatRef::from_row_major(&a, m, k)?, MatMut::from_row_major(&mut c, m, n)?);
            ::gemm::Gemm::new(a, b).threads(threads).workspace(workspace).run(c)?;
            Ok(())
        };
        product().map_err(|error| Refusal::Error(error.to_string()))?;
        let run = move || {
            // The same call succeeded above, on the same operands.
            let _ = product();
        };
        let output = move || result.borrow().iter().flat_map(|value| value.to_f32().to_le_bytes()).collect();
        Ok(Closures::boxed(ran, run, output))
    }
}

/// The product that a case describes. Peers take plain matrices, so no case has prepacked weights or an epilogue.
fn product(case: &Case) -> Result<Product, Refusal> {
    let product: Product = case.read()?;
    if product.b == Order::Packed || product.activation != Activation::Identity {
        return Err(Refusal::Unsupported(format!(
            "case {}: no peer packs weights before or fuses an epilogue",
            case.id
        )));
    }
    Ok(product)
}
