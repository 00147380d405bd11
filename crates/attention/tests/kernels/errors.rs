//! What is refused, and what the errors say.

use attention::{
    Attention, AttentionError, Bias, Extents, Mask, Operand, Shape, Strides, Threads, View, ViewError, ViewMut,
    attention,
};

use crate::check::{Trial, own};

fn refusal(change: impl FnOnce(&mut Trial)) -> AttentionError {
    let mut trial = Trial::dense(Shape { batch: 2, heads: 4, kv_heads: 2, ..own(6, 8) });
    change(&mut trial);
    trial.refusal().expect("it should be refused")
}

#[test]
fn tensors_that_do_not_fit() {
    let (x, mut out) = (vec![0.0_f32; 1000], vec![0.0_f32; 1000]);
    let mut refused = |q: [usize; 4], k: [usize; 4], v: [usize; 4], o: [usize; 4]| {
        let view = |shape| View::from_bnhd(&x, shape).unwrap();
        let out = ViewMut::from_bnhd(&mut out, o).unwrap();
        attention(Threads::SERIAL, view(q), view(k), view(v), out).err()
    };
    let shape = [2, 3, 4, 5];
    assert_eq!(refused(shape, shape, shape, shape), None);
    for (axis, needs_all) in [(0, true), (1, false), (2, false), (3, false)] {
        let mut other = shape;
        other[axis] += 1;
        let wrong = |e: Option<AttentionError>| matches!(e, Some(AttentionError::ShapeMismatch { .. }));
        assert!(wrong(refused(shape, shape, shape, other)), "output, axis {axis}");
        assert!(wrong(refused(shape, other, shape, shape)), "K, axis {axis}");
        assert!(!needs_all || wrong(refused(other, shape, shape, shape)), "Q, axis {axis}");
    }
    let three = [2, 3, 3, 5];
    let error = refused(shape, three, three, shape);
    assert_eq!(error, Some(AttentionError::HeadGroups { heads: 4, kv_heads: 3 }));
    assert_eq!(error.unwrap().to_string(), "4 heads of Q are no multiple of 3 heads of K and V");
    let none = [2, 3, 0, 5];
    assert_eq!(refused(shape, none, none, shape), Some(AttentionError::HeadGroups { heads: 4, kv_heads: 0 }));
    assert_eq!(refused(none, none, none, none), None);
}

#[test]
fn key_lengths_that_do_not_fit() {
    let lengths = |lengths: &[usize]| {
        let lengths = lengths.to_vec();
        refusal(|trial| trial.key_lengths = Some(lengths))
    };
    assert_eq!(lengths(&[3]), AttentionError::KeyLengthCount { got: 1, need: 2 });
    assert_eq!(lengths(&[6, 7]), AttentionError::KeyLength { batch: 1, got: 7, most: 6 });
    assert_eq!(lengths(&[6, 7]).to_string(), "batch 1 is said to have 7 keys, K has 6");
}

#[test]
fn sequences_that_do_not_fit() {
    let bounds = |queries: &[usize], keys: &[usize]| {
        let mut trial = Trial::dense(Shape { heads: 2, kv_heads: 2, ..own(6, 8) });
        trial.bounds = Some([queries.to_vec(), keys.to_vec()]);
        trial.refusal()
    };
    let wrong = |operand, index, got| Some(AttentionError::SequenceBound { operand, index, got, tokens: 6 });
    assert_eq!(bounds(&[0, 2, 6], &[0, 6, 6]), None);
    assert_eq!(bounds(&[1, 6], &[0, 6]), wrong(Operand::Q, 0, 1));
    assert_eq!(bounds(&[0, 5, 4, 6], &[0, 1, 2, 6]), wrong(Operand::Q, 2, 4));
    assert_eq!(bounds(&[0, 2, 6], &[0, 2, 5]), wrong(Operand::K, 2, 5));
    assert_eq!(bounds(&[0, 2, 6], &[0, 2, 7]), wrong(Operand::K, 2, 7));
    assert_eq!(bounds(&[0], &[0]), wrong(Operand::Q, 0, 0));
    assert_eq!(bounds(&[0, 6], &[0]), Some(AttentionError::SequenceCount { queries: 2, keys: 1 }));
    assert_eq!(bounds(&[], &[]), Some(AttentionError::SequenceCount { queries: 0, keys: 0 }));
    let two = refusal(|trial| trial.bounds = Some([vec![0, 6], vec![0, 6]]));
    assert_eq!(two, AttentionError::SequenceBatch { got: 2 });
    let message = bounds(&[0, 5, 4, 6], &[0, 1, 2, 6]).unwrap().to_string();
    let expected = "bound 2 of the sequences of queries is 4: bounds begin with 0, do not decrease and end with 6";
    assert_eq!(message, expected);
}

