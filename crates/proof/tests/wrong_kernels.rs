//! Wrong kernels of every kind that we have found or expect. Each must fail the check that benches and tests use.

use proof::compare::{self, Mismatch, Tolerance};
use proof::guarded::Guarded;
use proof::input::{hash, normal};
use proof::product::{Matrix, Product, Transposed, View, row_major};
use proptest::prelude::*;

/// One case small enough for the full comparison, two for the cheap proof (one with odd sizes), one with a single
/// column.
const SHAPES: [(usize, usize, usize); 4] = [(7, 5, 33), (256, 256, 256), (193, 301, 211), (64, 1, 4096)];

struct Case {
    m: usize,
    n: usize,
    k: usize,
    ldc: usize,
    a: Vec<f32>,
    b: Vec<f32>,
}

impl Case {
    fn new((m, n, k): (usize, usize, usize)) -> Self {
        Self { m, n, k, ldc: n + 3, a: normal(1, m * k), b: normal(2, k * n) }
    }

    /// Calls the check like a bench, on the guarded C that `kernel` wrote.
    fn prove(&self, kernel: impl FnOnce(&Self, &mut Guarded<f32>)) -> Result<compare::Checked, Mismatch> {
        let mut c = Guarded::new(self.m * self.ldc);
        kernel(self, &mut c);
        let (a, b) = (row_major(&self.a, self.m, self.k, self.k), row_major(&self.b, self.k, self.n, self.n));
        let tolerance = Tolerance::gemm_f32(self.k);
        let product = Product { alpha: 1.0, a: &a, b: &b, beta: 0.0, c0: None, tolerance };
        product.check_guarded(&c, self.ldc, 99)
    }

    /// C = AB with `a` and `b` read through functions: the correct kernel, and the base of the wrong ones.
    fn multiply(&self, c: &mut [f32], a: impl Fn(usize, usize) -> f32, b: impl Fn(usize, usize) -> f32) {
        for i in 0..self.m {
            let row = &mut c[i * self.ldc..][..self.n];
            row.fill(0.0);
            for p in 0..self.k {
                let a = a(i, p);
                row.iter_mut().enumerate().for_each(|(j, c)| *c += a * b(p, j));
            }
        }
    }

    fn right(&self, c: &mut [f32]) {
        self.multiply(c, |i, p| self.a[i * self.k + p], |p, j| self.b[p * self.n + j]);
    }

    /// γ(|A||B|) of one element.
    fn tolerance_at(&self, i: usize, j: usize) -> f32 {
        let terms = (0..self.k).map(|p| f64::from(self.a[i * self.k + p]) * f64::from(self.b[p * self.n + j]));
        Tolerance::gemm_f32(self.k).element(terms.map(f64::abs).sum()) as f32
    }
}

fn for_each_shape(test: impl Fn(Case)) {
    SHAPES.map(Case::new).into_iter().for_each(test);
}

#[test]
fn the_correct_kernel_passes() {
    for_each_shape(|case| {
        let checked = case.prove(|case, c| case.right(c)).unwrap();
        assert!(checked.error > 0.0 && checked.error < 0.5, "{checked:?}");
        assert_eq!(checked.tolerance, 1.0);
        assert!(checked.checked as usize >= (case.m * case.n).min(512));
    });
}

#[test]
fn swapped_outputs_are_caught() {
    for_each_shape(|case| {
        let middle = case.m / 2 * case.ldc;
        let pairs = [
            (case.n > 4).then_some((middle + 1, middle + 3)), // within a row
            (case.n > 4).then_some((middle + 2, middle + case.ldc + 2)), // within a column
            Some((middle, middle + case.ldc)),
        ];
        for (from, to) in pairs.into_iter().flatten() {
            let wrong = |case: &Case, c: &mut Guarded<f32>| {
                case.right(c);
                c.swap(from, to);
            };
            assert!(matches!(case.prove(wrong), Err(Mismatch::Value { .. })), "{from} and {to}");
        }
    });
}

