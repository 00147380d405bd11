//! Integer weights: every kernel against exact sums of codes, which this file forms itself.

use gemm::{Case, Codes, Gemm, Int8Weights, LayoutError, MatMut, MatRef, Operands, Shape, Threads, kernels};
use half::{bf16, f16};
use proof::{guarded::Guarded, input::normal};
use rayon::ThreadPoolBuilder;

fn case(shape: Shape, threads: usize) -> Case {
    Case { codes: Some(Codes::Int8), threads: Threads::new(threads).unwrap(), ..Case::from(shape) }
}

/// The codes of numbers with one scale, and the scale.
fn codes(x: &[f32]) -> (Vec<i8>, f32) {
    let largest = x.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    if largest == 0.0 {
        return (vec![0; x.len()], 0.0);
    }
    (x.iter().map(|x| (127.0 / largest * x).round_ties_even() as i8).collect(), largest / 127.0)
}

/// A W^T for rows of k numbers, of which each has a scale.
fn expected(a: &[f32], w: &[f32], k: usize) -> Vec<f32> {
    let rows = |x: &[f32]| x.chunks(k).map(codes).collect::<Vec<_>>();
    let (a, w) = (rows(a), rows(w));
    let sum = |(a, _): &(Vec<i8>, f32), (w, _): &(Vec<i8>, f32)| -> i64 {
        a.iter().zip(w).map(|(&a, &w)| i64::from(a) * i64::from(w)).sum()
    };
    a.iter().flat_map(|a| w.iter().map(move |w| sum(a, w) as f32 * (a.1 * w.1))).collect()
}

fn run(kernel: &dyn gemm::Kernel, a: &[f32], weights: &Int8Weights, m: usize, threads: usize) -> Vec<f32> {
    let (n, k) = (weights.cols(), weights.rows());
    let mut c = Guarded::new(m * n);
    let operands =
        Operands::new(MatRef::from_row_major(a, m, k).unwrap(), weights, MatMut::from_row_major(&mut c, m, n).unwrap());
    let mut loaded = kernel.load(&case(Shape { m, n, k }, threads), operands).unwrap();
    loaded.run();
    assert!(loaded.ran().path.starts_with("int8"), "{}", loaded.ran().path);
    drop(loaded);
    c.verify().unwrap();
    c.to_vec()
}

/// Sums are exact, so all kernels have the same bits, and they are those of the definition.
#[test]
fn every_kernel_has_the_bits_of_the_definition() {
    let kernels = kernels();
    let kernels: Vec<_> = kernels.iter().skip(1).filter(|k| k.supports(&case(Shape { m: 1, n: 1, k: 1 }, 1))).collect();
    for k in [1, 3, 4, 63, 64, 65, 200, 1024] {
        for n in [1, 15, 16, 17, 32, 33, 70] {
            let w = normal(2, n * k);
            let weights = Int8Weights::round(MatRef::from_col_major(&w, k, n).unwrap()).unwrap();
            for m in [1, 2, 3, 5, 11, 12, 13, 31, 33, 40] {
                let a = normal(1, m * k);
                let right = expected(&a, &w, k);
                for kernel in &kernels {
                    let c = run(kernel.as_ref(), &a, &weights, m, 1);
                    assert_eq!(c, right, "{} m{m} n{n} k{k}", kernel.name());
                }
            }
        }
    }
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let (m, n, k) = (70, 257, 520);
    let (a, w) = (normal(1, m * k), normal(2, n * k));
    let weights = Int8Weights::round(MatRef::from_col_major(&w, k, n).unwrap()).unwrap();
    let right = expected(&a, &w, k);
    let pool = ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    for kernel in kernels().iter().skip(1).filter(|kernel| kernel.supports(&case(Shape { m, n, k }, 1))) {
        for threads in [1, 2, 3, 4, 7, 64] {
            let c = pool.install(|| run(kernel.as_ref(), &a, &weights, m, threads));
            assert_eq!(c, right, "{} {threads}", kernel.name());
        }
    }
}

