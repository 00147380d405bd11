//! Every kernel on every kind of shape, layout and option.

use attention::{Element, ElementType, Mask, Shape};
use proptest::prelude::*;
use simd::with_element_type;

use crate::check::{LAYS, Lay, Trial, named_kernels, own};

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
                let trial = Trial::dense(shape).types(q, kv).masked(Mask::Causal);
                for out in ElementType::ALL {
                    trial.clone().stored_as(out).check_all();
                }
            }
        }
    }
}

/// What is stored as 16 bits is the nearest to what is stored as a float: subnormals, numbers beyond the range, NaN.
#[test]
fn stores_of_16_bits_round_to_nearest() {
    for (queries, keys, head_dim) in [(1, 200, 37), (70, 70, 24), (100, 100, 33)] {
        for size in [1.0, 3e-6, 1e-8, 1e5, 1e-40, 3e38] {
            let mut trial = Trial::new(Shape { queries, keys, ..own(0, head_dim) }, [Lay::Gaps; 4]);
            trial.v.elements.iter_mut().for_each(|x| *x *= size);
            trial.v.set([0, 20, 0, 1], f32::NAN);
            trial.v.set([0, 21, 0, 2], f32::NEG_INFINITY);
            for (name, kernel) in named_kernels().into_iter().filter(|(name, _)| name != "reference") {
                let exact = trial.run(kernel.as_ref()).unwrap().out;
                for out_type in [ElementType::F16, ElementType::Bf16] {
                    let got = trial.clone().stored_as(out_type).run(kernel.as_ref()).unwrap().out;
                    for (&x, &got) in exact.iter().zip(&got) {
                        let nearest = with_element_type!(out_type, T => <T as Element>::from_f32(x).to_f32());
                        let is_equal = got.to_bits() == nearest.to_bits() || (got.is_nan() && nearest.is_nan());
                        assert!(is_equal, "{name} {size:e} {out_type}: {got:e} for {x:e}");
                    }
                }
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
        types in proptest::array::uniform3(0..ElementType::ALL.len()),
        mask in 0..MASKS.len(),
        threads in 1..5usize,
        is_biased: bool,
    ) {
        let shape = Shape { batch, queries, keys, heads: kv_heads * group, kv_heads, head_dim, value_dim };
        let trial = Trial::new(shape, lays.map(|lay| LAYS[lay])).masked(MASKS[mask]).threads(threads);
        let trial = trial.types(ElementType::ALL[types[0]], ElementType::ALL[types[1]]);
        let trial = trial.stored_as(ElementType::ALL[types[2]]);
        match is_biased {
            true => trial.biased([batch, kv_heads * group, queries, keys]).check_all(),
            false => trial.check_all(),
        }
    }
}
