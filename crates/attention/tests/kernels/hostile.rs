//! Extents, strides and options that no sensible caller passes: a result or a typed error, never a panic.

use attention::{
    Attention, AttentionError, Bias, Case, Element, Extents, Mask, Operands, Options, Shape, Strides, Threads, View,
    ViewError, ViewMut, kernels, paths,
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

/// Extents, strides and options of a call, sensible or not.
#[derive(Debug)]
struct Call {
    shape: Shape,
    /// Of Q, K, V and the output.
    strides: [Strides; 4],
    mask: Mask,
    threads: usize,
    /// Strides of a bias, and which of its extents are 1.
    bias: Option<([usize; 4], [bool; 4])>,
    lengths: Option<Vec<usize>>,
    bounds: Option<Vec<usize>>,
    is_lse_kept: bool,
}

impl Call {
    fn extents(&self) -> [Extents; 4] {
        let Shape { batch, queries, keys, heads, kv_heads, head_dim, value_dim } = self.shape;
        let of = |tokens, heads, head_dim| Extents { batch, tokens, heads, head_dim };
        [
            of(queries, heads, head_dim),
            of(keys, kv_heads, head_dim),
            of(keys, kv_heads, value_dim),
            of(queries, heads, value_dim),
        ]
    }

    fn rows(&self) -> usize {
        [self.shape.batch, self.shape.heads, self.shape.queries].into_iter().fold(1, usize::saturating_mul)
    }

    /// Whether it is refused or done soon: what is refused is refused before any work, and nothing is written where
    /// there are no elements.
    fn is_short(&self) -> bool {
        let pairs = (self.rows() as u128).saturating_mul(self.shape.keys as u128);
        let is_counted = u64::try_from(pairs).is_ok();
        let has_no_row = self.rows() == 0 || (self.shape.value_dim == 0 && !self.is_lse_kept);
        has_no_row || !is_counted || (pairs <= MOST_PAIRS && self.rows() as u128 <= MOST_PAIRS)
    }

    /// Runs every kernel on it, or none if its views are refused.
    fn run<T: Element>(&self, memory: &[T]) {
        let ([q, k, v, o], strides) = (self.extents(), self.strides);
        let (floats, mut out) = (vec![0.25_f32; LEN], vec![7.0_f32; LEN]);
        let mut lse = vec![7.0_f32; self.rows().min(MOST_PAIRS as usize)];
        let q = View::with_strides(&floats, q, strides[0]);
        let (k, v) = (View::with_strides(memory, k, strides[1]), View::with_strides(memory, v, strides[2]));
        let o = ViewMut::with_strides(&mut out, o, strides[3]);
        let (Ok(q), Ok(k), Ok(v), Ok(mut o)) = (q, k, v, o) else { return };
        let options = self.options(&floats);
        for kernel in kernels().into_iter().chain(paths().into_iter().map(|(_, kernel)| kernel)) {
            let lse = self.is_lse_kept.then_some(&mut lse[..]);
            let operands = Operands { options, lse, ..Operands::new(q, k, v, o.reborrow()) };
            let case = Case { threads: Threads::new(self.threads).unwrap_or_default(), ..self.shape.into() };
            if let Ok(mut loaded) = kernel.load(&case, operands) {
                loaded.run();
                assert!(loaded.ran().threads <= self.threads, "{:?}", loaded.ran());
            }
        }
    }

    fn options<'a>(&'a self, floats: &'a [f32]) -> Options<'a> {
        let Shape { batch, queries, keys, heads, .. } = self.shape;
        let mut options = Options::NONE.mask(self.mask);
        let bias = self.bias.and_then(|(strides, is_one)| {
            let extents = [batch, heads, queries, keys];
            let extents = [0, 1, 2, 3].map(|i| if is_one[i] { 1 } else { extents[i] });
            Bias::with_strides(floats, extents, strides).ok()
        });
        if let Some(bias) = bias {
            options = options.bias(bias);
        }
        if let Some(lengths) = &self.lengths {
            options = options.key_lengths(lengths);
        }
        if let Some(bounds) = &self.bounds {
            options = options.sequences(bounds, bounds);
        }
        options
    }
}

proptest! {
    // One call in seven is too long and rejected; by default, 1024 rejected ones would fail the test.
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        max_global_rejects: 6000,
        ..ProptestConfig::with_cases(6000)
    })]

    #[test]
    fn nothing_panics(
        [batch, queries, keys, kv_heads, group, head_dim, value_dim] in proptest::array::uniform7(extent()),
        strides in proptest::array::uniform4(strides()),
        is_dense in any::<[bool; 4]>(),
        (mask, threads) in (mask(), select(vec![1_usize, 2, 5, usize::MAX])),
        bias in proptest::option::of((proptest::array::uniform4(stride()), any::<[bool; 4]>())),
        lengths in proptest::option::of(proptest::collection::vec(extent(), 0..4)),
        bounds in proptest::option::of(proptest::collection::vec(extent(), 0..4)),
        (is_lse_kept, is_half) in any::<(bool, bool)>(),
    ) {
        let heads = kv_heads.saturating_mul(group);
        let shape = Shape { batch, queries, keys, heads, kv_heads, head_dim, value_dim };
        let mut call = Call { shape, strides, mask, threads, bias, lengths, bounds, is_lse_kept };
        for (i, extents) in call.extents().into_iter().enumerate().filter(|(i, _)| is_dense[*i]) {
            call.strides[i] = Strides::bnhd(extents).unwrap_or(call.strides[i]);
        }
        prop_assume!(call.is_short());
        if is_half { call.run(&[f16::ONE; LEN]) } else { call.run(&[0.25_f32; LEN]) }
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
