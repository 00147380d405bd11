//! Extents, strides and options that no sensible caller passes: a result or a typed error, never a panic.

use attention::{
    Attention, AttentionError, Bias, Extents, Mask, Operands, Options, Shape, Strides, Threads, View, ViewError,
    ViewMut, kernels, paths,
};
use half::f16;
use proptest::{prelude::*, sample::select};

/// Elements of each slice.
const LEN: usize = 96;

/// More pairs of a query and a key would take too long.
const MOST_PAIRS: u128 = 20_000;

fn extent() -> impl Strategy<Value = usize> {
    let far = [usize::MAX, usize::MAX / 2, 1 << 40];
    prop_oneof![8 => select(vec![1_usize, 2, 3]), 2 => select(vec![0_usize, 4, 7, 17]), 1 => select(far.to_vec())]
}

fn stride() -> impl Strategy<Value = usize> {
    let far = [usize::MAX, usize::MAX / 2, usize::MAX / 2 + 1, usize::MAX / 31, 1 << 59];
    prop_oneof![3 => select(vec![0_usize, 1, 2, 3, 4, 8, 16]), 1 => select(far.to_vec())]
}

fn strides() -> impl Strategy<Value = Strides> {
    (stride(), stride(), stride()).prop_map(|(batch, token, head)| Strides { batch, token, head })
}

fn mask() -> impl Strategy<Value = Mask> {
    let side = || select(vec![0_usize, 1, 5, usize::MAX / 2, usize::MAX - 1, usize::MAX]);
    prop_oneof![
        Just(Mask::None),
        Just(Mask::Causal),
        (side(), side()).prop_map(|(left, right)| Mask::Window { left, right })
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20_000) })]

    #[test]
    fn nothing_panics(
        ([batch, queries, keys], [kv_heads, group]) in
            (proptest::array::uniform3(extent()), proptest::array::uniform2(extent())),
        (head_dim, value_dim) in (extent(), extent()),
        strides in proptest::array::uniform4(strides()),
        is_dense in proptest::array::uniform4(any::<bool>()),
        (mask, threads) in (mask(), select(vec![1_usize, 2, 5, usize::MAX])),
        (bias, bias_strides) in
            (proptest::array::uniform4(any::<bool>()), proptest::option::of(proptest::array::uniform4(stride()))),
        lengths in proptest::option::of(proptest::collection::vec(extent(), 0..4)),
        bounds in proptest::option::of(proptest::collection::vec(extent(), 0..4)),
        (is_lse_kept, is_half) in any::<(bool, bool)>(),
    ) {
        let heads = kv_heads.saturating_mul(group);
        let extents = [
            Extents { batch, tokens: queries, heads, head_dim },
            Extents { batch, tokens: keys, heads: kv_heads, head_dim },
            Extents { batch, tokens: keys, heads: kv_heads, head_dim: value_dim },
            Extents { batch, tokens: queries, heads, head_dim: value_dim },
        ];
        let pairs = [batch, heads, queries, keys].map(|x| x as u128);
        let rows = [batch, heads, queries].into_iter().fold(1, usize::saturating_mul);
        let is_small = pairs.into_iter().fold(1, u128::saturating_mul) <= MOST_PAIRS && rows <= MOST_PAIRS as usize;
        // What is refused is refused before any work, and nothing is written where there are no elements.
        let has_no_row = rows == 0 || (value_dim == 0 && !is_lse_kept);
        prop_assume!(is_small || has_no_row || pairs.into_iter().try_fold(1_u64, |x, y| x.checked_mul(u64::try_from(y).ok()?)).is_none());
        let (floats, halves) = (vec![0.25_f32; LEN], vec![f16::ONE; LEN]);
        let strides = [0, 1, 2, 3].map(|i| match is_dense[i] {
            true => Strides::bnhd(extents[i]).unwrap_or(strides[i]),
            false => strides[i],
        });
        let q = View::with_strides(&floats, extents[0], strides[0]);
        let (mut out, mut lse) = (vec![7.0_f32; LEN], vec![7.0_f32; if is_lse_kept { rows.min(MOST_PAIRS as usize) } else { 0 }]);
        let o = ViewMut::with_strides(&mut out, extents[3], strides[3]);
        let (Ok(q), Ok(o)) = (q, o) else { return Ok(()) };
        let mut options = Options::NONE.mask(mask);
        let extents_of_bias = [batch, heads, queries, keys];
        let bias = bias_strides.and_then(|strides| {
            let extents = [0, 1, 2, 3].map(|i| if bias[i] { 1 } else { extents_of_bias[i] });
            Bias::with_strides(&floats, extents, strides).ok()
        });
        if let Some(bias) = bias {
            options = options.bias(bias);
        }
        if let Some(lengths) = &lengths {
            options = options.key_lengths(lengths);
        }
        if let Some(bounds) = &bounds {
            options = options.sequences(bounds, bounds);
        }
        let mut o = o;
        macro_rules! run {
            ($memory:expr) => {{
                let k = View::with_strides($memory, extents[1], strides[1]);
                let v = View::with_strides($memory, extents[2], strides[2]);
                let (Ok(k), Ok(v)) = (k, v) else { return Ok(()) };
                let case = Shape { batch, queries, keys, heads, kv_heads, head_dim, value_dim };
                let list = kernels().into_iter().chain(paths().into_iter().map(|(_, kernel)| kernel));
                for kernel in list {
                    let lse = is_lse_kept.then_some(&mut lse[..]);
                    let operands = Operands { options, lse, ..Operands::new(q, k, v, o.reborrow()) };
                    let mut case = attention::Case::from(case);
                    case.threads = Threads::new(threads).unwrap_or_default();
                    if let Ok(mut loaded) = kernel.load(&case, operands) {
                        loaded.run();
                        let ran = loaded.ran();
                        prop_assert!(ran.threads <= threads, "{ran:?}");
                    }
                }
            }};
        }
        if is_half { run!(&halves) } else { run!(&floats) }
    }
}

