//! The named cases of this op on a GPU: the shapes of `gemm::cases` at the sizes that fill a GPU.

use quant::GgmlType::{self, Q4_0, Q4_K, Q5_K, Q6_K, Q8_0};

use crate::matrix::ElementType::{self, Bf16, F16, F32};

/// One case: C <- A B with row-major A and C, sums of f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// Unique.
    pub name: &'static str,
    /// Rows of A.
    pub m: usize,
    /// Columns of B.
    pub n: usize,
    /// Terms.
    pub k: usize,
    /// The type of A and B; of A alone if B is in blocks.
    pub ty: ElementType,
    /// How B is stored.
    pub weights: Weights,
    /// 1 for what a comparison measures by default.
    pub tier: u8,
    /// Runs rotate over copies of B that no cache holds.
    pub is_streamed: bool,
    /// Runs need not wait for each other: each has a C of its own.
    pub is_overlapped: bool,
    /// A was rounded before.
    pub is_rounded: bool,
}

/// How B is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// Row by row.
    Rows,
    /// Column by column.
    Columns,
    /// Column by column, in blocks.
    Blocks(GgmlType),
}

use Weights::{Blocks, Columns, Rows};

impl Case {
    const fn new(name: &'static str, ty: ElementType, (m, n, k): (usize, usize, usize), weights: Weights) -> Self {
        let (is_streamed, is_overlapped, is_rounded) = (false, false, false);
        Self { name, m, n, k, ty, weights, tier: 1, is_streamed, is_overlapped, is_rounded }
    }

    const fn tier(self, tier: u8) -> Self {
        Self { tier, ..self }
    }

    const fn streamed(self) -> Self {
        Self { is_streamed: true, ..self }
    }

    const fn overlapped(self) -> Self {
        Self { is_overlapped: true, ..self }
    }

    const fn rounded(self) -> Self {
        Self { is_rounded: true, ..self }
    }

    /// Operations: 2 m n k.
    pub fn flops(&self) -> f64 {
        2.0 * self.m as f64 * self.n as f64 * self.k as f64
    }

    /// Bytes that must move: stored operands read once, C written once.
    pub fn bytes(&self) -> f64 {
        let weights = match self.weights {
            Rows | Columns => self.ty.bytes() * self.n * self.k,
            Blocks(ty) => self.n * ty.row_bytes(self.k).unwrap_or(0),
        };
        (weights + self.ty.bytes() * self.m * self.k + 4 * self.m * self.n) as f64
    }

    /// The type's name in bench ids.
    pub fn type_name(&self) -> String {
        match self.weights {
            Blocks(ty) => ty.name().to_lowercase(),
            Rows | Columns => self.ty.name().to_owned(),
        }
    }

    /// The second part of bench ids: shape, regime and threads of the host.
    pub fn function(&self) -> String {
        let order = if self.weights == Rows { "" } else { "-bt" };
        let overlap = if self.is_overlapped { "-overlap" } else { "" };
        let rounded = if self.is_rounded { "-rounded" } else { "" };
        let regime = if self.is_streamed { "streamed" } else { "resident" };
        format!("m{}-n{}-k{}{order}{rounded}{overlap}/{regime}/t1", self.m, self.n, self.k)
    }
}

/// All of them. The small ones are what a software adapter proves.
pub static CASES: [Case; 26] = [
    Case::new("f32-130", F32, (130, 132, 70), Rows),
    Case::new("f16-130", F16, (130, 132, 70), Rows),
    Case::new("bf16-m1-n300-k520-bt", Bf16, (1, 300, 520), Columns).tier(2),
    Case::new("f16-m1-n300-k520-bt", F16, (1, 300, 520), Columns),
    Case::new("q4_k-m1-n300-k512-bt", F32, (1, 300, 512), Blocks(Q4_K)),
    // Squares.
    Case::new("f32-4096", F32, (4096, 4096, 4096), Rows),
    Case::new("f32-2048", F32, (2048, 2048, 2048), Rows).tier(2),
    Case::new("f16-4096", F16, (4096, 4096, 4096), Rows),
    Case::new("f16-2048", F16, (2048, 2048, 2048), Rows).tier(2),
    Case::new("f16-8192", F16, (8192, 8192, 8192), Rows).tier(2),
    Case::new("f16-4096-bt", F16, (4096, 4096, 4096), Columns).tier(2),
    Case::new("f32-4096-bt", F32, (4096, 4096, 4096), Columns).tier(2),
    // A layer of a vision transformer, whose rows no tile divides.
    Case::new("f16-m1374-n3072-k1024-bt", F16, (1374, 3072, 1024), Columns).tier(2),
    // Decoding a token, with weights from memory.
    Case::new("f16-m1-8192-bt-overlap", F16, (1, 8192, 8192), Columns).streamed().overlapped(),
    Case::new("f16-m1-8192-bt", F16, (1, 8192, 8192), Columns).streamed().tier(2),
    Case::new("f16-m1-n10240-k2560-bt", F16, (1, 10240, 2560), Columns).streamed().tier(2),
    Case::new("f16-m4-n10240-k2560-bt", F16, (4, 10240, 2560), Columns).streamed().tier(2),
    Case::new("f16-m16-n10240-k2560-bt", F16, (16, 10240, 2560), Columns).streamed().tier(2),
    Case::new("q4_k-overlap", F32, (1, 10240, 2560), Blocks(Q4_K)).streamed().overlapped().rounded(),
    Case::new("q4_k-rounded", F32, (1, 10240, 2560), Blocks(Q4_K)).streamed().rounded(),
    Case::new("q4_k", F32, (1, 10240, 2560), Blocks(Q4_K)).streamed().tier(2),
    Case::new("q5_k", F32, (1, 10240, 2560), Blocks(Q5_K)).streamed().rounded().overlapped().tier(2),
    Case::new("q6_k", F32, (1, 10240, 2560), Blocks(Q6_K)).streamed().rounded().overlapped().tier(2),
    Case::new("q8_0", F32, (1, 10240, 2560), Blocks(Q8_0)).streamed().rounded().overlapped().tier(2),
    Case::new("q4_0", F32, (1, 10240, 2560), Blocks(Q4_0)).streamed().rounded().overlapped().tier(2),
    Case::new("q4_k-m4", F32, (4, 10240, 2560), Blocks(Q4_K)).streamed().tier(2),
];