#[test]
fn one_nan_is_caught() {
    for_each_shape(|case| {
        let at = (case.m / 2) * case.ldc + case.n / 2;
        let left = case.prove(|case, c| {
            case.right(c);
            c[at] = f32::from_bits(0x7fc0_dead); // as if it had never been written
        });
        assert_eq!(left, Err(Mismatch::Poison { index: at as u64 }));
        let computed = case.prove(|case, c| {
            case.right(c);
            c[at] = f32::NAN;
        });
        let flat = (case.m / 2 * case.n + case.n / 2) as u64;
        assert!(matches!(computed, Err(Mismatch::Value { index, .. }) if index == flat), "{computed:?}");
    });
}

#[test]
fn an_infinity_is_caught() {
    for_each_shape(|case| {
        let outcome = case.prove(|case, c| {
            case.right(c);
            c[case.ldc] = f32::INFINITY;
        });
        assert!(matches!(outcome, Err(Mismatch::Value { .. })), "{outcome:?}");
    });
}

/// Tests an element at the edge, where every element is compared in any size, and any element of a fully compared case.
#[test]
fn twice_the_tolerance_is_caught() {
    for_each_shape(|case| {
        let (last_row, last_column) = (case.m - 1, case.n - 1);
        let mut places = vec![(0, 0), (last_row, last_column), (last_row, case.n / 2), (case.m / 2, last_column)];
        if case.m * case.n * case.k < 1 << 20 {
            places.push((case.m / 2, case.n / 2));
        }
        for (i, j) in places {
            let outcome = case.prove(|case, c| {
                case.right(c);
                c[i * case.ldc + j] += 2.0 * case.tolerance_at(i, j);
            });
            let Err(Mismatch::Value { index, error, tolerance, .. }) = outcome else { panic!("{i}, {j}: {outcome:?}") };
            assert_eq!(index, (i * case.n + j) as u64);
            assert!(error > tolerance);
        }
    });
}

/// Inside a large case, the cheap proof guarantees less: it detects an element that is wrong by its own size.
#[test]
fn freivalds_catches_one_wrong_element_anywhere() {
    let case = Case::new((256, 256, 256));
    for (i, j) in [(1, 1), (17, 200), (100, 254), (254, 3), (128, 128)] {
        let outcome = case.prove(|case, c| {
            case.right(c);
            let at = i * case.ldc + j;
            c[at] += c[at].abs().max(1.0);
        });
        let Err(Mismatch::Value { method, index, .. }) = outcome else { panic!("{i}, {j}: {outcome:?}") };
        assert_eq!(index, (i * case.n + j) as u64, "{method}");
        assert!(method.starts_with("freivalds"), "{method}");
    }
}

#[test]
fn transposed_reads_are_caught() {
    let case = Case::new((256, 256, 256)); // square: no shape gives it away
    let k = case.k;
    let read_a = case.prove(|case, c| case.multiply(c, |i, p| case.a[p * k + i], |p, j| case.b[p * k + j]));
    let read_b = case.prove(|case, c| case.multiply(c, |i, p| case.a[i * k + p], |p, j| case.b[j * k + p]));
    let written = case.prove(|case, c| case.multiply(c, |i, p| case.b[p * k + i], |p, j| case.a[j * k + p]));
    for outcome in [read_a, read_b, written] {
        assert!(matches!(outcome, Err(Mismatch::Value { .. })), "{outcome:?}");
    }
}

#[test]
fn a_dropped_tail_of_k_is_caught() {
    for_each_shape(|case| {
        let last = case.k - 1;
        let a = |i: usize, p: usize| if p == last { 0.0 } else { case.a[i * case.k + p] };
        let outcome = case.prove(|case, c| case.multiply(c, a, |p, j| case.b[p * case.n + j]));
        assert!(matches!(outcome, Err(Mismatch::Value { .. })), "{outcome:?}");
    });
}

#[test]
fn an_empty_output_of_zeros_is_caught() {
    for_each_shape(|case| {
        let outcome = case.prove(|_, c| c.fill(0.0));
        assert!(outcome.is_err());
    });
}