/// A stride that leads nowhere may be anything.
#[test]
fn strides_that_lead_nowhere_are_not_used() {
    let far = Strides { batch: usize::MAX, token: usize::MAX, head: usize::MAX };
    let (x, mut out) = ([0.5_f32; 8], [0.0_f32; 8]);
    for head_dim in [8, 0] {
        let one = Extents { batch: 1, tokens: 1, heads: 1, head_dim };
        let x = View::with_strides(&x, one, far).unwrap();
        assert_eq!(x.strides(), Strides { batch: 0, token: 0, head: 0 });
        Attention::new(x, x, x).run(ViewMut::with_strides(&mut out, one, far).unwrap()).unwrap();
        // Without elements, there may be any number of tokens.
        let many = Extents { tokens: 100, head_dim: 0, ..one };
        let (x, v) = (View::with_strides(&[0.0_f32; 0], many, far).unwrap(), [0.5_f32; 800]);
        let (v, q) = (View::from_bnhd(&v, [1, 100, 1, 8]).unwrap(), x.tokens(0..1).unwrap());
        let mut lse = [0.0];
        let attention = Attention::new(q, x, v).lse(&mut lse);
        attention.run(ViewMut::from_bnhd(&mut out, [1, 1, 1, 8]).unwrap()).unwrap();
        assert!((lse[0] - 100.0_f32.ln()).abs() < 1e-5, "{lse:?}");
    }
    assert_eq!(out, [0.5; 8]);
}

#[test]
fn too_much_is_a_typed_error() {
    let (x, mut out) = ([0.5_f32; 4], [0.0_f32; 4]);
    let far = Extents { batch: 2, tokens: usize::MAX, heads: 3, head_dim: 4 };
    assert!(matches!(Strides::bnhd(far), Err(ViewError::Overflow { .. })));
    let none = Strides { batch: 0, token: 0, head: 0 };
    let k = View::with_strides(&x, far, none).unwrap();
    let q = View::with_strides(&x, Extents { tokens: 1, ..far }, none).unwrap();
    let refused = Attention::new(q, k, k).run(ViewMut::from_bnhd(&mut out, [2, 1, 3, 0]).unwrap());
    assert!(matches!(refused, Err(AttentionError::ShapeMismatch { .. })), "{refused:?}");
    let v = View::with_strides(&x, Extents { head_dim: 0, ..far }, none).unwrap();
    let refused = Attention::new(q, k, v).run(ViewMut::from_bnhd(&mut out, [2, 1, 3, 0]).unwrap());
    assert!(matches!(refused, Err(AttentionError::Overflow { .. })), "{refused:?}");
}
