//! Products of bf16 matrices, and of matrices of bytes, in tile registers: AMX-BF16 and AMX-INT8.
//!
//! A tile is 16 rows of 64 bytes. `tdpbf16ps` adds to a tile of 16 x 16 floats the product of 16 rows of 32 numbers and
//! 32 rows of 16 numbers, the latter stored as 16 rows of 16 pairs:
//!
//! ```text
//!   C[m][n] += sum over p of A[m][2p] B[p][2n] + A[m][2p + 1] B[p][2n + 1]      m, n, p < 16
//! ```
//!
//! `tdpbusd` does the same with four bytes, unsigned in A and signed in B, instead of two numbers, and sums of 32 bits:
//!
//! ```text
//!   C[m][n] += sum over p of A[m][4p] B[p][4n] + .. + A[m][4p + 3] B[p][4n + 3]
//! ```
//!
//! A product takes 16 cycles. Rounding is to nearest; subnormal numbers count as 0, in operands and in sums. Rust has
//! no stable intrinsics for it, so the instructions stand here in assembly, and nowhere else.
//!
//! [`Tiles::multiply`] keeps a block of 2 x 2 or 2 x 1 tiles of C in registers, and the other tiles of the operands
//! pass through. With 2 x 2, each step loads four tiles for four products, which take twice as long.

use std::{arch::asm, cell::Cell, marker::PhantomData};

use machine::isa::Amx;

/// Rows of a tile.
pub const TILE_ROWS: usize = 16;

/// Bytes of a tile. In memory its rows are adjacent, and it may begin anywhere.
pub const TILE_BYTES: usize = 64 * TILE_ROWS;

/// Numbers of bf16 in a row of a tile: the length of the sums of one product.
pub const TILE_DEPTH: usize = 32;

/// The operand of `ldtilecfg`: palette 1, and for each of eight registers 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static CONFIG: Config = {
    let (mut row_bytes, mut rows) = ([0; 16], [0; 16]);
    let mut i = 0;
    while i < 8 {
        row_bytes[i] = 64;
        rows[i] = 16;
        i += 1;
    }
    Config { palette: 1, start_row: 0, reserved: [0; 14], row_bytes, rows }
};

