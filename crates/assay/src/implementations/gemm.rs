//! Our side of the products of matrices: C <- A B with row-major A (m x k) and C (m x n), all of one type, and a B (k x n)
//! that is stored row by row or column by column.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::path::Path;
use std::rc::Rc;

use ::gemm::{Element, MatMut, MatRef, Parallelism, Shape, Stored, Type, Workspace, explain_stored, gemm_in};
use half::{bf16, f16};
use peer::{Case, Description, Implementation, Loaded, Refusal};

/// Seeds of the operands.
const SEED_A: u64 = 0xa55a_0001;
const SEED_B: u64 = 0xa55a_0002;

pub(super) struct Gemm {
    parallelism: Parallelism,
    workspace: Workspace,
}

impl Gemm {
    pub(super) fn new(threads: NonZeroUsize) -> Self {
        let parallelism = if threads.get() == 1 { Parallelism::Serial } else { Parallelism::Rayon(threads) };
        Self { parallelism, workspace: Workspace::default() }
    }
}

impl Implementation for Gemm {
    fn describe(&mut self) -> Result<Description, String> {
        Ok(Description::new("assay", env!("CARGO_PKG_VERSION"), format!("{:?}", self.parallelism)))
    }

    fn inputs(&mut self, case: &Case, dir: &Path) -> Result<(), Refusal> {
        let Product { m, n, k, element, .. } = Product::of(case)?;
        for (name, seed, len) in [("a", SEED_A, m * k), ("b", SEED_B, k * n)] {
            let values = normal_like(seed, len);
            let bytes: Vec<u8> = match element {
                Type::F16 => values.flat_map(|x| f16::from_f32(x).to_le_bytes()).collect(),
                Type::Bf16 => values.flat_map(|x| bf16::from_f32(x).to_le_bytes()).collect(),
                _ => values.flat_map(f32::to_le_bytes).collect(),
            };
            peer::write(&dir.join(name), &bytes)?;
        }
        Ok(())
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Result<Loaded<'_>, Refusal> {
        let product = Product::of(case)?;
        match product.element {
            Type::F16 => self.load_as(product, inputs, |bytes| f16::from_le_bytes([bytes[0], bytes[1]])),
            Type::Bf16 => self.load_as(product, inputs, |bytes| bf16::from_le_bytes([bytes[0], bytes[1]])),
            _ => self.load_as(product, inputs, |bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])),
        }
    }
}

impl Gemm {
    fn load_as<T: Element>(
        &mut self,
        product: Product,
        inputs: &Path,
        number: fn(&[u8]) -> T,
    ) -> Result<Loaded<'_>, Refusal> {
        let Product { m, n, k, element, by_columns } = product;
        let read = |name: &str| -> Result<Vec<T>, Refusal> {
            Ok(std::fs::read(inputs.join(name))?.chunks_exact(element.bytes()).map(number).collect())
        };
        let (a, b) = (read("a")?, read("b")?);
        let b_stored = if by_columns { Stored::columns(element) } else { Stored::rows(element) };
        let stored = [Stored::rows(element), b_stored, Stored::rows(element)];
        let ran = format!("{:?}", explain_stored(Shape { m, n, k }, stored, self.parallelism));
        let c = Rc::new(RefCell::new(vec![T::from_f32(f32::NAN); m * n]));
        let (workspace, parallelism) = (&mut self.workspace, self.parallelism);
        let result = c.clone();
        let mut product = move || -> Result<(), Box<dyn std::error::Error>> {
            let mut c = c.borrow_mut();
            let b = match by_columns {
                true => MatRef::from_col_major(&b, k, n)?,
                false => MatRef::from_row_major(&b, k, n)?,
            };
            let (a, c) = (MatRef::from_row_major(&a, m, k)?, MatMut::from_row_major(&mut c, m, n)?);
            gemm_in(workspace, parallelism, 1.0, a, b, 0.0, c)?;
            Ok(())
        };
        product().map_err(|error| Refusal::Error(error.to_string()))?;
        let run = move || {
            // The same call succeeded above, on the same operands.
            let _ = product();
        };
        let output = move || result.borrow().iter().flat_map(|value| value.to_f32().to_le_bytes()).collect();
        let mut loaded = Loaded::new(ran, run, output);
        loaded.flops = Some(2.0 * m as f64 * n as f64 * k as f64);
        loaded.bytes = Some((element.bytes() * (m * k + k * n + m * n)) as f64);
        Ok(loaded)
    }
}

/// What a case says.
struct Product {
    m: usize,
    n: usize,
    k: usize,
    element: Type,
    /// Whether B is stored column by column.
    by_columns: bool,
}

impl Product {
    fn of(case: &Case) -> Result<Self, Refusal> {
        let (m, n, k) = (case.number("m")?, case.number("n")?, case.number("k")?);
        let (name, order) = (case.text("type")?, case.text("b")?);
        let element = Type::ALL.into_iter().find(|element| element.name() == name);
        let element = element.ok_or_else(|| Refusal::Unsupported(format!("no type is called {name}")))?;
        match order {
            "rows" | "columns" => Ok(Self { m, n, k, element, by_columns: order == "columns" }),
            other => Err(Refusal::Error(format!("case {}: B is stored by {other}", case.id))),
        }
    }
}

/// `len` values of mean 0 and variance 1: sums of four uniform ones, by splitmix64.
fn normal_like(seed: u64, len: usize) -> impl Iterator<Item = f32> {
    let mut state = seed;
    let mut uniform = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1_u32 << 24) as f32
    };
    let scale = 3.0_f32.sqrt();
    (0..len).map(move |_| scale * ((0..4).map(|_| uniform()).sum::<f32>() - 2.0))
}
