//! The same bits for any number of threads, any strides, any repetition.

use gemm::{Activation, ElementType, Epilogue, Gemm, MatMut, MatRef, Threads, kernels};
use half::bf16;
use rayon::ThreadPoolBuilder;

use crate::check::{Lay, Trial};

fn bits(trial: &Trial, kernel: &dyn gemm::Kernel) -> Vec<u32> {
    let (c, ran) = trial.run(kernel);
    assert!(ran.threads <= trial.case.threads.get(), "{ran:?}");
    let (m, n) = (trial.case.shape.m, trial.case.shape.n);
    (0..m * n).map(|at| c[trial.c0.lay.index(m, n, at / n, at % n)].to_bits()).collect()
}

#[test]
fn threads_do_not_change_a_bit() {
    let pool = ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    for shape in [
        (200, 300, 400),
        (8, 1536, 384),
        (1, 2000, 700),
        (3000, 30, 300),
        (1000, 70, 300),
        (97, 101, 257),
        (64, 64, 64),
    ] {
        for kernel in kernels() {
            let mut trial = Trial::new(shape, [Lay::Rows(0); 3]).factors(0.5, 1.0);
            // Many zeros: a kernel that skips them, or only sometimes, would show.
            trial.a.elements.iter_mut().step_by(3).for_each(|a| *a = 0.0);
            let serial = bits(&trial, kernel.as_ref());
            for threads in [1, 2, 3, 4, 7, 64] {
                trial = trial.threads(threads);
                let parallel = pool.install(|| bits(&trial, kernel.as_ref()));
                assert!(parallel == serial, "{} {shape:?} with {threads} threads", kernel.name());
            }
            assert!(bits(&trial, kernel.as_ref()) == serial, "{} {shape:?} in the global pool", kernel.name());
        }
    }
}

#[test]
fn strides_do_not_change_a_bit() {
    for shape in [(40, 70, 300), (9, 130, 33), (130, 9, 33)] {
        for kernel in kernels() {
            let plain = bits(&Trial::new(shape, [Lay::Rows(0); 3]).factors(0.5, -1.0), kernel.as_ref());
            for lays in
                [[Lay::Rows(3), Lay::Cols(0), Lay::Rows(0)], [Lay::Cols(1); 3], [Lay::Apart; 3], [Lay::RowsUp; 3]]
            {
                let other = bits(&Trial::new(shape, lays).factors(0.5, -1.0), kernel.as_ref());
                assert!(other == plain, "{} {shape:?} {lays:?}", kernel.name());
            }
        }
    }
}

/// Including paths that would not be chosen for these shapes.
#[test]
fn threads_do_not_change_a_bit_on_any_path() {
    let pool = ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    for shape in [(1, 3000, 500), (7, 1400, 500), (3000, 40, 200)] {
        for lay in [Lay::Rows(0), Lay::Cols(0)] {
            for element in [ElementType::F32, ElementType::Bf16] {
                for (path, kernel) in gemm::paths() {
                    let trial = Trial::new(shape, [Lay::Rows(0), lay, Lay::Rows(0)]).types(ElementType::F32, element);
                    let serial = bits(&trial, kernel.as_ref());
                    for threads in [2, 4] {
                        let trial =
                            Trial::new(shape, [Lay::Rows(0), lay, Lay::Rows(0)]).types(ElementType::F32, element);
                        let trial = trial.threads(threads);
                        let parallel = pool.install(|| bits(&trial, kernel.as_ref()));
                        assert!(parallel == serial, "{} {path} {shape:?} with {threads} threads", kernel.name());
                    }
                }
            }
        }
    }
}

/// Weights that were packed before, and a C of 16 bits, whose sums are kept in floats between two blocks of k.
#[test]
fn threads_do_not_change_a_bit_of_packed_weights_and_halves() {
    let pool = ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    for shape @ (m, n, k) in [(1, 2000, 700), (70, 300, 600), (300, 70, 600)] {
        for kernel in kernels() {
            let trial = |threads| Trial::new(shape, [Lay::Rows(0); 3]).factors(0.5, 1.0).packed().threads(threads);
            let serial = bits(&trial(1), kernel.as_ref());
            for threads in [2, 4] {
                let parallel = pool.install(|| bits(&trial(threads), kernel.as_ref()));
                assert!(parallel == serial, "{} {shape:?} with {threads} threads", kernel.name());
            }
        }
        let (a, b) = (vec![bf16::from_f32(0.37); m * k], vec![bf16::from_f32(-0.11); k * n]);
        let (bias, c0) = (vec![0.3_f32; n], vec![bf16::from_f32(1.7); m * n]);
        let epilogue = Epilogue::new().bias_per_column(&bias).activation(Activation::Gelu);
        let product = |threads: usize| {
            let mut c = c0.clone();
            let a = MatRef::from_row_major(&a, m, k).unwrap();
            let b = MatRef::from_row_major(&b, k, n).unwrap();
            let product =
                Gemm::new(a, b).alpha(0.5).beta(1.0).epilogue(epilogue).threads(Threads::new(threads).unwrap());
            product.run(MatMut::from_row_major(&mut c, m, n).unwrap()).unwrap();
            c
        };
        let serial = product(1);
        for threads in [2, 4] {
            let parallel = pool.install(|| product(threads));
            assert!(parallel == serial, "{shape:?} of bf16 with {threads} threads");
        }
    }
}

/// Products inside a parallel loop: a thread that waits for its parts may start another product meanwhile.
#[test]
fn products_nest_in_the_callers_loops() {
    use rayon::prelude::*;
    let trial = Trial::new((120, 140, 160), [Lay::Rows(0); 3]).threads(4);
    let auto = kernels().pop().unwrap();
    let expected = bits(&trial, auto.as_ref());
    let all: Vec<_> = (0..16).into_par_iter().map(|_| bits(&trial, kernels().pop().unwrap().as_ref())).collect();
    assert!(all.into_iter().all(|bits| bits == expected));
}

#[test]
fn large_products_use_the_threads_they_are_given() {
    let trial = Trial::new((256, 256, 256), [Lay::Rows(0); 3]).threads(2);
    for kernel in kernels().iter().filter(|kernel| kernel.name() != "reference") {
        let (_, ran) = trial.run(kernel.as_ref());
        assert_eq!(ran.threads, 2, "{}", kernel.name());
        assert_eq!(ran.kernel == kernel.name(), kernel.name() != "auto", "{ran:?}");
    }
}
