//! Products with weights in GGML blocks.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use gpu::{Binding, Bindings, Buffer, GpuError, Kernel, Step, Wgpu, grid_of};
use op::Ran;
use quant::{GgmlType, QK_K};

use crate::{
    Activations, GemmGpuError, Matrix, Rows, kernels,
    matrix::ElementType,
    parts::{ROWS, parts},
};

/// How weights lie in device memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// As in a GGUF file.
    Gguf,
    /// Quants, scales and factors in places of their own, packed once when the weights are loaded.
    Packed,
}

impl Layout {
    /// The name: `gguf`, `packed`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gguf => "gguf",
            Self::Packed => "packed",
        }
    }
}

/// Sizes of a kernel for blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockVariant {
    /// Invocations of a workgroup.
    pub group: u32,
    /// Rows of weights of sixteen lanes: 1 or 2.
    pub rows: u32,
    /// Pairs of blocks in flight: 1, 2 or 5.
    pub unroll: u32,
    /// Of blocks in flight, only the quants are loaded ahead.
    pub late: bool,
}

impl BlockVariant {
    /// All that are compiled by anyone, the safe choice first.
    pub const ALL: [Self; 12] = [
        Self::new(64, 2, 5, false),
        Self::new(64, 1, 5, false),
        Self::new(128, 1, 5, false),
        Self::new(128, 2, 5, false),
        Self::new(64, 2, 2, false),
        Self::new(64, 1, 2, false),
        Self::new(32, 2, 5, false),
        Self::new(64, 2, 1, false),
        Self::new(64, 2, 5, true),
        Self::new(64, 1, 5, true),
        Self::new(128, 2, 5, true),
        Self::new(64, 2, 2, true),
    ];

    const fn new(group: u32, rows: u32, unroll: u32, late: bool) -> Self {
        Self { group, rows, unroll, late }
    }

    /// Whether a type has a kernel of its own for this variant: only those of Q4_K and Q5_K keep several pairs of
    /// blocks in flight.
    pub const fn is_for(self, ty: GgmlType) -> bool {
        matches!(ty, GgmlType::Q4_K | GgmlType::Q5_K) || (self.unroll == 5 && !self.late)
    }
}

impl fmt::Display for BlockVariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-r{}-u{}{}", self.group, self.rows, self.unroll, if self.late { "-late" } else { "" })
    }
}

impl FromStr for BlockVariant {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|variant| variant.to_string() == name).ok_or(())
    }
}

/// What becomes of the sums of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finish {
    /// They are C.
    Store,
    /// They are added to C.
    Add,
    /// max(0, sum)^2 is C.
    SquaredRelu,
}

/// n rows of k weights in blocks, on a device.
#[derive(Debug, Clone)]
pub struct Blocks {
    ty: GgmlType,
    layout: Layout,
    n: usize,
    k: usize,
    /// The blocks; or the quants, the scales and the factors. Each with the bytes of a row.
    buffers: Vec<(Buffer, usize)>,
    bytes: u64,
}

impl Blocks {
    /// Sends weights: `bytes` holds n rows of k numbers in blocks of type `ty`, as a GGUF file does.
    ///
    /// # Errors
    /// [`GemmGpuError::Type`], [`GemmGpuError::Shape`], errors of the device.
    pub fn upload(
        gpu: &Wgpu,
        ty: GgmlType,
        layout: Layout,
        bytes: &[u8],
        n: usize,
        k: usize,
    ) -> Result<Self, GemmGpuError> {
        if kernels::blocks(ty, layout, BlockVariant::ALL[0], 1, Finish::Store).is_none() {
            return Err(GemmGpuError::Type { ty, layout: layout.name() });
        }
        let row_bytes = ty.row_bytes(k).unwrap_or(0);
        if !k.is_multiple_of(ty.block_len()) {
            let need = k.next_multiple_of(ty.block_len());
            return Err(GemmGpuError::Shape { what: "terms of whole blocks", got: k, need });
        }
        let need = n.saturating_mul(row_bytes);
        if bytes.len() != need {
            return Err(GemmGpuError::Shape { what: "bytes of weights", got: bytes.len(), need });
        }
        let parts = match layout {
            Layout::Gguf => vec![bytes.to_vec()],
            Layout::Packed => packed(ty, bytes, row_bytes, k),
        };
        let upload = |part: &Vec<u8>| Ok((gpu.upload("weights", part)?, part.len() / n.max(1)));
        let buffers = parts.iter().map(upload).collect::<Result<Vec<_>, GpuError>>()?;
        let bytes = buffers.iter().map(|(buffer, _)| buffer.bytes()).sum();
        Ok(Self { ty, layout, n, k, buffers, bytes })
    }

