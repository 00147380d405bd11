//! Every kernel on every kind of shape, layout and option.

use attention::{AttentionError, AttentionOp, Case, ElementType, Mask, Operands, Output, Shape, kernels};
use op::{Loaded, Ran};
use proptest::prelude::*;

use crate::check::{LAYS, Lay, Trial, own};

const MASKS: [Mask; 6] = [
    Mask::None,
    Mask::Causal,
    Mask::Window { left: 0, right: 0 },
    Mask::Window { left: 5, right: 0 },
    Mask::Window { left: 40, right: 7 },
    Mask::Window { left: 0, right: usize::MAX },
];

#[test]
fn all_lengths_up_to_a_tile_and_beyond() {
    for tokens in (0..20).chain([31, 32, 33, 47, 48, 49, 63, 64, 65, 95, 97, 127, 128, 129, 130, 200]) {
        for mask in [Mask::None, Mask::Causal] {
            Trial::dense(own(tokens, 16)).masked(mask).check_all();
        }
    }
}

#[test]
fn all_sizes_of_heads() {
    for head_dim in (0..18).chain([24, 31, 32, 33, 40, 63, 64, 65, 80, 96, 100, 127, 128, 129, 192, 256, 300]) {
        Trial::dense(own(70, head_dim)).masked(Mask::Causal).check_all();
        Trial::dense(Shape { value_dim: head_dim / 2 + 1, ..own(50, head_dim) }).check_all();
    }
}

#[test]
fn more_queries_than_keys_and_fewer() {
    for (queries, keys) in [(1, 300), (5, 130), (130, 5), (17, 1), (1, 1), (0, 5), (5, 0), (49, 257), (200, 100)] {
        for mask in MASKS {
            Trial::dense(Shape { queries, keys, ..own(0, 24) }).masked(mask).check_all();
        }
    }
}

#[test]
fn heads_in_groups_and_batches() {
    for (batch, heads, kv_heads) in [(1, 4, 4), (2, 4, 2), (2, 6, 1), (1, 14, 2), (3, 8, 8), (0, 2, 2), (2, 0, 0)] {
        for (queries, keys) in [(1, 70), (3, 70), (40, 40), (70, 130)] {
            let shape = Shape { batch, heads, kv_heads, queries, keys, ..own(0, 32) };
            for mask in [Mask::None, Mask::Causal] {
                Trial::dense(shape).masked(mask).check_all();
            }
        }
    }
}

#[test]
fn every_layout() {
    let shape = Shape { batch: 2, heads: 4, kv_heads: 2, value_dim: 20, ..own(60, 12) };
    for q in LAYS {
        for kv in [Lay::Bnhd, Lay::Bhnd, Lay::Gaps, Lay::Repeated] {
            Trial::new(shape, [q, kv, Lay::Bnhd, Lay::Bnhd]).check_all();
            Trial::new(shape, [Lay::Bnhd, Lay::Bhnd, kv, q]).masked(Mask::Causal).check_all();
        }
    }
}

#[test]
fn every_type() {
    for q in ElementType::ALL {
        for kv in ElementType::ALL {
            for (queries, keys, head_dim) in [(1, 200, 64), (6, 130, 40), (70, 70, 8), (100, 100, 33), (60, 130, 128)] {
                let shape = Shape { queries, keys, heads: 2, ..own(0, head_dim) };
                Trial::dense(shape).types(q, kv).masked(Mask::Causal).check_all();
            }
        }
    }
}

#[test]
fn padded_keys() {
    let shape = Shape { batch: 4, heads: 2, kv_heads: 2, ..own(70, 16) };
    for mask in MASKS {
        let mut trial = Trial::dense(shape).masked(mask);
        trial.key_lengths = Some(vec![70, 0, 33, 1]);
        // What is padding may hold anything.
        for (key, d) in (33..70).flat_map(|key| (0..16).map(move |d| (key, d))) {
            trial.k.set([2, key, 1, d], f32::NAN);
            trial.v.set([2, key, 0, d], f32::INFINITY);
        }
        trial.check_all();
    }
}

#[test]
fn packed_sequences() {
    for mask in MASKS {
        for lengths in [
            vec![(5, 5), (0, 0), (33, 33), (1, 1), (70, 70), (16, 16)],
            vec![(0, 4), (7, 0), (48, 130), (1, 64), (20, 3)],
            vec![(100, 100)],
            vec![],
        ] {
            let (queries, keys) = lengths.iter().fold((0, 0), |(q, k), length| (q + length.0, k + length.1));
            let shape = Shape { queries, keys, heads: 4, kv_heads: 2, ..own(0, 24) };
            Trial::dense(shape).masked(mask).packed(&lengths).check_all();
            Trial::new(shape, [Lay::Gaps, Lay::Bhnd, Lay::Gaps, Lay::Bhnd]).packed(&lengths).check_all();
        }
    }
}

