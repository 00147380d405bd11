//! Kernels run without the checks of wgpu. With them, where an index that leaves its memory reads 0 or writes nothing,
//! they give the same bits: no index did.

use gemm_gpu::{Matrix, Operand, Product, Variant};
use gpu::{Choice, Wgpu};

use crate::device;

/// C of an odd shape, as bits.
fn product(gpu: &Wgpu, variant: Variant, by_columns: bool) -> Vec<u32> {
    let (m, n, k) = match variant {
        Variant::Gemv { .. } => (3, 37, 75),
        _ => (129, 133, 37),
    };
    let a = Matrix::upload(gpu, &proof::input::normal(1, m * k), m, k).unwrap();
    let (rows, cols) = if by_columns { (n, k) } else { (k, n) };
    let b = Matrix::upload(gpu, &proof::input::normal(2, n * k), rows, cols).unwrap();
    let operand = if by_columns { Operand::Columns(&b) } else { Operand::Rows(&b) };
    let product = Product::new(gpu, variant, &a, operand, None).unwrap();
    product.run().unwrap();
    product.c().read(gpu).unwrap().iter().map(|x| x.to_bits()).collect()
}

#[test]
fn checked_kernels_give_the_same_bits() {
    let Some(trusting) = device() else { return };
    let checking = Wgpu::open(&Choice::Named(trusting.identity().name.clone())).unwrap();
    checking.check_every_kernel();
    let variants =
        [Variant::Tile { bk: 8, stages: 2 }, Variant::Tile { bk: 16, stages: 1 }, Variant::Gemv { group: 64, rows: 2 }];
    for variant in variants {
        for by_columns in [false, true] {
            let rows = if matches!(variant, Variant::Gemv { .. }) { 3 } else { 129 };
            if variant.missing(trusting.capabilities(), gemm_gpu::ElementType::F32, rows, by_columns).is_none() {
                let checked = product(&checking, variant, by_columns);
                assert_eq!(product(trusting, variant, by_columns), checked, "{variant}, by columns {by_columns}");
            }
        }
    }
}
