//! Memory that calls work in: bounded, whatever the lengths and the number of sequences.

use attention::{Attention, Extents, Mask, Strides, Threads, View, ViewMut, Workspace};

/// What a thread may work in, for heads of up to 256 elements.
const THREAD_BYTES: usize = 512 << 10;

/// The tokens of a tensor whose single token is repeated.
fn repeated(token: &[f32], tokens: usize) -> View<'_, f32> {
    let extents = Extents { batch: 1, tokens, heads: 1, head_dim: token.len() };
    View::with_strides(token, extents, Strides { batch: 0, token: 0, head: 0 }).unwrap()
}

/// Bytes of workspace after a call with these lengths of packed sequences of queries and keys.
fn bytes(lengths: &[(usize, usize)], mask: Mask, threads: Threads) -> usize {
    let bound = |of: fn(&(usize, usize)) -> usize| {
        let mut end = 0;
        std::iter::once(0)
            .chain(lengths.iter().map(|length| {
                end += of(length);
                end
            }))
            .collect::<Vec<usize>>()
    };
    let (queries, keys) = (bound(|length| length.0), bound(|length| length.1));
    let (token, mut workspace) = ([0.5_f32; 8], Workspace::new());
    let mut out = vec![0.0_f32; queries[lengths.len()] * 8];
    let (q, k) = (repeated(&token, queries[lengths.len()]), repeated(&token, keys[lengths.len()]));
    Attention::new(q, k, k)
        .mask(mask)
        .sequences(&queries, &keys)
        .threads(threads)
        .workspace(&mut workspace)
        .run(ViewMut::from_bnhd(&mut out, [1, queries[lengths.len()], 1, 8]).unwrap())
        .unwrap();
    assert!(out.iter().all(|x| (x - 0.5).abs() < 1e-5), "{out:?}");
    workspace.bytes()
}

#[test]
fn memory_grows_with_neither_keys_nor_sequences() {
    for threads in [1, 4].map(|count| Threads::new(count).unwrap()) {
        let few = bytes(&[(1, 3000); 8], Mask::None, threads);
        assert!(few <= threads.get() * THREAD_BYTES, "{few}");
        // A long sequence, one after the other; many short ones; both.
        let (long, mut both) = (vec![(1, 1 << 18); 8], vec![(1, 1); 3000]);
        both[1000] = (2, 1 << 18);
        for lengths in [&long[..], &[(1, 1); 3000], &both] {
            let many = bytes(lengths, Mask::None, threads);
            assert!(many <= threads.get() * THREAD_BYTES, "{} sequences, {threads} threads: {many}", lengths.len());
        }
    }
}

/// 2^40 keys, of which a window shows 100: what is masked costs neither memory nor time.
#[test]
fn masked_keys_cost_nothing() {
    for threads in [1, 4].map(|count| Threads::new(count).unwrap()) {
        let window = Mask::Window { left: 99, right: 0 };
        assert!(bytes(&[(1, 1 << 40), (100, 1 << 40)], window, threads) <= threads.get() * THREAD_BYTES);
    }
}
