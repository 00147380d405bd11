//! The same bits for any number of threads, any strides, any repetition.

use gemm::{Activation, ElementType, Epilogue, Gemm, MatMut, MatRef, Path, Shape, Threads, kernels};
use half::bf16;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::check::{Lay, Trial};

fn bits(trial: &Trial, kernel: &dyn gemm::Kernel) -> Vec<u32> {
    let (c, ran) = trial.run(kernel);
    assert!(ran.threads <= trial.case.threads.get(), "{ran:?}");
    let (m, n) = (trial.case.shape.m, trial.case.shape.n);
    (0..m * n).map(|at| c[trial.c0.lay.index(m, n, at / n, at % n)].to_bits()).collect()
}

fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

/// On pools with fewer threads than the product may use, and with more.
#[test]
fn threads_do_not_change_a_bit() {
    let pools = [1, 2, 4, 9].map(pool);
    for shape in [
        (200, 300, 400),
        (512, 512, 512),
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
            for (threads, pool) in [1, 2, 3, 4, 7, 16, 64].into_iter().zip(pools.iter().cycle()) {
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
    let pool = pool(4);
    for shape in [(1, 3000, 500), (7, 1400, 500), (3000, 40, 200), (170, 190, 600)] {
        for lay in [Lay::Rows(0), Lay::Cols(0)] {
            for element in [ElementType::F32, ElementType::Bf16] {
                for (path, kernel) in gemm::paths() {
                    let trial = Trial::new(shape, [Lay::Rows(0), lay, Lay::Rows(0)]).types(ElementType::F32, element);
                    let serial = bits(&trial, kernel.as_ref());
                    for threads in [2, 4, 16] {
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
    let pool = pool(4);
    for shape @ (m, n, k) in [(1, 2000, 700), (70, 300, 600), (300, 70, 600), (400, 500, 600)] {
        for kernel in kernels() {
            let trial = |threads| Trial::new(shape, [Lay::Rows(0); 3]).factors(0.5, 1.0).packed().threads(threads);
            let serial = bits(&trial(1), kernel.as_ref());
            for threads in [2, 4, 16] {
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
        for threads in [2, 4, 16] {
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

/// A direct product and one in blocks have the same bits, so the number of threads may decide between them.
#[test]
fn direct_and_packed_products_have_the_same_bits() {
    for (shape, element) in
        [((170, 190, 600), ElementType::F32), ((64, 64, 64), ElementType::F16), ((30, 300, 256), ElementType::F32)]
    {
        for lay in [Lay::Rows(0), Lay::Cols(0)] {
            let mut expected: Vec<(String, Vec<u32>)> = Vec::new();
            for (path, kernel) in gemm::paths() {
                if ![Path::Direct, Path::Packed, Path::PackedA].contains(&path) {
                    continue;
                }
                let trial = Trial::new(shape, [Lay::Rows(0), lay, Lay::Rows(0)])
                    .factors(0.5, 1.0)
                    .types(ElementType::F32, element);
                let bits = bits(&trial, kernel.as_ref());
                match expected.iter().find(|(name, _)| *name == kernel.name()) {
                    Some((_, expected)) => assert!(*expected == bits, "{} {path} {shape:?} {lay:?}", kernel.name()),
                    None => expected.push((kernel.name().to_owned(), bits)),
                }
            }
        }
    }
}

/// Products of many tasks at once, on a pool whose threads are fewer than those of any of them, inside a product's own
/// loop, and with a pool inside a pool: nobody waits for a thread that does not come.
#[test]
fn crowded_pools_finish() {
    use rayon::prelude::*;
    let trials: Vec<Trial> = [(120, 140, 600), (40, 900, 300), (500, 60, 300)]
        .into_iter()
        .flat_map(|shape| [3, 16].map(|threads| Trial::new(shape, [Lay::Rows(0); 3]).threads(threads)))
        .collect();
    let auto = kernels().pop().unwrap();
    let expected: Vec<_> = trials.iter().map(|trial| bits(trial, auto.as_ref())).collect();
    let round = || {
        (0..48).into_par_iter().for_each(|i| {
            let auto = kernels().pop().unwrap();
            let at = i % trials.len();
            assert!(bits(&trials[at], auto.as_ref()) == expected[at], "product {i}");
        });
    };
    for threads in [1, 2, 3, 8] {
        pool(threads).install(round);
    }
    // A thread of one pool that waits for another pool is not free to help.
    let inner = pool(2);
    pool(3).install(|| (0..6).into_par_iter().for_each(|_| inner.install(round)));
    // Callers outside of any pool, while the pool is busy.
    std::thread::scope(|scope| {
        for trial in 0..trials.len() {
            let (trials, expected) = (&trials, &expected);
            scope.spawn(move || assert!(bits(&trials[trial], kernels().pop().unwrap().as_ref()) == expected[trial]));
        }
        round();
    });
}

/// What `explain` says is what ran.
#[test]
fn the_plan_is_what_runs() {
    for (m, n, k) in [(512, 512, 512), (300, 700, 300), (1, 3000, 2000), (64, 64, 64)] {
        for threads in [1, 2, 5, 16].map(|threads| Threads::new(threads).unwrap()) {
            let (a, b, mut c) = (vec![0.5_f32; m * k], vec![0.25_f32; k * n], vec![0.0_f32; m * n]);
            let (a, b) = (MatRef::from_row_major(&a, m, k).unwrap(), MatRef::from_row_major(&b, k, n).unwrap());
            let ran = gemm::gemm(threads, 1.0, a, b, 0.0, MatMut::from_row_major(&mut c, m, n).unwrap()).unwrap();
            let shape = Shape { m, n, k };
            assert_eq!(ran, gemm::explain(shape, threads));
            if let Some(split) = gemm::split(shape, threads) {
                assert_eq!((split.threads(), split.grid()), (ran.threads, ran.grid));
                let figures = split.figures();
                assert!(figures.packed_bytes >= ((m + n) * k * 4) as u64 && figures.packed_again_bytes == 0);
            }
        }
    }
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
