//! What a workspace grows to.

use attention::{Attention, Path, Shape, Threads, View, ViewMut, Workspace, workspace_bytes};

/// Both paths, several parts of the keys, grouped heads, several threads, nothing to compute.
#[test]
fn a_workspace_grows_to_what_is_said_before() {
    let shape = |batch, queries, keys, heads, kv_heads, head_dim| Shape {
        batch,
        queries,
        keys,
        heads,
        kv_heads,
        head_dim,
        value_dim: head_dim,
    };
    let cases = [
        (shape(1, 69, 69, 16, 16, 8), Path::Tiles),
        (shape(2, 300, 500, 4, 2, 64), Path::Tiles),
        (shape(1, 70, 40, 2, 1, 200), Path::Tiles),
        (shape(1, 6, 12, 16, 16, 8), Path::Rows),
        (shape(2, 1, 2000, 8, 2, 64), Path::Rows),
        (shape(0, 1, 1, 1, 1, 8), Path::Empty),
    ];
    for (shape, path) in cases {
        for threads in [1, 2, 3] {
            let threads = Threads::new(threads).unwrap();
            let Shape { batch, queries, keys, heads, kv_heads, head_dim, .. } = shape;
            let of = |tokens: usize, heads: usize| [batch, tokens, heads, head_dim];
            let len = |extents: [usize; 4]| extents.iter().product::<usize>();
            let (q, kv) = (vec![1.0_f32; len(of(queries, heads))], vec![1.0_f32; len(of(keys, kv_heads))]);
            let mut out = vec![0.0_f32; q.len()];
            let mut workspace = Workspace::new();
            let kv = View::from_bnhd(&kv, of(keys, kv_heads)).unwrap();
            let ran = Attention::new(View::from_bnhd(&q, of(queries, heads)).unwrap(), kv, kv)
                .threads(threads)
                .workspace(&mut workspace)
                .run(ViewMut::from_bnhd(&mut out, of(queries, heads)).unwrap())
                .unwrap();
            assert_eq!(ran.path, path, "{shape}");
            assert_eq!(workspace.bytes(), workspace_bytes(&shape, threads), "{shape} on {threads}");
        }
    }
}

#[test]
fn shapes_that_cannot_be_computed_do_not_overflow() {
    let huge = usize::MAX;
    for (queries, head_dim) in [(huge, 8), (8, 8), (1, 8)] {
        let shape =
            Shape { batch: huge, queries, keys: huge, heads: huge, kv_heads: huge, head_dim, value_dim: head_dim };
        assert!(workspace_bytes(&shape, Threads::SERIAL) > 0, "{shape}");
    }
}
