//! What runs: the kernel, its path, its block sizes and its threads.

use std::fmt;

use op::Ran;
use simd::Isa;

/// What a product runs, or ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Choice {
    /// Name of the kernel: `cpu-scalar`, `cpu-avx2`, ..
    pub kernel: &'static str,
    /// Its instruction set.
    pub isa: Isa,
    /// Its algorithm.
    pub path: Path,
    /// Whether the transposed product was computed, C^T = B^T A^T. Extents and block sizes are those of that product
    /// then.
    pub transposed: bool,
    /// Its block sizes, where the path works in blocks.
    pub tile: Option<Blocking>,
    /// Threads that work, the caller's included: at most those allowed, fewer for a small product.
    pub threads: usize,
    /// Blocks of rows and of columns that C is cut into for them; 1 x 1 for one thread. A path in blocks has more of
    /// them than threads, which take one after the other: see [`split`](crate::split).
    pub grid: [usize; 2],
}

/// The algorithm of a product. [`crate`] has the list of what is promised; `plan/route.rs` says when each is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Path {
    /// The definition, one element of C after the other, in f64.
    Definition,
    /// A and B are not read, because alpha = 0, k = 0 or C is empty: C <- beta C.
    Scale,
    /// The portable kernel: 8 columns of B at a time are copied next to each other, and A is not packed.
    Strips,
    /// A and B are packed into panels.
    Packed,
    /// A is packed into panels; B is read in place.
    PackedA,
    /// A is packed into panels; B was packed before, see [`PackedB`](crate::PackedB).
    PackedWeights,
    /// A is read in place, and so is B if its rows are contiguous.
    Direct,
    /// Dot products of rows of A and contiguous columns of B.
    Dot,
    /// Multiples of contiguous rows of B are added up: y <- y + a x, the axpy of BLAS.
    Axpy,
    /// Weights in [blocks](crate::QMatRef): dot products of their rows, as they lie, and rows of A rounded to 8 bits.
    BlockDots,
    /// Weights in [blocks](crate::QMatRef): codes are unpacked into panels, and multiplied with rows of A rounded to 8
    /// bits.
    BlockPanels,
    /// [Integer weights](crate::Int8Weights): codes in panels, multiplied with rows of A rounded to 8 bits.
    Int8,
}

/// Which path a product takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// The fastest.
    Fastest,
    /// One under which a row of C has the same bits alone and among others.
    RowsAlone,
    /// This one where it is possible, else the fastest.
    Path(Path),
}

impl Path {
    /// Those that a kernel chooses among for unpacked matrices.
    pub(crate) const CHOICES: [Path; 5] = [Path::Dot, Path::Axpy, Path::Direct, Path::PackedA, Path::Packed];

    /// Those that a kernel chooses among for weights in blocks.
    pub(crate) const BLOCK_CHOICES: [Path; 2] = [Path::BlockDots, Path::BlockPanels];

    /// The name, as bench ids spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Path::Definition => "definition",
            Path::Scale => "scale",
            Path::Strips => "strips",
            Path::Packed => "packed",
            Path::PackedA => "packed-a",
            Path::PackedWeights => "packed-weights",
            Path::Direct => "direct",
            Path::Dot => "dot",
            Path::Axpy => "axpy",
            Path::BlockDots => "block-dots",
            Path::BlockPanels => "block-panels",
            Path::Int8 => "int8",
        }
    }
}

/// Block sizes. A tile of `mr` x `nr` elements of C is held in registers; A is packed in blocks of `mc` x `kc`, B in
/// blocks of `kc` x `nc`. The names are those of BLIS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocking {
    /// Rows of a register tile.
    pub mr: usize,
    /// Columns of a register tile.
    pub nr: usize,
    /// Rows of a block of A.
    pub mc: usize,
    /// Columns of a block of B.
    pub nc: usize,
    /// Terms of the sums that are added up before C is updated.
    pub kc: usize,
}

impl Choice {
    /// As a report of what ran, without work counted.
    pub fn ran(&self) -> Ran {
        let mut tile = self.tile.map_or_else(String::new, |tile| tile.to_string());
        if self.threads > 1 {
            let [rows, cols] = self.grid;
            let gap = if tile.is_empty() { "" } else { " " };
            tile = format!("{tile}{gap}grid {rows}x{cols}");
        }
        let transposed = if self.transposed { " transposed" } else { "" };
        let path = format!("{}{transposed}", self.path);
        Ran { path, tile, threads: self.threads, ..Ran::new(self.kernel, self.isa.to_string()) }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Blocking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mr, nr, mc, nc, kc } = self;
        write!(f, "mr{mr} nr{nr} mc{mc} nc{nc} kc{kc}")
    }
}
