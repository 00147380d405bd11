//! On the caller's thread alone, a product like one before allocates nothing.

use gemm::{
    Activation, Batch, BatchMut, Element, Epilogue, Gemm, MatMut, MatRef, PackedB, Threads, Workspace, gemm, gemv,
};
use half::{bf16, f16};
use proof::alloc::in_steady_state;

#[global_allocator]
static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;

const SERIAL: Threads = Threads::SERIAL;

fn of_types<A: Element, B: Element, C: Element>((m, n, k): (usize, usize, usize)) {
    let (a, b) = (vec![A::from_f32(0.5); m * k], vec![B::from_f32(0.25); k * n]);
    let (bias, mut c) = (vec![1.0; n], vec![C::from_f32(0.0); m * n]);
    let a = MatRef::from_row_major(&a, m, k).unwrap();
    for b in [MatRef::from_row_major(&b, k, n).unwrap(), MatRef::from_col_major(&b, k, n).unwrap()] {
        let packed = PackedB::new(b).unwrap();
        let epilogue = Epilogue::new().bias_per_column(&bias).activation(Activation::Gelu);
        let mut workspace = Workspace::new();
        let counts = [
            in_steady_state(|| {
                let c = MatMut::from_row_major(&mut c, m, n).unwrap();
                gemm(SERIAL, 1.0, a, b, 0.0, c).unwrap();
            }),
            in_steady_state(|| {
                let c = MatMut::from_row_major(&mut c, m, n).unwrap();
                Gemm::new(a, b).beta(0.5).workspace(&mut workspace).run(c).unwrap();
            }),
            in_steady_state(|| {
                let c = MatMut::from_row_major(&mut c, m, n).unwrap();
                gemm(SERIAL, 1.0, a, &packed, 0.0, c).unwrap();
            }),
            in_steady_state(|| {
                let c = MatMut::from_row_major(&mut c, m, n).unwrap();
                Gemm::new(a, b).epilogue(epilogue).run(c).unwrap();
            }),
        ];
        assert_eq!(counts, [0; 4], "{m} x {n} x {k}, {} {} {}", A::TYPE, B::TYPE, C::TYPE);
    }
}

#[test]
fn a_product_like_one_before_allocates_nothing() {
    assert!(proof::alloc::is_installed());
    for shape in [(8, 8, 8), (1, 300, 200), (300, 1, 200), (7, 300, 200), (64, 64, 64), (150, 200, 600)] {
        of_types::<f32, f32, f32>(shape);
        of_types::<f16, f16, f16>(shape);
        of_types::<f32, bf16, f32>(shape);
    }
    let (a, mut y) = (vec![1.0_f32; 64 * 64], vec![0.0_f32; 64]);
    let matrix = MatRef::from_row_major(&a, 64, 64).unwrap();
    let allocated = in_steady_state(|| {
        gemv(SERIAL, 1.0, matrix, &a[..64], 0.0, &mut y).unwrap();
    });
    assert_eq!(allocated, 0);
    let mut c = vec![0.0_f32; 4 * 256];
    let batch = Batch::from_row_major(&a, 4, 16, 16).unwrap();
    let bias = [0.5; 16];
    let (packed, mut workspace) =
        (PackedB::new(MatRef::from_row_major(&a, 16, 16).unwrap()).unwrap(), Workspace::new());
    let allocated = in_steady_state(|| {
        Gemm::new(batch, batch).run(BatchMut::from_row_major(&mut c, 4, 16, 16).unwrap()).unwrap();
        // Everything together.
        let epilogue = Epilogue::new().bias_per_row(&bias).residual(batch);
        let out = BatchMut::from_row_major(&mut c, 4, 16, 16).unwrap();
        Gemm::new(batch, &packed).beta(0.5).epilogue(epilogue).workspace(&mut workspace).run(out).unwrap();
    });
    assert_eq!(allocated, 0);
    // Last: the count is of the whole process, and a pool's threads may end at any time.
    with_threads_nothing_of_ours_is_allocated();
}

/// With threads, only rayon allocates, and that does not grow with the product.
fn with_threads_nothing_of_ours_is_allocated() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let two = Threads::new(2).unwrap();
    let mut bytes = Vec::new();
    for (m, n, k) in [(200, 300, 100), (400, 600, 500)] {
        let (a, b, mut c) = (vec![0.5_f32; m * k], vec![0.25_f32; k * n], vec![0.0_f32; m * n]);
        pool.install(|| {
            let mut workspace = Workspace::new();
            let mut product = || {
                let (a, b) = (MatRef::from_row_major(&a, m, k).unwrap(), MatRef::from_row_major(&b, k, n).unwrap());
                let c = MatMut::from_row_major(&mut c, m, n).unwrap();
                let ran = Gemm::new(a, b).threads(two).workspace(&mut workspace).run(c).unwrap();
                assert_eq!(ran.threads, 2);
            };
            (0..8).for_each(|_| product());
            let before = proof::alloc::total();
            (0..100).for_each(|_| product());
            bytes.push(proof::alloc::total().bytes - before.bytes);
        });
    }
    // A queue of rayon's grows now and then, by a few KiB; a workspace would be 100 times hundreds of them.
    assert!(bytes.iter().all(|&bytes| bytes <= 64 << 10), "{bytes:?}");
}