    /// Rows: n of a product.
    pub fn rows(&self) -> usize {
        self.n
    }

    /// Numbers of a row: k of a product.
    pub fn terms(&self) -> usize {
        self.k
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Their type.
    pub fn ggml_type(&self) -> GgmlType {
        self.ty
    }

    /// Their layout.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Some rows of a buffer, to the end of its memory behind the last one.
    fn part(&self, nth: usize, rows: &Range<usize>) -> Binding<'_> {
        let (buffer, row_bytes) = &self.buffers[nth];
        let offset = (rows.start * row_bytes) as u64;
        let end = if rows.end == self.n { buffer.bytes() } else { (rows.end * row_bytes) as u64 };
        Binding::read(buffer).part(offset, end - offset)
    }
}

/// The parts of blocks, each in a place of its own, in the order of the kernel's bindings.
fn packed(ty: GgmlType, bytes: &[u8], row_bytes: usize, k: usize) -> Vec<Vec<u8>> {
    let blocks = bytes.chunks_exact(ty.block_bytes());
    match ty {
        GgmlType::Q4_K => {
            let [mut quants, mut scales, mut factors] = [(); 3].map(|()| Vec::new());
            for block in blocks {
                factors.extend_from_slice(&block[..4]);
                scales.extend_from_slice(&q4_k_scales(block));
                quants.extend_from_slice(&block[16..]);
            }
            vec![quants, scales, factors]
        }
        GgmlType::Q6_K => {
            let [mut low, mut high, mut scales, mut factors] = [(); 4].map(|()| Vec::new());
            for block in blocks {
                low.extend_from_slice(&block[..128]);
                high.extend_from_slice(&block[128..192]);
                scales.extend_from_slice(&block[192..208]);
                factors.extend_from_slice(&block[208..]);
            }
            vec![low, high, scales, factors]
        }
        // Q8_0 and Q4_0: a scale and quants, whose rows are filled up to blocks of 256.
        _ => {
            let [mut quants, mut scales] = [(); 2].map(|()| Vec::new());
            let missing = k.next_multiple_of(QK_K) / 32 - k / 32;
            for row in bytes.chunks_exact(row_bytes.max(1)) {
                for block in row.chunks_exact(ty.block_bytes()) {
                    scales.extend_from_slice(&block[..2]);
                    quants.extend_from_slice(&block[2..]);
                }
                scales.resize(scales.len() + 2 * missing, 0);
                quants.resize(quants.len() + (ty.block_bytes() - 2) * missing, 0);
            }
            vec![quants, scales]
        }
    }
}

/// For each pair of sub-blocks 2 j and 2 j + 1 their scales and their minima, a byte each.
fn q4_k_scales(block: &[u8]) -> [u8; 16] {
    let block: &quant::format::BlockQ4_K = bytemuck::from_bytes(block);
    let (scales, mins) = block.scales.unpack();
    let mut packed = [0; 16];
    for j in 0..4 {
        packed[4 * j..][..4].copy_from_slice(&[scales[2 * j], scales[2 * j + 1], mins[2 * j], mins[2 * j + 1]]);
    }
    packed
}

/// y <- x W^T for weights in blocks.
#[derive(Debug)]
pub struct BlockProduct {
    gpu: Wgpu,
    kernel: Kernel,
    /// Rows of weights whose bindings begin by themselves: mostly all.
    parts: Vec<(Bindings, [u32; 3])>,
    c: Matrix,
    ran: Ran,
}

impl BlockProduct {
    /// Takes the operands and compiles the kernel. C is a matrix of its own, or `c`.
    ///
    /// # Errors
    /// [`GemmGpuError::Shape`], [`GemmGpuError::TooLarge`] above 16 rows, or for rows of weights of which a binding
    /// does not hold a few, errors of the device.
    pub fn new(
        gpu: &Wgpu,
        variant: BlockVariant,
        a: &Activations,
        b: &Blocks,
        c: Option<&Matrix>,
    ) -> Result<Self, GemmGpuError> {
        let (m, n) = (a.m, b.n);
        let c = match c {
            Some(c) if c.rows != m => {
                return Err(GemmGpuError::Shape { what: "elements of C", got: c.rows * c.cols, need: m * n });
            }
            Some(c) => c.clone(),
            None => Matrix::zeros(gpu, ElementType::F32, m, n)?,
        };
        Self::of_rows(gpu, variant, (a, Rows::ALL), b, &c, Finish::Store)
    }