/// Codes at their limits, in as long a sum as is allowed. One product more of -128 and -128 would be 2^31.
#[test]
fn sums_are_exact_at_their_limits() {
    let k = Int8Weights::MAX_K;
    for (weight, number) in [(127, -128), (-128, 127), (-127, -127), (-128, -128), (127, 127)] {
        let weights = Int8Weights::from_codes(&vec![weight; 2 * k], &[1.0; 2], 2, k).unwrap();
        for m in [1, 9] {
            let mut sums = vec![0; 2 * m];
            weights.multiply_codes(&vec![number; m * k], m, &mut sums, Threads::SERIAL).unwrap();
            let product = i32::from(weight) * i32::from(number);
            assert!(sums.iter().all(|&sum| sum == product * k as i32), "{weight} {number}: {sums:?}");
        }
    }
    assert_eq!(Int8Weights::from_codes(&[], &[], 0, k + 1).unwrap_err(), LayoutError::TooLong { got: k + 1, most: k });
    // One product more does not fit.
    assert_eq!((i32::from(i8::MIN) * i32::from(i8::MIN)).checked_mul(k as i32 + 1), None);
}

#[test]
fn codes_of_any_value_are_multiplied() {
    let byte = |seed: usize, i: usize| ((i * 37 + seed * 101 + i / 97) as u8).cast_signed();
    let pool = ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    for (m, n, k) in [(1, 5, 7), (13, 33, 130), (40, 70, 256), (33, 200, 3)] {
        let a: Vec<i8> = (0..m * k).map(|i| byte(1, i)).collect();
        let w: Vec<i8> = (0..n * k).map(|i| byte(2, i)).collect();
        let weights = Int8Weights::from_codes(&w, &vec![1.0; n], n, k).unwrap();
        assert_eq!(weights.code(k - 1, n - 1), Some(w[n * k - 1]));
        for threads in [1, 2, 5] {
            let mut sums = vec![i32::MIN; m * n];
            pool.install(|| weights.multiply_codes(&a, m, &mut sums, Threads::new(threads).unwrap())).unwrap();
            for (at, &sum) in sums.iter().enumerate() {
                let (a, w) = (&a[at / n * k..][..k], &w[at % n * k..][..k]);
                let right: i32 = a.iter().zip(w).map(|(&a, &w)| i32::from(a) * i32::from(w)).sum();
                assert_eq!(sum, right, "{m} {n} {k} at {at}, {threads} threads");
            }
        }
    }
}

#[test]
fn a_row_or_column_that_is_not_finite_gives_nan_and_no_other() {
    let (m, n, k) = (11, 20, 70);
    let (mut a, mut w) = (normal(1, m * k), normal(2, n * k));
    a[3 * k + 5] = f32::NAN;
    a[7 * k] = f32::INFINITY;
    a[8 * k..9 * k].fill(0.0);
    w[6 * k + 1] = f32::NEG_INFINITY;
    let weights = Int8Weights::round(MatRef::from_col_major(&w, k, n).unwrap()).unwrap();
    for kernel in kernels().iter().filter(|kernel| kernel.supports(&case(Shape { m, n, k }, 1))) {
        let mut c = vec![0.0_f32; m * n];
        let out = MatMut::from_row_major(&mut c, m, n).unwrap();
        let operands = Operands::new(MatRef::from_row_major(&a, m, k).unwrap(), &weights, out);
        kernel.load(&case(Shape { m, n, k }, 1), operands).unwrap().run();
        for (at, x) in c.iter().enumerate() {
            let (i, j) = (at / n, at % n);
            assert_eq!(x.is_nan(), i == 3 || i == 7 || j == 6, "{} ({i}, {j})", kernel.name());
            assert!(i != 8 || j == 6 || *x == 0.0);
        }
    }
}