#[test]
fn writes_outside_the_output_are_caught() {
    for_each_shape(|case| {
        for offset in [-1_isize, -16, 0, 15] {
            let outcome = case.prove(|case, c| {
                case.right(c);
                let len = c.len();
                let (memory, start) = c.with_guards();
                let edge = if offset < 0 { start } else { start + len };
                memory[edge.checked_add_signed(offset).unwrap()] = 0.5;
            });
            let Err(Mismatch::Guard { edge, offset: at, bits }) = outcome else { panic!("{outcome:?}") };
            assert_eq!((edge, at), (if offset < 0 { "start" } else { "end" }, offset));
            assert_eq!(bits, u64::from(0.5_f32.to_bits()));
        }
        let gap = case.n; // first element behind row 0
        let outcome = case.prove(|case, c| {
            case.right(c);
            c[gap] = 0.0;
        });
        assert_eq!(outcome, Err(Mismatch::Gap { index: gap as u64 }));
    });
}

/// β = 0 must not read C: 0 · NaN is NaN, and the poison is NaN.
#[test]
fn reading_c_with_beta_zero_is_caught() {
    for_each_shape(|case| {
        let outcome = case.prove(|case, c| {
            let before = c.to_vec();
            case.right(c);
            c.iter_mut().zip(before).for_each(|(c, old)| *c += 0.0 * old);
        });
        assert!(outcome.is_err());
    });
}

#[test]
fn alpha_and_beta_count() {
    for_each_shape(|case| {
        let (alpha, beta) = (-0.75_f32, 0.5_f32);
        let c0 = normal(3, case.m * case.n);
        let (a, b) = (row_major(&case.a, case.m, case.k, case.k), row_major(&case.b, case.k, case.n, case.n));
        let before = row_major(&c0, case.m, case.n, case.n);
        let tolerance = Tolerance::gemm_f32(case.k);
        let product = Product { alpha: alpha.into(), a: &a, b: &b, beta: beta.into(), c0: Some(&before), tolerance };
        let run = |alpha: f32, beta: f32| {
            let mut c = Guarded::new(case.m * case.n);
            let compact = Case { ldc: case.n, a: case.a.clone(), b: case.b.clone(), ..case };
            compact.right(&mut c);
            c.iter_mut().zip(&c0).for_each(|(c, old)| *c = alpha * *c + beta * old);
            product.check_guarded(&c, case.n, 5)
        };
        run(alpha, beta).unwrap();
        for (wrong_alpha, wrong_beta) in
            [(alpha, 0.0), (alpha, 1.0), (alpha, -beta), (1.0, beta), (-alpha, beta), (0.0, beta)]
        {
            assert!(run(wrong_alpha, wrong_beta).is_err(), "{wrong_alpha} {wrong_beta}");
        }
    });
}

/// Every layout of the matrices gives the same verdict, for small and for large cases.
#[test]
fn every_layout_gives_the_same_verdict() {
    for shape in [(7, 5, 33), (193, 301, 211)] {
        let case = Case::new(shape);
        let Case { m, n, k, ldc, .. } = case;
        let mut c = vec![0.0; m * ldc];
        case.right(&mut c);
        let mut wrong = c.clone();
        wrong[m / 2 * ldc + n / 2] += 50.0;
        let by_rows = |at: &dyn Fn(usize, usize) -> f32, rows, columns| -> Vec<f32> {
            (0..rows * columns).map(|i| at(i / columns, i % columns)).collect()
        };
        // Copies that are stored transposed.
        let a_t = by_rows(&|p, i| case.a[i * k + p], k, m);
        let b_t = by_rows(&|j, p| case.b[p * n + j], n, k);
        let (a, a_t) = (row_major(&case.a, m, k, k), row_major(&a_t, k, m, m));
        let (b, b_t) = (row_major(&case.b, k, n, n), row_major(&b_t, n, k, k));
        let mut shares = Vec::new();
        for a in [&a as &dyn Matrix, &Transposed(&a_t)] {
            for b in [&b as &dyn Matrix, &Transposed(&b_t)] {
                let product = Product { alpha: 1.0, a, b, beta: 0.0, c0: None, tolerance: Tolerance::gemm_f32(k) };
                let as_it_lies = row_major(&c, m, n, ldc);
                let by_columns = View::new(m, n, |i, j| f64::from(c[i * ldc + j])).column_major();
                for c in [&as_it_lies as &dyn Matrix, &by_columns] {
                    shares.push(product.check(c, 3).unwrap().error);
                }
                let outcome = product.check(&row_major(&wrong, m, n, ldc), 3);
                let at = (m / 2 * n + n / 2) as u64;
                assert!(matches!(outcome, Err(Mismatch::Value { index, .. }) if index == at), "{outcome:?}");
            }
        }
        assert!(shares.iter().all(|share| (share / shares[0] - 1.0).abs() < 1e-6), "{shares:?}");
    }
}

