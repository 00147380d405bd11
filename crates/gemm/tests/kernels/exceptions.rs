//! NaN and infinity reach the elements that depend on them, and no others.

use gemm::{ElementType, Kernel, kernels, paths};

use crate::check::{Lay, Trial};

const LAYS: [[Lay; 3]; 3] = [
    [Lay::Rows(0), Lay::Rows(0), Lay::Rows(0)],
    [Lay::Cols(0), Lay::Cols(0), Lay::Cols(0)],
    [Lay::Rows(1), Lay::Apart, Lay::Apart],
];

/// Tails of rows, columns and k; one row and several, with a k that dot products take and one that they do not.
const SHAPES: [(usize, usize, usize); 8] =
    [(13, 37, 19), (6, 16, 8), (7, 15, 3), (1, 1, 1), (25, 33, 260), (1, 70, 300), (5, 40, 300), (13, 37, 531)];

/// For every kernel, path, tail and kind of weights: whether element (i, j) of C, which has m rows, is finite after
/// `spoil`, by i, j and m. Every element, finite or not, is what the f64 product says: NaN where that is NaN, infinite
/// with its sign where that is.
fn finite_after(spoil: impl Fn(&mut Trial), expected: impl Fn(usize, usize, usize) -> bool) {
    for shape in SHAPES {
        for lays in LAYS {
            for element in [ElementType::F32, ElementType::Bf16] {
                let trial = || {
                    let mut trial = Trial::new(shape, lays).factors(0.5, 1.0).types(ElementType::F32, element);
                    spoil(&mut trial);
                    trial
                };
                let exact = classes(&trial());
                for (name, kernel) in named() {
                    is_as_expected(&trial(), kernel.as_ref(), &name, &exact, &expected);
                }
                for kernel in kernels() {
                    let name = format!("{}, packed weights", kernel.name());
                    is_as_expected(&trial().packed(), kernel.as_ref(), &name, &exact, &expected);
                }
            }
        }
    }
}

/// All kernels, and all kernels with a forced path.
fn named() -> Vec<(String, Box<dyn Kernel>)> {
    let plain = kernels().into_iter().map(|kernel| (kernel.name().to_owned(), kernel));
    plain.chain(paths().into_iter().map(|(path, kernel)| (format!("{} {path}", kernel.name()), kernel))).collect()
}

/// What kind of number.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Class {
    Finite,
    Infinite { is_negative: bool },
    Nan,
}

impl Class {
    fn of(x: f64) -> Self {
        match x {
            x if x.is_nan() => Class::Nan,
            x if x.is_infinite() => Class::Infinite { is_negative: x < 0.0 },
            _ => Class::Finite,
        }
    }
}

/// What the definition makes of every element of C, row by row.
fn classes(trial: &Trial) -> Vec<Class> {
    let (m, n, k) = (trial.case.shape.m, trial.case.shape.n, trial.case.shape.k);
    let (alpha, beta) = (f64::from(trial.case.alpha), f64::from(trial.case.beta));
    let element = |i: usize, j: usize| {
        let product = |p: usize| f64::from(trial.a.at(i, p)) * f64::from(trial.b.at(p, j));
        let sum = if alpha == 0.0 { 0.0 } else { alpha * (0..k).map(product).sum::<f64>() };
        if beta == 0.0 { sum } else { sum + beta * f64::from(trial.c0.at(i, j)) }
    };
    (0..m * n).map(|at| Class::of(element(at / n, at % n))).collect()
}

fn is_as_expected(
    trial: &Trial,
    kernel: &dyn Kernel,
    name: &str,
    exact: &[Class],
    expected: impl Fn(usize, usize, usize) -> bool,
) {
    let (m, n) = (trial.case.shape.m, trial.case.shape.n);
    let (c, _) = trial.run(kernel);
    for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
        let value = c[trial.c0.lay.index(m, n, i, j)];
        let place = format!("{name}, {:?}, element ({i}, {j}): {value}", trial.case.shape);
        assert_eq!(value.is_finite(), expected(i, j, m), "{place}");
        assert_eq!(Class::of(f64::from(value)), exact[i * n + j], "{place}");
    }
}

#[test]
fn a_nan_in_a_spoils_its_row() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        finite_after(|trial| trial.a.elements[0] = bad, |i, _, _| i != 0);
        finite_after(|trial| *trial.a.elements.last_mut().unwrap() = bad, |i, _, m| i != m - 1);
    }
}

#[test]
fn a_nan_in_b_spoils_its_column() {
    for bad in [f32::NAN, f32::INFINITY] {
        finite_after(|trial| trial.b.elements[0] = bad, |_, j, _| j != 0);
    }
}

#[test]
fn a_nan_in_c_spoils_its_element_unless_beta_is_0() {
    finite_after(|trial| trial.c0.elements[0] = f32::NAN, |i, j, _| (i, j) != (0, 0));
    let clear = |trial: &mut Trial| {
        trial.c0.elements.fill(f32::NAN);
        trial.case.beta = 0.0;
    };
    finite_after(clear, |_, _, _| true);
}

/// 0 * infinity is a NaN, and a product has it.
#[test]
fn zeros_do_not_hide_infinity() {
    let spoil = |trial: &mut Trial| {
        trial.a.elements.fill(0.0);
        trial.b.elements[0] = f32::INFINITY;
    };
    finite_after(spoil, |_, j, _| j != 0);
}

/// As in BLAS: with alpha = 0, A and B are not read.
#[test]
fn alpha_0_does_not_read_a_and_b() {
    let spoil = |trial: &mut Trial| {
        trial.a.elements.fill(f32::NAN);
        trial.b.elements.fill(f32::INFINITY);
        trial.case.alpha = 0.0;
    };
    finite_after(spoil, |_, _, _| true);
}

/// Subnormal numbers are computed with, not flushed.
#[test]
fn subnormal_products_survive() {
    let (tiny, m, n, k) = (f32::from_bits(8), 7, 33, 5);
    let mut trial = Trial::new((m, n, k), LAYS[0]);
    trial.a.elements.fill(tiny);
    trial.b.elements.fill(1.0);
    for kernel in kernels() {
        let (c, _) = trial.run(kernel.as_ref());
        assert!(c.iter().all(|&c| c == f32::from_bits(40)), "{}", kernel.name());
    }
}