/// Any type and order of A and C, an epilogue and factors: against the same product of floats.
#[test]
fn everything_around_the_product_works() {
    let (m, n, k) = (14, 35, 96);
    let (a, w) = (normal(1, m * k), normal(2, n * k));
    let weights = Int8Weights::round(MatRef::from_col_major(&w, k, n).unwrap()).unwrap();
    let (bias, residual) = (normal(4, n), normal(5, m * n));
    let epilogue = || {
        gemm::Epilogue::new()
            .bias_per_column(&bias)
            .activation(gemm::Activation::Tanh)
            .residual(MatRef::from_row_major(&residual, m, n).unwrap())
    };
    let rounded = |x: &[f32]| -> Vec<f32> {
        x.chunks(k)
            .flat_map(|x| {
                let (codes, scale) = codes(x);
                codes.into_iter().map(move |code| f32::from(code) * scale)
            })
            .collect()
    };
    macro_rules! check {
        ($A:ty, $C:ty, $tolerance:expr) => {{
            let a: Vec<$A> = a.iter().map(|&x| <$A as gemm::Element>::from_f32(x)).collect();
            let as_floats: Vec<f32> = a.iter().map(|&x| gemm::Element::to_f32(x)).collect();
            let (exact_a, exact_w) = (rounded(&as_floats), rounded(&w));
            let c0: Vec<$C> = normal(3, m * n).iter().map(|&x| <$C as gemm::Element>::from_f32(x)).collect();
            let (mut c, mut right) = (c0.clone(), c0.iter().map(|&x| gemm::Element::to_f32(x)).collect::<Vec<f32>>());
            // Column by column.
            Gemm::new(MatRef::from_row_major(&a, m, k).unwrap(), &weights)
                .alpha(0.5)
                .beta(-1.5)
                .epilogue(epilogue())
                .run(MatMut::from_col_major(&mut c, m, n).unwrap())
                .unwrap();
            Gemm::new(MatRef::from_row_major(&exact_a, m, k).unwrap(), MatRef::from_col_major(&exact_w, k, n).unwrap())
                .alpha(0.5)
                .beta(-1.5)
                .epilogue(epilogue())
                .run(MatMut::from_col_major(&mut right, m, n).unwrap())
                .unwrap();
            for (c, right) in c.iter().zip(right) {
                let c = gemm::Element::to_f32(*c);
                assert!((c - right).abs() <= $tolerance * (1.0 + right.abs()), "{c} {right}");
            }
        }};
    }
    check!(f32, f32, 1e-5);
    check!(f16, f32, 1e-5);
    check!(bf16, bf16, 1e-2);
    check!(f32, f16, 1e-3);
}

#[test]
fn empty_products_and_wrong_lengths_are_answered() {
    let weights = Int8Weights::from_codes(&[1, 2, 3, 4, 5, 6], &[1.0, 2.0], 2, 3).unwrap();
    let mut sums = [7; 4];
    assert!(weights.multiply_codes(&[1; 6], 2, &mut sums[..3], Threads::SERIAL).is_err());
    assert!(weights.multiply_codes(&[1; 5], 2, &mut sums, Threads::SERIAL).is_err());
    weights.multiply_codes(&[], 0, &mut [], Threads::SERIAL).unwrap();
    assert_eq!(Int8Weights::from_codes(&[1], &[1.0], 2, 3).unwrap_err(), LayoutError::OutOfBounds { need: 6, len: 1 });
    assert_eq!(
        Int8Weights::from_codes(&[1; 6], &[1.0], 2, 3).unwrap_err(),
        LayoutError::OutOfBounds { need: 2, len: 1 }
    );
    let no_depth = Int8Weights::from_codes(&[], &[1.0; 2], 2, 0).unwrap();
    no_depth.multiply_codes(&[], 2, &mut sums, Threads::SERIAL).unwrap();
    assert_eq!(sums, [0; 4]);
    let mut c = [1.0_f32; 2];
    Gemm::new(MatRef::from_row_major(&[0.0_f32; 0], 1, 0).unwrap(), &no_depth)
        .beta(2.0)
        .run(MatMut::from_row_major(&mut c, 1, 2).unwrap())
        .unwrap();
    assert_eq!(c, [2.0; 2]);
    let huge = Int8Weights::from_codes(&[], &[], 0, 5).unwrap();
    assert_eq!((huge.rows(), huge.cols(), huge.code(0, 0)), (5, 0, None));
}
