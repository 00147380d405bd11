//! The same bits for any number of threads, any layout, any repetition.

use attention::{ElementType, Kernel, Mask, Shape, kernels, paths};
use rayon::ThreadPoolBuilder;

use crate::check::{Lay, Trial, own};

fn bits(trial: &Trial, kernel: &dyn Kernel) -> Vec<u32> {
    let outcome = trial.run(kernel).unwrap();
    assert!(outcome.ran.threads <= trial.case.threads.get(), "{:?}", outcome.ran);
    outcome.out.iter().chain(&outcome.lse).map(|x| x.to_bits()).collect()
}

/// Long enough for several threads: one head, many heads, packed sequences, one query for a long cache.
fn trials() -> Vec<Trial> {
    let many = Shape { batch: 2, heads: 8, kv_heads: 4, ..own(150, 32) };
    let decoding = Shape { queries: 1, keys: 5000, heads: 4, kv_heads: 2, ..own(0, 64) };
    vec![
        Trial::dense(own(500, 64)).masked(Mask::Causal),
        Trial::dense(many),
        Trial::dense(many).masked(Mask::Window { left: 50, right: 3 }),
        Trial::dense(Shape { heads: 4, kv_heads: 4, ..own(600, 32) }).packed(&[(300, 300), (17, 17), (283, 283)]),
        Trial::dense(decoding),
        Trial::dense(Shape { heads: 4, kv_heads: 4, queries: 603, keys: 6000, ..own(0, 32) }).packed(&[
            (1, 4000),
            (600, 1000),
            (2, 1000),
        ]),
        Trial::dense(Shape { queries: 3, ..decoding }).masked(Mask::Causal),
    ]
}

#[test]
fn threads_do_not_change_a_bit() {
    let pool = ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    for trial in trials() {
        for (trial, name, kernel) in trial.with_kernels().into_iter().filter(|(_, name, _)| name != "reference") {
            let serial = bits(&trial, kernel.as_ref());
            for threads in [2, 4, 64] {
                let parallel = pool.install(|| bits(&trial.clone().threads(threads), kernel.as_ref()));
                assert!(parallel == serial, "{name} with {threads} threads: {}", trial.text());
            }
            let global = bits(&trial.clone().threads(2), kernel.as_ref());
            assert!(global == serial, "{name} in the global pool: {}", trial.text());
        }
    }
}

/// Heads of K and V that do not all have room for a state at once, teams that do not divide them, and rows that see
/// different keys.
#[test]
fn teams_of_heads_do_not_change_a_bit_and_are_right() {
    let wide = Shape { queries: 1, keys: 520, heads: 132, kv_heads: 11, ..own(0, 256) };
    let odd = Shape { batch: 2, queries: 5, keys: 1700, heads: 14, kv_heads: 7, ..own(0, 40) };
    let mut padded = Trial::dense(odd).masked(Mask::Window { left: 600, right: 2 });
    padded.key_lengths = Some(vec![1699, 513]);
    for trial in [Trial::dense(wide), Trial::dense(odd).masked(Mask::Causal), padded] {
        trial.check_all();
        for (trial, name, kernel) in trial.with_kernels().into_iter().filter(|(_, name, _)| name != "reference") {
            let serial = bits(&trial, kernel.as_ref());
            for threads in [2, 7] {
                let parallel = bits(&trial.clone().threads(threads), kernel.as_ref());
                assert!(parallel == serial, "{name} with {threads} threads: {}", trial.text());
            }
        }
    }
}

#[test]
fn layouts_do_not_change_a_bit() {
    let shape = Shape { batch: 2, heads: 4, kv_heads: 2, ..own(130, 40) };
    for (trial, name, kernel) in Trial::dense(shape).masked(Mask::Causal).with_kernels() {
        let plain = bits(&trial, kernel.as_ref());
        for lays in [[Lay::Bhnd; 4], [Lay::Gaps; 4], [Lay::Bnhd, Lay::Bhnd, Lay::Gaps, Lay::Bhnd]] {
            let other = Trial::new(shape, lays).masked(Mask::Causal).types(trial.q.element, trial.k.element);
            let other = bits(&other, kernel.as_ref());
            assert!(other == plain, "{name} {lays:?}");
        }
    }
}

/// Calls inside a parallel loop: a thread that waits for its parts may start another call meanwhile.
#[test]
fn calls_nest_in_the_callers_loops() {
    use rayon::prelude::*;
    let trial = Trial::dense(Shape { heads: 2, kv_heads: 2, ..own(300, 32) }).threads(4);
    let expected = bits(&trial, kernels().pop().unwrap().as_ref());
    let all: Vec<_> = (0..16).into_par_iter().map(|_| bits(&trial, kernels().pop().unwrap().as_ref())).collect();
    assert!(all.into_iter().all(|bits| bits == expected));
}

#[test]
fn large_problems_use_the_threads_they_are_given() {
    let trial = Trial::dense(Shape { heads: 2, kv_heads: 2, ..own(300, 64) }).threads(2);
    for kernel in kernels().iter().filter(|kernel| kernel.name() != "reference") {
        let ran = trial.run(kernel.as_ref()).unwrap().ran;
        assert_eq!(ran.threads, 2, "{}", kernel.name());
        // Products of bf16 have nothing to do here.
        let is_named = !["auto", "cpu-amx"].contains(&kernel.name());
        assert_eq!(ran.kernel == kernel.name(), is_named, "{ran:?}");
    }
}

/// The work of packed sequences is that within each, not that of all queries with all keys.
#[test]
fn small_packed_sequences_use_one_thread() {
    let threads_of = |count: usize, length: usize| {
        let trial = Trial::dense(own(count * length, 8)).packed(&vec![(length, length); count]).threads(4);
        trial.run(kernels().pop().unwrap().as_ref()).unwrap().ran.threads
    };
    assert_eq!([threads_of(50, 20), threads_of(1, 1000)], [1, 4]);
    let mut padded = Trial::dense(own(300, 16)).threads(4);
    padded.key_lengths = Some(vec![10]);
    assert_eq!(padded.run(kernels().pop().unwrap().as_ref()).unwrap().ran.threads, 1);
}

/// A long prompt beside tokens that are decoded.
#[test]
fn each_packed_sequence_takes_its_own_path() {
    let path_of = |lengths: &[(usize, usize)]| {
        let (queries, keys) = lengths.iter().fold((0, 0), |(q, k), length| (q + length.0, k + length.1));
        let trial = Trial::dense(Shape { queries, keys, heads: 2, ..own(0, 24) }).packed(lengths);
        trial.check_all();
        trial.run(kernels().pop().unwrap().as_ref()).unwrap().ran.path
    };
    assert_eq!(path_of(&[(1, 50), (6, 40), (0, 7)]), "rows");
    assert_eq!(path_of(&[(7, 50), (40, 40), (0, 0)]), "tiles");
    assert_eq!(path_of(&[(1, 600), (130, 130), (1, 70), (0, 4), (2, 2)]), "mixed");
}

#[test]
fn forced_paths_run_where_they_are_possible() {
    let trial = Trial::dense(own(100, 32)).types(ElementType::Bf16, ElementType::Bf16);
    for (path, kernel) in paths() {
        assert_eq!(trial.run(kernel.as_ref()).unwrap().ran.path, path.name(), "{}", kernel.name());
    }
}
