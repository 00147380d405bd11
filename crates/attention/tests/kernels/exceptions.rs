//! NaN, infinity and scores of any size: they reach the rows that depend on them, and no others.

use attention::{ElementType, Kernel, Mask, Shape};
use proof::{
    Mismatch,
    attention::{Rounding, check_rows},
};

use crate::{
    check::{Trial, own},
    wrong::Wrong,
};

/// Lengths and sizes of heads with tails, and one query.
const SHAPES: [(usize, usize, usize); 5] = [(70, 70, 16), (130, 130, 33), (1, 200, 64), (5, 90, 8), (97, 260, 128)];

const MASKS: [Mask; 3] = [Mask::None, Mask::Causal, Mask::Window { left: 20, right: 4 }];

/// For every kernel, shape and mask: rows are finite after `spoil` where `is_finite` says so, which has the query, the
/// place that is spoiled and whether the query sees that key. So are log-sum-exps, all of them if it does not reach
/// them.
fn finite_after(
    reaches_lse: bool,
    place: impl Fn(Shape) -> usize,
    spoil: impl Fn(&mut Trial, usize),
    is_finite: impl Fn(usize, usize, bool) -> bool,
) {
    for (queries, keys, head_dim) in SHAPES {
        let shape = Shape { queries, keys, heads: 2, kv_heads: 2, ..own(0, head_dim) };
        for mask in MASKS {
            let (mut trial, place) = (Trial::dense(shape).masked(mask), place(shape));
            spoil(&mut trial, place);
            for (trial, name, kernel) in trial.with_kernels() {
                // The stores of all types keep what is not finite.
                let out_type = ElementType::ALL[(head_dim + name.len()) % 3];
                let trial = trial.stored_as(out_type);
                let outcome = trial.run(kernel.as_ref()).unwrap();
                for (row, out) in outcome.out.chunks(head_dim).enumerate() {
                    // Rows are query by query, with two heads each. Head 1 is spoiled.
                    let (query, head) = (row / 2, row % 2);
                    let expected = head == 0 || is_finite(query, place, sees(mask, query, place, shape));
                    let lse = outcome.lse[head * queries + query];
                    let text = format!(
                        "{name}, {shape} {out_type} {mask:?}, query {query}, head {head}, {place}: {out:?} {lse}"
                    );
                    assert_eq!(out.iter().all(|x| x.is_finite()), expected, "{text}");
                    assert_eq!(lse.is_finite(), expected || !reaches_lse, "{text}");
                }
            }
        }
    }
}

fn sees(mask: Mask, query: usize, key: usize, shape: Shape) -> bool {
    let distance = (query + shape.keys) as i64 - (shape.queries + key) as i64;
    match mask {
        Mask::None => true,
        Mask::Causal => distance >= 0,
        Mask::Window { left, right } => distance <= left as i64 && -distance <= right as i64,
    }
}

#[test]
fn a_nan_in_q_spoils_its_row() {
    for bad in [f32::NAN, f32::INFINITY] {
        let spoil = |trial: &mut Trial, query: usize| trial.q.set([0, query, 1, 3], bad);
        finite_after(true, |shape| shape.queries / 2, spoil, |query, place, _| query != place);
    }
}

#[test]
fn a_nan_in_k_spoils_the_rows_that_see_it() {
    for place in [|_: Shape| 0, |shape: Shape| shape.keys / 2, |shape: Shape| shape.keys - 1] {
        let spoil = |trial: &mut Trial, key: usize| trial.k.set([0, key, 1, 5], f32::NAN);
        finite_after(true, place, spoil, |_, _, sees| !sees);
    }
}

#[test]
fn a_nan_in_v_spoils_the_rows_that_see_it() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for place in [|_: Shape| 0, |shape: Shape| shape.keys / 2, |shape: Shape| shape.keys - 1] {
            let spoil = |trial: &mut Trial, key: usize| {
                trial.v.set([0, key, 1, 2], bad);
            };
            finite_after(false, place, spoil, |_, _, sees| !sees);
        }
    }
}

/// Only the element of the output that depends on an infinity is infinite.
#[test]
fn an_infinity_in_v_stays_in_its_column() {
    for (queries, keys, head_dim) in SHAPES {
        let mut trial = Trial::dense(Shape { queries, keys, ..own(0, head_dim) });
        trial.v.set([0, keys / 3, 0, 2], f32::NEG_INFINITY);
        for (trial, name, kernel) in trial.with_kernels() {
            for out in trial.run(kernel.as_ref()).unwrap().out.chunks(head_dim) {
                let expected = (0..head_dim).map(|d| if d == 2 { f32::NEG_INFINITY } else { out[d] });
                assert!(out.iter().copied().eq(expected) && out[1].is_finite(), "{name}: {out:?}");
            }
        }
    }
}

