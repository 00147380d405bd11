//! The WGSL of every kernel with its constants: one function a file.

use gpu::Source;
use quant::{GgmlType, QK_K};

use crate::{
    blocks::{BlockVariant, Finish, Layout},
    matrix::ElementType,
    variant::Variant,
};

const SHAPE: &str = include_str!("../../../kernels/shared/shape.wgsl");
const TILE: &str = include_str!("../../../kernels/shared/tile.wgsl");
const EPILOGUE: &str = include_str!("../../../kernels/shared/epilogue.wgsl");
const FINISH: &str = include_str!("../../../kernels/shared/finish.wgsl");

/// Rows of tiles of a band, see `shape.wgsl`.
const BAND: u32 = 8;

/// What a dense kernel depends on beside its variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dense {
    /// The type of A and B.
    pub ty: ElementType,
    /// B is stored column by column.
    pub by_columns: bool,
    /// Not every tile is whole.
    pub edges: bool,
    /// Rows of A that a workgroup takes, up to 4, where the kernel is compiled for their number.
    pub m: u32,
    /// Vectors of 16 bytes of a row, where the kernel is compiled for their number.
    pub vectors: u32,
    /// Invocations of a subgroup, where the kernel relies on it.
    pub subgroup: u32,
    /// 0 none, 1 per row, 2 per column.
    pub bias: u32,
    /// 0 identity, 1 GELU, 2 squared ReLU, 3 tanh.
    pub activation: u32,
    /// A residual is added.
    pub residual: bool,
}

/// The source of a dense kernel, with checks.
pub fn dense(variant: Variant, of: Dense) -> Source {
    match variant {
        Variant::Tile { bk, stages } => {
            let source = match of.ty {
                ElementType::F32 => Source::new("wgpu-tile", include_str!("../../../kernels/gemm/tile_f32.wgsl")),
                ElementType::F16 | ElementType::Bf16 => {
                    Source::new("wgpu-tile", include_str!("../../../kernels/gemm/tile_16.wgsl"))
                        .constant("BF16", of.ty == ElementType::Bf16)
                }
            };
            let source = source.with(TILE).with(SHAPE).with(EPILOGUE).constant("BAND", BAND);
            let source = source.constant("BK", bk).constant("STAGES", stages);
            let source = source.constant("BT", of.by_columns).constant("EDGES", of.edges);
            let source = source.constant("BIAS", of.bias).constant("ACTIVATION", of.activation);
            source.constant("RESIDUAL", of.residual)
        }
        Variant::Coop { subgroups: (sm, sn), bk, stages } => {
            let source = Source::new("wgpu-coop", include_str!("../../../kernels/gemm/coop_f16.wgsl"));
            let source = source.with(SHAPE).constant("BAND", BAND).constant("SUBGROUP_SIZE", of.subgroup);
            let source = source.constant("SUBGROUPS_M", sm).constant("SUBGROUPS_N", sn);
            let source = source.constant("BK", bk).constant("STAGES", stages);
            source.constant("BT", of.by_columns).constant("EDGES", of.edges)
        }
        Variant::Gemv { group, rows } => {
            let format: u32 = match of.ty {
                ElementType::F32 => 0,
                ElementType::F16 => 1,
                ElementType::Bf16 => 2,
            };
            let source = Source::new("wgpu-gemv", include_str!("../../../kernels/gemm/gemv.wgsl"));
            let source = source.constant("GROUP", group).constant("ROWS", rows);
            source.constant("M", of.m).constant("FORMAT", format).constant("VECTORS", of.vectors)
        }
    }
}

/// The kernel that rounds activations; `span` numbers have one scale.
pub fn round(span: u32) -> Source {
    Source::new("wgpu-round", include_str!("../../../kernels/gemm/round.wgsl")).constant("SPAN", span)
}

/// The source of a kernel for rows of so many blocks of 256 numbers, with checks; `None` where there is none.
pub fn blocks(ty: GgmlType, layout: Layout, variant: BlockVariant, blocks: u32, finish: Finish) -> Option<Source> {
    let name = "wgpu-blocks";
    let source = match (ty, layout) {
        (GgmlType::Q4_K | GgmlType::Q5_K, Layout::Gguf) => {
            Source::new(name, include_str!("../../../kernels/gemm/gemv_q4_k.wgsl"))
                .constant("FIFTH", ty == GgmlType::Q5_K)
                .constant("UNROLL", variant.unroll)
                .constant("LATE", variant.late)
        }
        (GgmlType::Q4_K, Layout::Packed) => {
            Source::new(name, include_str!("../../../kernels/gemm/gemv_q4_k_packed.wgsl"))
                .constant("UNROLL", variant.unroll)
                .constant("LATE", variant.late)
        }
        (GgmlType::Q6_K, Layout::Packed) => Source::new(name, include_str!("../../../kernels/gemm/gemv_q6_k.wgsl")),
        (GgmlType::Q8_0 | GgmlType::Q4_0, Layout::Packed) => {
            Source::new(name, include_str!("../../../kernels/gemm/gemv_q8_0_q4_0.wgsl"))
                .constant("BITS", if ty == GgmlType::Q8_0 { 8 } else { 4 })
        }
        _ => return None,
    };
    let source = source.with(FINISH).constant("FINISH", finish as u32);
    Some(source.constant("GROUP", variant.group).constant("ROWS", variant.rows).constant("BLOCKS", blocks))
}

/// The text of every kernel, with some constants: what a choice among them depends on.
pub fn all() -> Vec<Source> {
    let mut all = vec![round(32), round(QK_K as u32)];
    for variant in Variant::ALL {
        for ty in [ElementType::F32, ElementType::F16, ElementType::Bf16] {
            let of = Dense {
                ty,
                by_columns: true,
                edges: true,
                m: 1,
                vectors: 1,
                subgroup: 32,
                bias: 0,
                activation: 0,
                residual: false,
            };
            all.push(dense(variant, of));
        }
    }
    for ty in [GgmlType::Q4_K, GgmlType::Q5_K, GgmlType::Q6_K, GgmlType::Q8_0, GgmlType::Q4_0] {
        for layout in [Layout::Gguf, Layout::Packed] {
            for variant in BlockVariant::ALL {
                all.extend(blocks(ty, layout, variant, 1, Finish::Store));
            }
        }
    }
    all
}
