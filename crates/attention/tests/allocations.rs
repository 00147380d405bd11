//! On the caller's thread alone, a call like one before allocates nothing.

use attention::{Attention, Bias, Element, Mask, Threads, View, ViewMut, Workspace, attention};
use half::{bf16, f16};
use proof::alloc::in_steady_state;

#[global_allocator]
static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;

fn of_type<T: Element>([batch, queries, heads, head_dim]: [usize; 4], keys: usize) {
    let q = vec![T::from_f32(0.5); batch * queries * heads * head_dim];
    let k = vec![T::from_f32(0.25); batch * keys * heads * head_dim];
    let (mut out, bias, slopes) = (q.clone(), vec![0.5; queries * keys], vec![0.5; heads]);
    let mut lse = vec![0.0; batch * heads * queries];
    let (shape, lengths) = ([batch, queries, heads, head_dim], vec![keys / 2; batch]);
    let q = View::from_bnhd(&q, shape).unwrap();
    let k = View::from_bnhd(&k, [batch, keys, heads, head_dim]).unwrap();
    let mut workspace = Workspace::new();
    let counts = [
        in_steady_state(|| {
            attention(Threads::SERIAL, q, k, k, ViewMut::from_bnhd(&mut out, shape).unwrap()).unwrap();
        }),
        in_steady_state(|| {
            let bias = Bias::new(&bias, [1, 1, queries, keys]).unwrap();
            let call = Attention::new(q, k, k).mask(Mask::Causal).bias(bias).alibi(&slopes).key_lengths(&lengths);
            let call = call.lse(&mut lse).workspace(&mut workspace);
            call.run(ViewMut::from_bnhd(&mut out, shape).unwrap()).unwrap();
        }),
    ];
    assert_eq!(counts, [0; 2], "{} {shape:?}, {keys} keys", T::TYPE);
}

#[test]
fn a_call_like_one_before_allocates_nothing() {
    assert!(proof::alloc::is_installed());
    for (shape, keys) in [([2, 70, 2, 32], 70), ([1, 1, 4, 64], 9000), ([1, 5, 3, 17], 33), ([1, 200, 1, 8], 300)] {
        of_type::<f32>(shape, keys);
        of_type::<f16>(shape, keys);
        of_type::<bf16>(shape, keys);
    }
    let x = vec![0.5_f32; 100 * 24];
    let (mut out, bounds) = (x.clone(), [0, 30, 30, 100]);
    let shape = [1, 100, 3, 8];
    let view = View::from_bnhd(&x, shape).unwrap();
    let allocated = in_steady_state(|| {
        let out = ViewMut::from_bnhd(&mut out, shape).unwrap();
        Attention::new(view, view, view).sequences(&bounds, &bounds).run(out).unwrap();
    });
    assert_eq!(allocated, 0);
}