thread_local! {
    /// How many [`Tiles`] this thread holds.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// The tile registers of the calling thread. While one exists, they are configured as eight whole tiles; when the last
/// one is dropped they are released, so that the operating system has nothing to save.
#[derive(Debug)]
pub struct Tiles {
    /// Registers belong to a thread: this is neither sent nor shared.
    on_this_thread: PhantomData<*const ()>,
}

/// Where the operands of [`Tiles::multiply`] are. Tile (i, j) of C is the sum over steps of tiles i of A times tiles j
/// of B, for two i and one or two j.
#[derive(Debug, Clone, Copy)]
pub struct Product {
    /// The first tile of each row: 16 rows of 32 numbers.
    pub a: [*const u8; 2],
    /// Bytes from the tile of one step to that of the next.
    pub a_step: usize,
    /// The first tile of each column: 16 rows of 16 pairs.
    pub b: [*const u8; 2],
    /// Bytes from the tile of one step to that of the next; 0 repeats.
    pub b_step: usize,
    /// Tiles of a sum, at least one.
    pub steps: usize,
    /// For each row, the tiles of its columns, which are adjacent: 16 rows of 16 floats each.
    pub c: [*mut f32; 2],
    /// Whether the product is added to what C holds.
    pub is_added: bool,
}

/// Where the operands of [`Tiles::multiply_bytes`] are.
#[derive(Debug, Clone, Copy)]
pub struct ByteProduct {
    /// 32 rows of unsigned bytes, 64 for each step.
    pub a: *const u8,
    /// Bytes from one row to the next.
    pub a_stride: usize,
    /// Signed bytes of 16 columns each: for each step a tile of 16 rows of 16 groups of four.
    pub b: [*const u8; 2],
    /// Tiles of a sum, at least one.
    pub steps: usize,
    /// 32 rows of 32 sums, one after the other.
    pub c: *mut i32,
}

impl Tiles {
    /// Configures the tile registers of this thread.
    pub fn new(_: Amx) -> Self {
        let held = HELD.get();
        if held == 0 {
            // SAFETY: an `Amx` exists only where the instruction exists and this process may execute it; it reads 64
            // bytes, which are a valid configuration.
            unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const CONFIG, options(nostack, readonly)) };
        }
        HELD.set(held + 1);
        Self { on_this_thread: PhantomData }
    }

    /// Computes a block of C with `COLUMNS` tiles of columns, 1 or 2. With 1, the second of `b` is not read.
    ///
    /// # Safety
    /// At each of `steps` steps, a tile can be read at both of `a` and at `COLUMNS` of `b`; `COLUMNS` adjacent tiles
    /// can be read and written at both of `c`.
    #[inline(always)]
    pub unsafe fn multiply<const COLUMNS: usize>(&self, product: &Product) {
        const { assert!(COLUMNS == 1 || COLUMNS == 2) };
        let &Product { a, a_step, b, b_step, steps, c, is_added } = product;
        debug_assert!(steps > 0);
        if COLUMNS == 2 {
            // SAFETY: `self` proves that tiles are configured on this thread; the caller promises the memory. The
            // registers of tiles are those of this block alone: the compiler uses none of its own accord.
            unsafe {
                asm!(
                    "test {is_added:e}, {is_added:e}",
                    "jz 2f",
                    "tileloadd tmm0, [{c0} + {stride}]",
                    "tileloadd tmm1, [{c0} + {stride} + 1024]",
                    "tileloadd tmm2, [{c1} + {stride}]",
                    "tileloadd tmm3, [{c1} + {stride} + 1024]",
                    "jmp 3f",
                    "2:",
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "3:",
                    "tileloadd tmm4, [{a0} + {stride}]",
                    "tileloadd tmm6, [{b0} + {stride}]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tileloadd tmm7, [{b1} + {stride}]",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    "tileloadd tmm5, [{a1} + {stride}]",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "tdpbf16ps tmm3, tmm5, tmm7",
                    "add {a0}, {a_step}",
                    "add {a1}, {a_step}",
                    "add {b0}, {b_step}",
                    "add {b1}, {b_step}",
                    "dec {steps}",
                    "jnz 3b",
                    "tilestored [{c0} + {stride}], tmm0",
                    "tilestored [{c0} + {stride} + 1024], tmm1",
                    "tilestored [{c1} + {stride}], tmm2",
                    "tilestored [{c1} + {stride} + 1024], tmm3",
                    is_added = in(reg) u32::from(is_added),
                    stride = in(reg) 64_usize,
                    a0 = inout(reg) a[0] => _,
                    a1 = inout(reg) a[1] => _,
                    a_step = in(reg) a_step,
                    b0 = inout(reg) b[0] => _,
                    b1 = inout(reg) b[1] => _,
                    b_step = in(reg) b_step,
                    steps = inout(reg) steps => _,
                    c0 = in(reg) c[0],
                    c1 = in(reg) c[1],
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        } else {
            // SAFETY: as above.
            unsafe {
                asm!(
                    "test {is_added:e}, {is_added:e}",
                    "jz 2f",
                    "tileloadd tmm0, [{c0} + {stride}]",
                    "tileloadd tmm2, [{c1} + {stride}]",
                    "jmp 3f",
                    "2:",
                    "tilezero tmm0",
                    "tilezero tmm2",
                    "3:",
                    "tileloadd tmm4, [{a0} + {stride}]",
                    "tileloadd tmm6, [{b0} + {stride}]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tileloadd tmm5, [{a1} + {stride}]",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "add {a0}, {a_step}",
                    "add {a1}, {a_step}",
                    "add {b0}, {b_step}",
                    "dec {steps}",
                    "jnz 3b",
                    "tilestored [{c0} + {stride}], tmm0",
                    "tilestored [{c1} + {stride}], tmm2",
                    is_added = in(reg) u32::from(is_added),
                    stride = in(reg) 64_usize,
                    a0 = inout(reg) a[0] => _,
                    a1 = inout(reg) a[1] => _,
                    a_step = in(reg) a_step,
                    b0 = inout(reg) b[0] => _,
                    b_step = in(reg) b_step,
                    steps = inout(reg) steps => _,
                    c0 = in(reg) c[0],
                    c1 = in(reg) c[1],
                    out("tmm0") _, out("tmm2") _, out("tmm4") _, out("tmm5") _, out("tmm6") _,
                    options(nostack),
                );
            }
        }
    }
}

impl Tiles {
    /// C = A B, for 32 rows and 32 columns. Sums wrap.
    ///
    /// # Safety
    /// `steps` times 64 bytes can be read of 32 rows at `a`, as many tiles at both of `b`; 4096 bytes can be written at
    /// `c`.
    #[inline(always)]
    pub unsafe fn multiply_bytes(&self, product: &ByteProduct) {
        let &ByteProduct { a, a_stride, b, steps, c } = product;
        debug_assert!(steps > 0);
        // SAFETY: `self` proves that tiles are configured on this thread; the caller promises the memory. The registers
        // of tiles are those of this block alone.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "2:",
                "tileloadd tmm4, [{a0} + {a_stride}]",
                "tileloadd tmm6, [{b0} + {b_stride}]",
                "tdpbusd tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{b1} + {b_stride}]",
                "tdpbusd tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{a1} + {a_stride}]",
                "tdpbusd tmm2, tmm5, tmm6",
                "tdpbusd tmm3, tmm5, tmm7",
                "add {a0}, 64",
                "add {a1}, 64",
                "add {b0}, 1024",
                "add {b1}, 1024",
                "dec {steps}",
                "jnz 2b",
                "add {b_stride}, 64",
                "tilestored [{c} + {b_stride}], tmm0",
                "tilestored [{c} + {b_stride} + 64], tmm1",
                "tilestored [{c} + {b_stride} + 2048], tmm2",
                "tilestored [{c} + {b_stride} + 2112], tmm3",
                a_stride = in(reg) a_stride,
                // Of the rows of a tile of B, then of those of C.
                b_stride = inout(reg) 64_usize => _,
                a0 = inout(reg) a => _,
                a1 = inout(reg) a.wrapping_add(TILE_ROWS * a_stride) => _,
                b0 = inout(reg) b[0] => _,
                b1 = inout(reg) b[1] => _,
                steps = inout(reg) steps => _,
                c = in(reg) c,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        let held = HELD.get() - 1;
        HELD.set(held);
        if held == 0 {
            // SAFETY: a `Tiles` exists only where this process may execute the instruction.
            unsafe {
                asm!(
                    "tilerelease",
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack, nomem),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    /// Whole numbers that are small enough for exact sums, and differ by place.
    fn number(seed: usize, i: usize) -> f32 {
        ((i * 7 + seed * 5 + i / 16) % 13) as f32 - 6.0
    }

    fn tiles(seed: usize, count: usize) -> Vec<bf16> {
        (0..count * TILE_BYTES / 2).map(|i| bf16::from_f32(number(seed, i))).collect()
    }

    /// C[m][n] of one tile each, from the formula above.
    fn sum(a: &[bf16], b: &[bf16], m: usize, n: usize) -> f32 {
        let pair = |p: usize, i: usize| a[m * 32 + 2 * p + i].to_f32() * b[p * 32 + 2 * n + i].to_f32();
        (0..16).map(|p| pair(p, 0) + pair(p, 1)).sum()
    }

    fn check<const COLUMNS: usize>(amx: Amx, steps: usize, is_added: bool) {
        let (a, b) = (tiles(1, 2 * steps), tiles(2, 2 * steps));
        let mut c: Vec<f32> = (0..4 * 256).map(|i| number(3, i)).collect();
        let before = c.clone();
        let at = |x: &[bf16], tile: usize| x[tile * 512..].as_ptr().cast::<u8>();
        let (second, rows) = (c[512..].as_mut_ptr(), c.as_mut_ptr());
        let product = Product {
            a: [at(&a, 0), at(&a, steps)],
            a_step: TILE_BYTES,
            b: [at(&b, 0), at(&b, steps)],
            b_step: TILE_BYTES,
            steps,
            c: [rows, second],
            is_added,
        };
        // SAFETY: each operand has the tiles of two rows or columns.
        unsafe { Tiles::new(amx).multiply::<COLUMNS>(&product) };
        for (i, x) in c.iter().enumerate() {
            let (row, column, m, n) = (i / 512, i / 256 % 2, i / 16 % 16, i % 16);
            let tile = |x: &[bf16], number: usize| x[number * 512..][..512].to_vec();
            let products = |step| sum(&tile(&a, row * steps + step), &tile(&b, column * steps + step), m, n);
            let expected = match column < COLUMNS {
                true => (0..steps).map(products).sum::<f32>() + if is_added { before[i] } else { 0.0 },
                false => before[i],
            };
            assert_eq!(*x, expected, "{COLUMNS} columns, {steps} steps, row {row}, column {column}, ({m}, {n})");
        }
    }

    #[test]
    fn products_are_those_of_the_definition() {
        let Some(amx) = Amx::new() else { return };
        for steps in [1, 2, 5] {
            for is_added in [false, true] {
                check::<1>(amx, steps, is_added);
                check::<2>(amx, steps, is_added);
            }
        }
    }

    #[test]
    fn products_of_bytes_are_those_of_the_definition() {
        let Some(amx) = Amx::new() else { return };
        for (steps, a_stride) in [(1, 64), (3, 192), (2, 200)] {
            let byte = |seed: usize, i: usize| (i * 37 + seed * 11 + i / 61) as u8;
            let a: Vec<u8> = (0..32 * a_stride).map(|i| byte(1, i)).collect();
            let b: Vec<u8> = (0..2 * steps * TILE_BYTES).map(|i| byte(2, i)).collect();
            let mut c = [i32::MIN; 32 * 32];
            let columns = [b.as_ptr(), b[steps * TILE_BYTES..].as_ptr()];
            let product = ByteProduct { a: a.as_ptr(), a_stride, b: columns, steps, c: c.as_mut_ptr() };
            // SAFETY: all operands have these extents.
            unsafe { Tiles::new(amx).multiply_bytes(&product) };
            for (at, &sum) in c.iter().enumerate() {
                let (i, j) = (at / 32, at % 32);
                let b = |p: usize| b[j / 16 * steps * TILE_BYTES + p / 4 * 64 + j % 16 * 4 + p % 4].cast_signed();
                let terms = (0..64 * steps).map(|p| i32::from(a[i * a_stride + p]) * i32::from(b(p)));
                assert_eq!(sum, terms.sum::<i32>(), "{steps} steps, ({i}, {j})");
            }
        }
    }

    #[test]
    fn tiles_may_be_held_twice_and_on_many_threads() {
        let Some(amx) = Amx::new() else { return };
        let outer = Tiles::new(amx);
        drop(Tiles::new(amx));
        check::<2>(amx, 1, false);
        drop(outer);
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(move || check::<2>(amx, 3, true)))));
    }
}