#[test]
fn options_that_exclude_each_other() {
    let packed = |trial: &mut Trial| {
        *trial = Trial::dense(own(6, 8)).packed(&[(6, 6)]);
    };
    let lengths = refusal(|trial| {
        packed(trial);
        trial.key_lengths = Some(vec![6]);
    });
    assert_eq!(lengths, AttentionError::Conflict { first: "packed sequences", second: "key lengths" });
    let bias = refusal(|trial| {
        packed(trial);
        trial.bias = Some((vec![0.0], [1; 4]));
    });
    assert_eq!(bias.to_string(), "packed sequences cannot be combined with a bias");
}

#[test]
fn biases_slopes_and_results_that_do_not_fit() {
    let bias = refusal(|trial| *trial = trial.clone().biased([2, 3, 6, 6]));
    assert_eq!(bias, AttentionError::BiasShape { got: [2, 3, 6, 6], need: [2, 4, 6, 6] });
    let text = "the bias is 2 x 3 x 6 x 6: each extent must be that of 2 x 4 x 6 x 6 or 1";
    assert_eq!(bias.to_string(), text);
    let slopes = refusal(|trial| trial.slopes = Some(vec![1.0; 2]));
    assert_eq!(slopes, AttentionError::SlopeCount { got: 2, need: 4 });
    let (x, mut out, mut lse) = ([0.0_f32; 12], [0.0_f32; 12], [0.0_f32; 5]);
    let x = View::from_bnhd(&x, [1, 2, 2, 3]).unwrap();
    let refused = Attention::new(x, x, x).lse(&mut lse).run(ViewMut::from_bnhd(&mut out, [1, 2, 2, 3]).unwrap());
    assert_eq!(refused.unwrap_err(), AttentionError::LseLength { got: 5, need: 4 });
}

#[test]
fn views_that_do_not_fit_their_slices() {
    let (x, mut y) = ([0.0_f32; 24], [0.0_f32; 24]);
    let shape = [1, 2, 3, 4];
    assert_eq!(View::from_bnhd(&x[1..], shape).unwrap_err(), ViewError::OutOfBounds { need: 24, len: 23 });
    assert_eq!(ViewMut::from_bhnd(&mut y[1..], shape).unwrap_err(), ViewError::OutOfBounds { need: 24, len: 23 });
    let extents = Extents { batch: 1, tokens: 2, heads: 3, head_dim: 4 };
    let repeated = Strides { batch: 0, token: 4, head: 0 };
    assert!(View::with_strides(&x, extents, repeated).is_ok());
    let refused = ViewMut::with_strides(&mut y, extents, repeated).unwrap_err();
    assert_eq!(refused, ViewError::Overlap { extents, strides: repeated });
    assert_eq!(refused.to_string(), "elements of 1 x 2 x 3 x 4 with strides 0, 4, 0 may share addresses");
    let far = Strides { batch: 0, token: usize::MAX, head: 4 };
    assert!(matches!(View::with_strides(&x, extents, far), Err(ViewError::Overflow { .. })));
    assert_eq!(Bias::new(&x, [1, 2, 3, 5]).unwrap_err(), ViewError::Bias { extents: [1, 2, 3, 5], len: 24 });
    assert!(Bias::with_strides(&x, [2, 2, 2, 2], [usize::MAX, 1, 1, 1]).is_err());
    assert!(Bias::new(&[], [1; 4]).is_err() && Bias::new(&[], [1, 1, 0, 5]).is_ok());
}

#[test]
fn operations_that_cannot_be_counted() {
    let x = [0.0_f32; 4];
    // A stride of 0 repeats as often as asked.
    let huge = Extents { batch: 1, tokens: usize::MAX / 2, heads: 1, head_dim: 4 };
    let keys = View::with_strides(&x, huge, Strides { batch: 0, token: 0, head: 0 }).unwrap();
    let mut out = [7.0_f32; 4];
    let q = View::from_bnhd(&x, [1, 1, 1, 4]).unwrap();
    let refused = Attention::new(q, keys, keys).run(ViewMut::from_bnhd(&mut out, [1, 1, 1, 4]).unwrap());
    assert!(matches!(refused, Err(AttentionError::Overflow { .. })));
    assert_eq!(out, [7.0; 4], "the output is unchanged");
    let causal = Attention::new(q, q, q).mask(Mask::Causal);
    assert!(causal.run(ViewMut::from_bnhd(&mut out, [1, 1, 1, 4]).unwrap()).is_ok());
}