/// The statistical bound of the cheap proof must hold in the worst case of rounding: long sums of one sign, added one
/// by one.
#[test]
fn long_sums_of_one_sign_pass() {
    let mut case = Case::new((48, 64, 8192));
    case.a.iter_mut().for_each(|x| *x = x.abs());
    case.b.iter_mut().for_each(|x| *x = x.abs());
    let checked = case.prove(|case, c| case.right(c)).unwrap();
    assert!(checked.method.starts_with("freivalds") && checked.error < 0.5, "{checked:?}");
}

#[test]
fn wrong_shapes_are_named() {
    let zeros = |rows, columns| View::new(rows, columns, |_, _| 0.0);
    let check = |a: (usize, usize), b: (usize, usize), c: (usize, usize), beta: f64| {
        let (a, b, c) = (zeros(a.0, a.1), zeros(b.0, b.1), zeros(c.0, c.1));
        let tolerance = Tolerance::gemm_f32(3);
        Product { alpha: 1.0, a: &a, b: &b, beta, c0: None, tolerance }.check(&c, 0).unwrap_err().to_string()
    };
    assert_eq!(check((2, 3), (4, 5), (2, 5), 0.0), "rows of B: 4 where 3 are needed");
    assert_eq!(check((2, 3), (3, 5), (2, 6), 0.0), "columns of B: 5 where 6 are needed");
    assert_eq!(check((1, 3), (3, 5), (2, 5), 0.0), "rows of A: 1 where 2 are needed");
    assert_eq!(check((2, 3), (3, 5), (2, 5), 1.0), "rows of C before: 0 where 2 are needed");
    let case = Case::new((4, 4, 4));
    let (a, b) = (row_major(&case.a, 4, 4, 4), row_major(&case.b, 4, 4, 4));
    let product = Product { alpha: 1.0, a: &a, b: &b, beta: 0.0, c0: None, tolerance: Tolerance::gemm_f32(4) };
    let outcome = product.check_guarded(&Guarded::new(15), 4, 0);
    assert_eq!(outcome, Err(Mismatch::Shape { what: "elements of the output buffer", got: 15, need: 16 }));
}

#[test]
fn many_small_errors_are_caught_by_the_norm_test() {
    let case = Case::new((64, 1, 4096)); // compared in full
    let outcome = case.prove(|case, c| {
        case.right(c);
        (0..case.m).for_each(|i| c[i * case.ldc] += 0.5 * case.tolerance_at(i, 0));
    });
    assert!(matches!(&outcome, Err(Mismatch::Total { method, .. }) if method == "norm"), "{outcome:?}");
}

#[test]
fn the_norm_test_catches_what_single_bounds_miss() {
    // Every element is wrong by half its own bound, so no element fails but the norm does.
    let (k, len) = (1000, 64);
    let tolerance = Tolerance::gemm_f32(k);
    let expected = vec![1.0; len];
    let magnitude = k as f64;
    let actual: Vec<f32> = expected.iter().map(|x| (x + 0.5 * tolerance.element(magnitude)) as f32).collect();
    compare::check(&actual, &expected, |_| tolerance.element(magnitude)).unwrap();
    // A of 8 × k and B of k × 8, all ones.
    let norm = (8.0 * k as f64).sqrt();
    let scale = tolerance.norm_scale(1.0, norm, norm, 0.0, 0.0);
    let outcome = compare::check_norm(&actual, &expected, scale, &tolerance);
    assert!(matches!(outcome, Err(Mismatch::Total { .. })), "{outcome:?}");
    let right: Vec<f32> = expected.iter().map(|&x| x as f32).collect();
    compare::check_norm(&right, &expected, scale, &tolerance).unwrap();
}

