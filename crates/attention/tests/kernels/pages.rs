//! Operands between inaccessible pages: a kernel that reads or writes one element too many crashes.

use attention::{Element, Extents, Mask, Operands, Options, Shape, View, ViewMut};
use bytemuck::Pod;
use half::{bf16, f16};
use proof::fenced::Fenced;

use crate::check::{LAYS, Lay, named_kernels, own};

fn runs_inside<T: Element + Pod, O: Element + Pod>(shape: Shape, lay: Lay, options: Options<'_>) {
    let Shape { batch, queries, keys, heads, kv_heads, head_dim, value_dim } = shape;
    let q = Extents { batch, tokens: queries, heads, head_dim };
    let k = Extents { batch, tokens: keys, heads: kv_heads, head_dim };
    let (v, out) = (Extents { head_dim: value_dim, ..k }, Extents { head_dim: value_dim, ..q });
    for at_end in [true, false] {
        let mut fences = [q, k, v, out].map(|extents| Fenced::of::<f32>(lay.span(extents)));
        let [fq, fk, fv, fo] = &mut fences;
        let view = |fence, extents| {
            let memory = Fenced::elements::<T>(fence, lay.span(extents), at_end);
            View::with_strides(memory, extents, lay.strides(extents)).unwrap()
        };
        let (q, k, v) = (view(fq, q), view(fk, k), view(fv, v));
        for (_, kernel) in named_kernels() {
            let memory = fo.elements::<O>(lay.span(out), at_end);
            let view = ViewMut::with_strides(memory, out, lay.strides(out)).unwrap();
            let operands = Operands { options, ..Operands::new(q, k, v, view) };
            kernel.load(&shape.into(), operands).unwrap().run();
        }
    }
}

#[test]
fn no_kernel_leaves_its_operands() {
    for (queries, keys) in [(1, 1), (1, 130), (3, 67), (70, 70), (49, 200)] {
        for (head_dim, value_dim) in [(1, 1), (8, 8), (16, 17), (33, 20), (64, 64), (80, 129)] {
            let shape = Shape { queries, keys, heads: 2, kv_heads: 1, value_dim, ..own(0, head_dim) };
            for lay in LAYS {
                for mask in [Mask::None, Mask::Causal] {
                    let options = Options::NONE.mask(mask);
                    runs_inside::<f32, f32>(shape, lay, options);
                    runs_inside::<f16, bf16>(shape, lay, options);
                    runs_inside::<bf16, f16>(shape, lay, options);
                    runs_inside::<bf16, bf16>(shape, lay, options);
                }
            }
        }
    }
}

/// Padding is not read: here it does not even exist.
#[test]
fn no_kernel_reads_padding() {
    let lengths = [37];
    let shape = Shape { queries: 50, keys: 37, ..own(0, 24) };
    runs_inside::<f32, f32>(shape, Lay::Bhnd, Options::NONE.key_lengths(&lengths));
    runs_inside::<bf16, f32>(shape, Lay::Bhnd, Options::NONE.key_lengths(&lengths));
}