    /// The product of some rows of activations, as many as C has.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_rows(
        gpu: &Wgpu,
        variant: BlockVariant,
        (a, rows): (&Activations, Rows),
        b: &Blocks,
        c: &Matrix,
        finish: Finish,
    ) -> Result<Self, GemmGpuError> {
        let (m, n, k) = (c.rows, b.n, b.k);
        if a.k != k {
            return Err(GemmGpuError::Shape { what: "terms of A", got: a.k, need: k });
        }
        if m > 16 {
            return Err(GemmGpuError::TooLarge { what: "the number of rows of A", got: m, most: 16 });
        }
        if (c.cols, c.ty) != (n, ElementType::F32) {
            return Err(GemmGpuError::Shape { what: "elements of C", got: m * c.cols, need: m * n });
        }
        let taken = rows.word(m, a.m)?;
        let blocks = k.div_ceil(QK_K).max(1) as u32;
        let source = kernels::blocks(b.ty, b.layout, variant, blocks, finish)
            .ok_or(GemmGpuError::Type { ty: b.ty, layout: b.layout.name() })?;
        // SAFETY: as the comment on top of the kernel shows, for n rows of whole blocks and m rows of as many, which
        // were checked above.
        let kernel = gpu.kernel(&unsafe { source.trusted() })?;
        let rows_of_group = u64::from(variant.group / 16 * variant.rows);
        let bind = |part: Range<usize>| {
            let shape = gpu.uniform("shape", &[part.len() as u32, taken, c.ld() as u32, part.start as u32])?;
            let mut operands = vec![
                (0, b.part(0, &part)),
                (1, Binding::read(&a.codes)),
                (2, Binding::read(&a.terms)),
                (3, Binding::write(&c.buffer)),
                (4, Binding::read(&shape)),
            ];
            operands.extend((5..).zip((1..b.buffers.len()).map(|nth| b.part(nth, &part))));
            let mut grid = grid_of((part.len() as u64).div_ceil(rows_of_group), gpu.capabilities().grid_axis);
            grid[2] = m as u32;
            Ok((kernel.bind(gpu, &operands)?, grid))
        };
        let parts = if m == 0 || n == 0 || k == 0 {
            Vec::new()
        } else {
            let row_bytes: Vec<usize> = b.buffers.iter().map(|(_, bytes)| *bytes).collect();
            let parts = parts(n, &row_bytes, gpu.capabilities().binding_bytes, ROWS)?;
            parts.into_iter().map(bind).collect::<Result<_, GemmGpuError>>()?
        };
        let ran = Ran {
            path: format!("{} {}", b.ty.name().to_lowercase(), b.layout.name()),
            tile: variant.to_string(),
            flops: 2 * (m * n * k) as u64,
            bytes: b.bytes + (m * (k + 4 * n)) as u64,
            ..Ran::new("wgpu-blocks", gpu.identity().name.clone())
        };
        Ok(Self { gpu: gpu.clone(), kernel, parts, c: c.clone(), ran })
    }

    /// The dispatches of one product, without those of its activations: one, or one for each part of weights that a
    /// binding of the device does not hold.
    pub fn steps(&self) -> Vec<Step<'_>> {
        self.first(usize::MAX)
    }

    /// The dispatches of the first `rows` rows of C, or of all that it has.
    pub fn first(&self, rows: usize) -> Vec<Step<'_>> {
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        self.parts
            .iter()
            .map(|(bindings, [x, y, all])| Step::new(&self.kernel, bindings, [*x, *y, rows.min(*all)]))
            .collect()
    }

    /// The time of `iters` products, without rounding A.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn time(&self, iters: u64) -> Result<Duration, GemmGpuError> {
        Ok(self.gpu.time(&self.steps(), iters)?)
    }

    /// C.
    pub fn c(&self) -> &Matrix {
        &self.c
    }

    /// What runs.
    pub fn ran(&self) -> &Ran {
        &self.ran
    }
}