#[test]
fn element_wise_check() {
    let expected = [1.0, -2.0, 0.0];
    let check = |actual: &[f32]| compare::check(actual, &expected, |_| 0.125);
    let checked = check(&[1.0625, -2.0, 0.0]).unwrap();
    assert_eq!((checked.error, checked.tolerance, checked.worst_index, checked.checked), (0.0625, 0.125, Some(0), 3));
    check(&[1.125, -2.0, 0.0]).unwrap(); // exactly at the tolerance
    let message = check(&[1.0, -2.0, 0.25]).unwrap_err().to_string();
    assert_eq!(message, "element-wise: element 2: got 2.5e-1, expected 0e0, error 2.5e-1 is not within 1.25e-1");
    assert!(matches!(check(&[9.0, f32::NAN, 0.0]), Err(Mismatch::Value { index: 1, .. })));
    assert!(matches!(check(&[1.0, -2.0]), Err(Mismatch::Shape { .. })));
    assert!(compare::check(&[1.0], &[f64::NAN], |_| 1.0).is_err());
    assert!(compare::check(&[1.0], &[2.0], |_| f64::NAN).is_err());
    assert!(compare::check(&[1.0], &[1.0], |_| f64::NAN).is_err());
    assert_eq!(compare::check(&[], &[], |_| 0.0).unwrap().checked, 0);
    assert!(compare::check(&[0.0], &[0.0], |_| 0.0).is_ok());
}

#[test]
fn rows_carry_the_figures_of_the_check() {
    let case = Case::new(SHAPES[0]);
    let input_hash = || hash(&[&case.a, &case.b]);
    let passed = compare::proof(case.prove(|case, c| case.right(c)), input_hash());
    assert!(passed.failure.is_none() && passed.error.unwrap() < 1.0 && passed.checked == 35);
    let failed = compare::proof(case.prove(|case, c| case.multiply(c, |_, _| f32::NAN, |_, _| 1.0)), input_hash());
    assert_eq!(failed.error, None); // NaN is not a number to store
    assert!(failed.failure.unwrap().contains("element 0: got NaN"));
    assert!(compare::same_hash("ab", "ab", input_hash()).failure.is_none());
    let failed = compare::same_hash("ab", "cd", input_hash());
    assert_eq!(failed.failure.unwrap(), "output hash ab, expected cd");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Correct kernels pass on any shape, zeros included, in any order of summation.
    #[test]
    fn correct_kernels_pass_on_any_shape(m in 0_usize..20, n in 0_usize..20, k in 0_usize..40, seed in any::<u64>(), gap in 0_usize..3, backward: bool) {
        let case = Case { m, n, k, ldc: n + gap, a: normal(seed, m * k), b: normal(!seed, k * n) };
        let step = |p: usize| if backward { k - 1 - p } else { p };
        let outcome = case.prove(|case, c| case.multiply(c, |i, p| case.a[i * k + step(p)], |p, j| case.b[step(p) * n + j]));
        prop_assert!(outcome.is_ok(), "{:?}", outcome);
    }

    /// The cheap proof draws different vectors for each seed; a correct kernel passes them all.
    #[test]
    fn correct_kernels_pass_with_any_vectors(seed in any::<u64>()) {
        let case = Case::new((96, 128, 800));
        let mut c = vec![0.0; case.m * case.ldc];
        case.right(&mut c);
        let (a, b) = (row_major(&case.a, case.m, case.k, case.k), row_major(&case.b, case.k, case.n, case.n));
        let product = Product { alpha: 1.0, a: &a, b: &b, beta: 0.0, c0: None, tolerance: Tolerance::gemm_f32(case.k) };
        let checked = product.check(&row_major(&c, case.m, case.n, case.ldc), seed).unwrap();
        prop_assert!(checked.error < 0.5);
    }
}