#[test]
fn biases_and_slopes() {
    for (queries, keys) in [(1, 150), (4, 90), (60, 60), (130, 200)] {
        let shape = Shape { batch: 2, queries, keys, heads: 4, kv_heads: 2, ..own(0, 16) };
        for mask in [Mask::None, Mask::Causal, Mask::Window { left: 30, right: 3 }] {
            for extents in [[2, 4, queries, keys], [1, 1, queries, keys], [2, 1, 1, keys], [1, 4, 1, 1]] {
                Trial::dense(shape).masked(mask).biased(extents).check_all();
            }
            let mut trial = Trial::dense(shape).masked(mask);
            trial.slopes = Some(vec![0.5, 0.25, 0.125, 0.0625]);
            trial.check_all();
            trial.biased([1, 4, queries, keys]).check_all();
        }
    }
    let mut trial = Trial::dense(Shape { heads: 2, kv_heads: 2, ..own(93, 16) }).packed(&[(40, 40), (53, 53)]);
    trial.slopes = Some(vec![0.7, 0.1]);
    trial.check_all();
}

#[test]
fn any_scale() {
    for scale in [0.0, 1.0, -0.5, 3.0] {
        let mut trial = Trial::dense(own(60, 16));
        trial.scale = Some(scale);
        trial.check_all();
    }
}

/// An extent up to 140: half of them small.
fn extent() -> impl Strategy<Value = usize> {
    prop_oneof![0..=20usize, 0..=140usize]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn every_path_is_right_on_random_cases(
        (queries, keys) in (extent(), extent()),
        (batch, kv_heads, group) in (0..3usize, 1..3usize, prop_oneof![Just(1usize), Just(2), Just(4), Just(7)]),
        (head_dim, value_dim) in (0..140usize, 0..140usize),
        lays in proptest::array::uniform4(0..LAYS.len()),
        types in (0..ElementType::ALL.len(), 0..ElementType::ALL.len()),
        mask in 0..MASKS.len(),
        threads in 1..5usize,
        is_biased: bool,
    ) {
        let shape = Shape { batch, queries, keys, heads: kv_heads * group, kv_heads, head_dim, value_dim };
        let trial = Trial::new(shape, lays.map(|lay| LAYS[lay])).masked(MASKS[mask]).threads(threads);
        let trial = trial.types(ElementType::ALL[types.0], ElementType::ALL[types.1]);
        match is_biased {
            true => trial.biased([batch, kv_heads * group, queries, keys]).check_all(),
            false => trial.check_all(),
        }
    }
}

/// The right result, tampered with.
struct Wrong(fn(&mut Output<'_>));

impl op::Kernel<AttentionOp> for Wrong {
    fn name(&self) -> &'static str {
        "wrong"
    }

    fn supports(&self, _: &Case) -> bool {
        true
    }

    fn load<'a>(&'a self, case: &Case, operands: Operands<'a>) -> Result<Box<dyn Loaded + 'a>, AttentionError> {
        Ok(Box::new(LoadedWrong { tamper: self.0, case: *case, operands }))
    }
}

struct LoadedWrong<'a> {
    tamper: fn(&mut Output<'_>),
    case: Case,
    operands: Operands<'a>,
}

impl Loaded for LoadedWrong<'_> {
    fn run(&mut self) {
        let Operands { q, k, v, ref mut out, ref mut lse, options } = self.operands;
        let reference = kernels().swap_remove(0);
        let operands = Operands { q, k, v, out: out.reborrow(), lse: lse.as_deref_mut(), options };
        reference.load(&self.case, operands).expect("the case fits").run();
        (self.tamper)(out);
    }

    fn ran(&self) -> Ran {
        Ran::new("wrong", "")
    }
}

#[test]
fn the_check_rejects_wrong_kernels() {
    let trial = Trial::dense(Shape { heads: 2, kv_heads: 2, ..own(70, 16) });
    trial.check(&Wrong(|_| {})).expect("untouched, it is right");
    let wrong: [fn(&mut Output<'_>); 4] = [
        // Another number of the right size.
        |out| out.set(0, 3, 1, 5, 0.1),
        // Not a number.
        |out| out.set(0, 0, 0, 0, f32::NAN),
        // Not written.
        |out| out.set(0, 69, 1, 15, f32::from_bits(0x7fc0_dead)),
        // A row of zeros, as if it saw no key.
        |out| (0..16).for_each(|d| out.set(0, 40, 0, d, 0.0)),
    ];
    for (number, tamper) in wrong.into_iter().enumerate() {
        assert!(trial.check(&Wrong(tamper)).is_err(), "tampering {number} passed");
    }
}
