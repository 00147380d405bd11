//! Rows that are asked to be alone: the same bits as in a product of one row.

use gemm::{Epilogue, Gemm, MatMut, MatRef, Threads, rows_alone};
use proof::input::normal;

use crate::check::{Lay, Trial};

/// On every kernel, for every order of B and C, and for extents that other paths would take.
#[test]
fn rows_have_the_same_bits_alone_and_among_others() {
    for (n, k) in [(1, 7), (5, 64), (33, 300), (70, 1029), (64, 64), (257, 40), (8, 2500)] {
        for (b, c) in [
            (Lay::Cols(0), Lay::Rows(0)),
            (Lay::Cols(3), Lay::Cols(0)),
            (Lay::Rows(0), Lay::Rows(0)),
            (Lay::Rows(2), Lay::Cols(1)),
            (Lay::Apart, Lay::RowsUp),
        ] {
            for kernel in rows_alone() {
                let most = 37;
                let all = Trial::new((most, n, k), [Lay::Rows(0), b, c]);
                let among = elements(&all, kernel.as_ref());
                for m in [1, 2, 3, 5, 16, 17, 36] {
                    for threads in [1, 3] {
                        let mut few = Trial::new((m, n, k), [Lay::Rows(0), b, c]).threads(threads);
                        few.a.elements.copy_from_slice(&all.a.elements[..m * k]);
                        few.b.elements.copy_from_slice(&all.b.elements);
                        let few = elements(&few, kernel.as_ref());
                        let name = kernel.name();
                        assert!(few[..] == among[..m * n], "{name} m{m} n{n} k{k} {b:?} {c:?} {threads} threads");
                    }
                }
            }
        }
    }
}

/// Enough work that rows are cut for threads, into parts that are not equal.
#[test]
fn many_rows_have_the_same_bits_on_any_number_of_threads() {
    let (n, k) = (130, 300);
    for kernel in rows_alone() {
        for m in [17, 21, 130, 257] {
            let of = |threads: usize| {
                let trial = Trial::new((m, n, k), [Lay::Rows(0), Lay::Cols(3), Lay::Rows(1)]).threads(threads);
                elements(&trial, kernel.as_ref())
            };
            let one = of(1);
            for threads in [2, 3, 7, 64] {
                assert!(of(threads) == one, "{} m{m}, {threads} threads", kernel.name());
            }
        }
    }
}

/// C row by row, as bits.
fn elements(trial: &Trial, kernel: &dyn gemm::Kernel) -> Vec<u32> {
    let (c, _) = trial.run(kernel);
    let (m, n) = (trial.case.shape.m, trial.case.shape.n);
    (0..m * n).map(|at| c[trial.c0.lay.index(m, n, at / n, at % n)].to_bits()).collect()
}

/// Through the interface, with an epilogue and a beta, which are applied to each element.
#[test]
fn a_product_can_be_asked_for_rows_that_are_alone() {
    let (m, n, k) = (40, 96, 200);
    let (a, w, bias) = (normal(1, m * k), normal(2, n * k), normal(3, n));
    let product = |a: &[f32], c: &mut [f32]| {
        let rows = a.len() / k;
        let weights = MatRef::from_col_major(&w, k, n).unwrap();
        Gemm::new(MatRef::from_row_major(a, rows, k).unwrap(), weights)
            .beta(0.5)
            .epilogue(Epilogue::new().bias_per_column(&bias))
            .threads(Threads::new(2).unwrap())
            .rows_alone(true)
            .run(MatMut::from_row_major(c, rows, n).unwrap())
            .unwrap()
    };
    let start = normal(4, m * n);
    let mut all = start.clone();
    assert_eq!(product(&a, &mut all).path, gemm::Path::Dot);
    let mut each = start;
    for (a, c) in a.chunks_exact(k).zip(each.chunks_exact_mut(n)) {
        product(a, c);
    }
    assert!(all.iter().map(|x| x.to_bits()).eq(each.iter().map(|x| x.to_bits())));
}
