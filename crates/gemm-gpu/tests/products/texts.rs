//! The text of every kernel, for every set of constants in use, is valid WGSL. No device is needed.

use gemm_gpu::{BlockVariant, ElementType, Finish, Layout, Variant, kernels};
use gpu::Source;
use quant::GgmlType::{Q4_0, Q4_K, Q5_K, Q6_K, Q8_0};

fn validate(what: &str, source: &Source) {
    source.spirv().unwrap_or_else(|e| panic!("{what}: {e}"));
}

#[test]
fn dense_kernels_validate() {
    let mut count = 0;
    for variant in Variant::ALL {
        for ty in [ElementType::F32, ElementType::F16, ElementType::Bf16] {
            for (by_columns, edges) in [(false, false), (false, true), (true, false), (true, true)] {
                let is_coop = matches!(variant, Variant::Coop { .. });
                if is_coop && ty != ElementType::F16 {
                    continue;
                }
                let (m, vectors, subgroup) = (1 + count % 4, 1 + 37 * count, if is_coop { 32 } else { 0 });
                let (bias, activation, residual) = (count % 3, count % 4, count % 2 == 0);
                let of = kernels::Dense { ty, by_columns, edges, m, vectors, subgroup, bias, activation, residual };
                validate(&format!("{variant} {of:?}"), &kernels::dense(variant, of));
                count += 1;
            }
        }
    }
    assert!(count > 100);
}

#[test]
fn kernels_for_blocks_validate() {
    for span in [32, 256] {
        validate("round", &kernels::round(span));
    }
    for variant in BlockVariant::ALL {
        for (layout, blocks) in [(Layout::Gguf, 1), (Layout::Packed, 1), (Layout::Gguf, 10), (Layout::Packed, 43)] {
            for ty in [Q4_K, Q5_K, Q6_K, Q8_0, Q4_0] {
                for finish in [Finish::Store, Finish::Add, Finish::SquaredRelu] {
                    if let Some(source) = kernels::blocks(ty, layout, variant, blocks, finish) {
                        validate(&format!("{ty} {variant} {layout:?} {finish:?}"), &source);
                    }
                }
            }
        }
    }
}
