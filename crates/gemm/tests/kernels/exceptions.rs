//! NaN and infinity: they go where mathematics sends them, and nowhere else.

use gemm::kernels;

use crate::check::{Lay, Trial};

const LAYS: [[Lay; 3]; 3] = [
    [Lay::Rows(0), Lay::Rows(0), Lay::Rows(0)],
    [Lay::Cols(0), Lay::Cols(0), Lay::Cols(0)],
    [Lay::Rows(1), Lay::Apart, Lay::Apart],
];

/// For every kernel and tail: whether element (i, j) of C, which has m rows, is finite after `spoil`, by i, j and m.
fn finite_after(spoil: impl Fn(&mut Trial), expected: impl Fn(usize, usize, usize) -> bool) {
    for (m, n, k) in [(13, 37, 19), (6, 16, 8), (7, 15, 3), (1, 1, 1), (25, 33, 260)] {
        for lays in LAYS {
            let mut trial = Trial::new((m, n, k), lays).factors(0.5, 1.0);
            spoil(&mut trial);
            for kernel in kernels() {
                let (c, _) = trial.run(kernel.as_ref());
                for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                    let value = c[lays[2].index(m, n, i, j)];
                    let name = kernel.name();
                    assert_eq!(value.is_finite(), expected(i, j, m), "{name} {m}x{n}x{k} {lays:?} ({i}, {j}): {value}");
                }
            }
        }
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

/// As in BLAS: a factor of 0 means that A and B are not looked at.
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
