//! What a workspace grows to.

use attention::{
    Attention, Choice, Element, ElementType, Mask, Path, Shape, Threads, View, ViewMut, Workspace,
    packed_workspace_bytes, workspace_bytes,
};
use half::{bf16, f16};
use machine::isa::Amx;

const fn shape(batch: usize, queries: usize, keys: usize, [heads, kv_heads]: [usize; 2], head_dim: usize) -> Shape {
    Shape { batch, queries, keys, heads, kv_heads, head_dim, value_dim: head_dim }
}

/// What ran with a workspace of its own, and what that grew to.
fn grown<T: Element>(shape: &Shape, threads: Threads, mask: Mask, bounds: Option<[&[usize]; 2]>) -> (Choice, usize) {
    let &Shape { batch, queries, keys, heads, kv_heads, head_dim, value_dim } = shape;
    let ones = |extents: [usize; 4]| vec![T::from_f32(1.0); extents.iter().product()];
    let (of_q, of_kv) = ([batch, queries, heads, head_dim], [batch, keys, kv_heads, head_dim]);
    let of_out = [batch, queries, heads, value_dim];
    let (q, kv, mut out) = (ones(of_q), ones(of_kv), ones(of_out));
    let mut workspace = Workspace::new();
    let kv = View::from_bnhd(&kv, of_kv).unwrap();
    let attention = Attention::new(View::from_bnhd(&q, of_q).unwrap(), kv, kv).mask(mask).threads(threads);
    let attention = match bounds {
        Some([queries, keys]) => attention.sequences(queries, keys),
        None => attention,
    };
    let ran = attention.workspace(&mut workspace).run(ViewMut::from_bnhd(&mut out, of_out).unwrap()).unwrap();
    (ran, workspace.bytes())
}

/// All paths, several parts of the keys, grouped heads, several threads, nothing to compute.
#[test]
fn a_workspace_grows_to_what_is_said_before() {
    let long = |element| match Amx::new() {
        Some(_) if element == ElementType::Bf16 => Path::Amx,
        _ => Path::Tiles,
    };
    let cases = [
        (shape(1, 69, 69, [16, 16], 8), false),
        (shape(2, 300, 500, [4, 2], 64), false),
        (shape(1, 70, 40, [2, 1], 200), false),
        (shape(1, 1100, 200, [4, 1], 64), false),
        (shape(1, 6, 12, [16, 16], 8), true),
        (shape(2, 1, 2000, [8, 2], 64), true),
        (shape(0, 1, 1, [1, 1], 8), true),
    ];
    for (shape, is_short) in cases {
        for threads in [1, 2, 3] {
            let threads = Threads::new(threads).unwrap();
            for element in ElementType::ALL {
                let (ran, bytes) = match element {
                    ElementType::F16 => grown::<f16>(&shape, threads, Mask::None, None),
                    ElementType::Bf16 => grown::<bf16>(&shape, threads, Mask::None, None),
                    _ => grown::<f32>(&shape, threads, Mask::None, None),
                };
                match is_short {
                    true => assert!([Path::Rows, Path::Empty].contains(&ran.path), "{shape}"),
                    false => assert_eq!(ran.path, long(element), "{shape}"),
                }
                assert_eq!(bytes, workspace_bytes(&shape, element, threads), "{shape} {element} on {threads}");
                let (_, masked) = grown::<f32>(&shape, threads, Mask::Causal, None);
                assert!(masked <= workspace_bytes(&shape, ElementType::F32, threads), "{shape} on {threads}, causal");
            }
        }
    }
}

/// A long prompt beside decoded tokens, tokens alone, prompts alone.
#[test]
fn packed_sequences_take_no_more_than_is_said_before() {
    let packings: [(&[usize], &[usize]); 4] = [
        (&[0, 1, 2, 402], &[0, 900, 1000, 1700]),
        (&[0, 402], &[0, 1700]),
        (&[0, 1, 3, 6, 402], &[0, 10, 20, 30, 1700]),
        (&[0, 200, 201, 402], &[0, 200, 1500, 1700]),
    ];
    for heads in [[16, 16], [8, 2], [12, 1]] {
        let shape = shape(1, 402, 1700, heads, 32);
        for (threads, (queries, keys)) in
            [1, 2, 5].into_iter().flat_map(|count| packings.map(|packing| (count, packing)))
        {
            let threads = Threads::new(threads).unwrap();
            let (_, bytes) = grown::<f32>(&shape, threads, Mask::None, Some([queries, keys]));
            let most = packed_workspace_bytes(&shape, ElementType::F32, threads);
            assert!(bytes <= most && most <= threads.get() * (512 << 10), "{shape} on {threads}: {bytes} of {most}");
            let (_, bytes) = grown::<bf16>(&shape, threads, Mask::None, Some([queries, keys]));
            let most = packed_workspace_bytes(&shape, ElementType::Bf16, threads);
            assert!(bytes <= most && most <= threads.get() * (512 << 10), "{shape} on {threads}: {bytes} of {most}");
        }
    }
}

#[test]
fn shapes_that_cannot_be_computed_do_not_overflow() {
    let huge = usize::MAX;
    for (queries, head_dim) in [(huge, 8), (8, 8), (1, 8)] {
        let shape = shape(huge, queries, huge, [huge, huge], head_dim);
        for element in ElementType::ALL {
            assert!(workspace_bytes(&shape, element, Threads::SERIAL) > 0, "{shape}");
            assert!(packed_workspace_bytes(&shape, element, Threads::SERIAL) > 0, "{shape}");
        }
    }
}