/// A bias of minus infinity masks; rows that see nothing are 0.
#[test]
fn rows_without_keys_are_0() {
    for (queries, keys, head_dim) in SHAPES {
        let mut trial = Trial::dense(Shape { queries, keys, ..own(0, head_dim) }).biased([1, 1, queries, keys]);
        let (bias, _) = trial.bias.as_mut().unwrap();
        for (query, row) in bias.chunks_mut(keys).enumerate() {
            let is_masked = |key: usize| query % 3 == 0 || (query % 3 == 1 && key % 5 != 2);
            row.iter_mut().enumerate().filter(|(key, _)| is_masked(*key)).for_each(|(_, x)| *x = f32::NEG_INFINITY);
        }
        trial.check_all();
        for (trial, name, kernel) in trial.with_kernels() {
            let outcome = trial.run(kernel.as_ref()).unwrap();
            for query in (0..queries).step_by(3) {
                let out = &outcome.out[query * head_dim..(query + 1) * head_dim];
                assert!(out.iter().all(|x| x.to_bits() == 0), "{name}: {out:?}");
                assert_eq!(outcome.lse[query], f32::NEG_INFINITY, "{name}");
            }
        }
    }
}

/// Whether the output is the mean of V, as it is where all scores are equal. Rounding does not explain more than where
/// they are 0.
fn check_mean(trial: &Trial, kernel: &dyn Kernel) -> Result<(), Mismatch> {
    let mut even = trial.clone();
    even.k.elements.fill(0.0);
    check_rows(&trial.run(kernel)?.out, &even.exact(Rounding::default())).map(drop)
}

/// Scores far beyond the range of the exponential, equal and unequal.
#[test]
fn huge_scores_are_no_problem() {
    for (queries, keys, head_dim) in SHAPES {
        let shape = Shape { queries, keys, ..own(0, head_dim) };
        for size in [1e3, 1e18] {
            // All equal: the mean of V.
            let mut trial = Trial::dense(shape);
            trial.q.elements.fill(size);
            for size in [size, -size] {
                trial.k.elements.fill(size);
                trial.check_all();
                for (trial, name, kernel) in trial.with_kernels() {
                    check_mean(&trial, kernel.as_ref()).unwrap_or_else(|wrong| panic!("{name} {size:e}: {wrong}"));
                }
            }
            // One far above the others: its row of V.
            for d in 0..head_dim {
                trial.k.set([0, keys / 2, 0, d], size);
            }
            for (trial, name, kernel) in trial.with_kernels() {
                let outcome = trial.run(kernel.as_ref()).unwrap();
                for out in outcome.out.chunks(head_dim) {
                    let expected = (0..head_dim).map(|d| trial.v.at([0, keys / 2, 0, d]));
                    assert!(out.iter().copied().eq(expected), "{name} {size:e}: {out:?}");
                }
            }
        }
    }
}

#[test]
fn wrong_results_of_huge_scores_are_found() {
    let mut trial = Trial::dense(own(70, 16));
    trial.q.elements.fill(1e18);
    trial.k.elements.fill(1e18);
    check_mean(&trial, &Wrong::by(|_, _| {})).unwrap();
    // The rows of single keys instead of their mean, and what a sum that overflows leaves.
    for wrong in [trial.v.at([0, 0, 0, 5]), trial.v.at([0, 69, 0, 5]), 0.0, f32::NAN] {
        let kernel = Wrong::by(move |out, _| out.set(0, 40, 0, 5, wrong));
        assert!(check_mean(&trial, &kernel).is_err(), "{wrong}");
    }
    // The general check finds what no mean of V can be, and a wrong log-sum-exp.
    trial.check(&Wrong::by(|_, _| {})).unwrap();
    assert!(trial.check(&Wrong::by(|out, _| out.set(0, 40, 0, 5, 100.0))).is_err());
    assert!(trial.check(&Wrong::by(|_, lse| lse[40] *= 1.01)).is_err());
}

#[test]
fn a_score_of_plus_infinity_makes_a_nan() {
    for (queries, keys, head_dim) in SHAPES {
        let mut trial = Trial::dense(Shape { queries, keys, ..own(0, head_dim) }).biased([1, 1, 1, keys]);
        trial.bias.as_mut().unwrap().0[keys / 2] = f32::INFINITY;
        for (trial, name, kernel) in trial.with_kernels() {
            let outcome = trial.run(kernel.as_ref()).unwrap();
            assert!(outcome.out.iter().chain(&outcome.lse).all(|x| x.is_nan()), "{name}");
        }
    }
}
