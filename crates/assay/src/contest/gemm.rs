//! Our side of the products of matrices: row-major A (m x k), B (k x n) and C (m x n), C <- A B.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::path::Path;

use ::gemm::{MatMut, MatRef, Parallelism, Workspace, gemm_in};
use peer::{Case, Contestant, Description, Loaded, Refusal};

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

impl Contestant for Gemm {
    fn describe(&mut self) -> Result<Description, String> {
        Ok(Description::new("assay", env!("CARGO_PKG_VERSION"), format!("{:?}", self.parallelism)))
    }

    fn inputs(&mut self, case: &Case, dir: &Path) -> Result<(), Refusal> {
        let (m, n, k) = extents(case)?;
        peer::write(&dir.join("a"), &normal_like(SEED_A, m * k))?;
        peer::write(&dir.join("b"), &normal_like(SEED_B, k * n))?;
        Ok(())
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Result<Loaded<'_>, Refusal> {
        let (m, n, k) = extents(case)?;
        let (a, b) = (peer::read_f32(&inputs.join("a"))?, peer::read_f32(&inputs.join("b"))?);
        let c = std::rc::Rc::new(RefCell::new(vec![f32::NAN; m * n]));
        let shape = ::gemm::Shape { m, n, k };
        let ran = format!("{:?}", ::gemm::explain(shape, self.parallelism));
        let (workspace, parallelism) = (&mut self.workspace, self.parallelism);
        let result = c.clone();
        let mut product = move || -> Result<(), Box<dyn std::error::Error>> {
            let mut c = c.borrow_mut();
            let (a, b) = (MatRef::from_row_major(&a, m, k)?, MatRef::from_row_major(&b, k, n)?);
            gemm_in(workspace, parallelism, 1.0, a, b, 0.0, MatMut::from_row_major(&mut c, m, n)?)?;
            Ok(())
        };
        product().map_err(|error| Refusal::Error(error.to_string()))?;
        let run = move || {
            // The same call succeeded above, on the same operands.
            let _ = product();
        };
        let output = move || result.borrow().iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut loaded = Loaded::new(ran, run, output);
        loaded.flops = Some(2.0 * m as f64 * n as f64 * k as f64);
        loaded.bytes = Some(4.0 * (m * k + k * n + m * n) as f64);
        Ok(loaded)
    }
}

fn extents(case: &Case) -> Result<(usize, usize, usize), Refusal> {
    Ok((case.number("m")?, case.number("n")?, case.number("k")?))
}

/// `len` f32 values of mean 0 and variance 1, little-endian: sums of four uniform ones, by splitmix64.
fn normal_like(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut uniform = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1_u32 << 24) as f32
    };
    let scale = 3.0_f32.sqrt();
    let normal = (0..len).map(|_| scale * ((0..4).map(|_| uniform()).sum::<f32>() - 2.0));
    normal.flat_map(f32::to_le_bytes).collect()
}
