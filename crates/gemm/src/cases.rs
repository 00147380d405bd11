//! The named cases of this op: the one home of the shapes that benches, peers and examples use.
//!
//! Names begin with the type of A and B. `-bt` is a B that is stored column by column, as models store weights;
//! `-packed` one that is packed before; `-gelu` a fused epilogue of bias and GELU. Products of n = k = 4096 name only
//! their rows. Weights in blocks of a GGML type begin with its name, in lower case, and integer weights with `int8`: A
//! and C are f32 then.

use op::{NamedCase, ParamError, Parameters, Params};
use quant::GgmlType::{self, Q4_0, Q4_K, Q5_K, Q6_K, Q8_0};
use simd::ElementType::{self, Bf16, F16, F32};

use crate::{
    epilogue::Activation::{self, Gelu, Identity},
    shape::Shape,
    weights::QMatRef,
};
use Order::{Blocks, Columns, Int8, Packed, Rows};

/// The parameters of a case: C <- A B with row-major A and C.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Product {
    /// Extents.
    pub shape: Shape,
    /// The type of A and B; of A alone if B is in blocks.
    pub element: ElementType,
    /// How B is stored.
    pub b: Order,
    /// The activation of an epilogue with a bias per column. No epilogue if it is [`Activation::Identity`].
    pub activation: Activation,
}

/// How B is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Row by row.
    Rows,
    /// Column by column, as models store weights.
    Columns,
    /// As a [`PackedB`](crate::PackedB), packed from rows.
    Packed,
    /// As a [`QMatRef`] of this type: column by column, in blocks.
    Blocks(GgmlType),
    /// As [`Int8Weights`](crate::Int8Weights), rounded from columns.
    Int8,
}

impl Order {
    const WORDS: [(Order, &'static str); 3] = [(Rows, "rows"), (Columns, "columns"), (Packed, "packed")];

    /// The value of the parameter `b`.
    pub const fn name(self) -> &'static str {
        match self {
            Rows => "rows",
            Columns | Blocks(_) | Int8 => "columns",
            Packed => "packed",
        }
    }
}

const fn square(name: &'static str, element: ElementType, extent: usize) -> NamedCase<Product> {
    product(name, element, (extent, extent, extent), Rows, Identity)
}

const fn product(
    name: &'static str,
    element: ElementType,
    (m, n, k): (usize, usize, usize),
    b: Order,
    activation: Activation,
) -> NamedCase<Product> {
    NamedCase::new(name, Product { shape: Shape { m, n, k }, element, b, activation })
}

const fn int8(name: &'static str, extents: (usize, usize, usize)) -> NamedCase<Product> {
    product(name, F32, extents, Int8, Identity)
}

const fn blocks(name: &'static str, ty: GgmlType, (m, n, k): (usize, usize, usize)) -> NamedCase<Product> {
    product(name, F32, (m, n, k), Blocks(ty), Identity)
}

/// All named cases.
pub static CASES: [NamedCase<Product>; 99] = [
    // Squares. 1000 is no multiple of any tile; rows of 1024 floats share sets of the caches.
    square("f32-256", F32, 256).threads(&[1, 2]),
    square("f32-512", F32, 512).threads(&[1, 2]),
    square("f32-1000", F32, 1000),
    square("f32-1024", F32, 1024).threads(&[1, 2]),
    square("f32-2048", F32, 2048).tier(3),
    // Small ones, where a call takes as long as the work.
    square("f32-3", F32, 3).tier(3),
    square("f32-8", F32, 8).tier(2),
    square("f32-12", F32, 12).tier(0).threads(&[1, 2]),
    square("f32-16", F32, 16).tier(2),
    square("f32-24", F32, 24).tier(0).threads(&[1, 2]),
    square("f32-32", F32, 32).tier(2),
    square("f32-48", F32, 48).tier(0).threads(&[1, 2]),
    square("f32-64", F32, 64),
    // A few rows of activations against the weights of a layer, and tall products.
    product("f32-m8-n1536-k384", F32, (8, 1536, 384), Rows, Identity),
    product("f32-m2048-n48-k512", F32, (2048, 48, 512), Rows, Identity),
    product("f32-m128-n1536-k384", F32, (128, 1536, 384), Rows, Identity).tier(3),
    product("f32-m128-n1536-k384-bt", F32, (128, 1536, 384), Columns, Identity).tier(2),
    product("f32-m8-n1536-k384-bt", F32, (8, 1536, 384), Columns, Identity).tier(3),
    product("f32-m8-n1536-k384-packed", F32, (8, 1536, 384), Packed, Identity).tier(2),
    // Short and long sums.
    product("f32-m512-n512-k16", F32, (512, 512, 16), Rows, Identity).tier(3),
    product("f32-m64-n64-k8192", F32, (64, 64, 8192), Rows, Identity).tier(3),
    // Layers of a vision transformer of width 384 and 1024 on an image of 1374 tokens, and of width 2560.
    product("f32-m1374-n1152-k384-bt", F32, (1374, 1152, 384), Columns, Identity).tier(2),
    product("f32-m1374-n1536-k384-bt", F32, (1374, 1536, 384), Columns, Identity).tier(2),
    product("f32-m1374-n384-k1536-bt", F32, (1374, 384, 1536), Columns, Identity).tier(2),
    product("f32-m1374-n2560-k2560-bt", F32, (1374, 2560, 2560), Columns, Identity).tier(0).threads(&[1, 2]),
    product("f32-m1374-n10240-k2560-bt", F32, (1374, 10240, 2560), Columns, Identity).tier(0).threads(&[1, 2]),
    product("f32-m1374-n3072-k1024-bt", F32, (1374, 3072, 1024), Columns, Identity).tier(2),
    product("f32-m1374-n1536-k384-bt-gelu", F32, (1374, 1536, 384), Columns, Gelu),
    product("f32-m1374-n3072-k1024-packed", F32, (1374, 3072, 1024), Packed, Identity).tier(3),
    // One to sixteen rows against weights that come from memory: the decoding of a token.
    product("f32-m1-4096", F32, (1, 4096, 4096), Rows, Identity).tier(2).streamed().threads(&[1, 2]),
    product("f32-m1-4096-bt", F32, (1, 4096, 4096), Columns, Identity).streamed().threads(&[1, 2]),
    product("f32-m1-4096-packed", F32, (1, 4096, 4096), Packed, Identity).tier(3).streamed(),
    product("f32-m2-4096", F32, (2, 4096, 4096), Rows, Identity).tier(3).streamed(),
    product("f32-m2-4096-bt", F32, (2, 4096, 4096), Columns, Identity).tier(3).streamed(),
    product("f32-m3-4096", F32, (3, 4096, 4096), Rows, Identity).tier(0).threads(&[1, 2]),
    product("f32-m3-4096-bt", F32, (3, 4096, 4096), Columns, Identity).tier(0).threads(&[1, 2]),
    product("f32-m4-4096", F32, (4, 4096, 4096), Rows, Identity).tier(3).streamed(),
    product("f32-m4-4096-bt", F32, (4, 4096, 4096), Columns, Identity).tier(2).streamed(),
    product("f32-m8-4096", F32, (8, 4096, 4096), Rows, Identity).tier(3).streamed(),
    product("f32-m8-4096-bt", F32, (8, 4096, 4096), Columns, Identity).tier(3).streamed(),
    product("f32-m12-4096", F32, (12, 4096, 4096), Rows, Identity).tier(0).threads(&[1, 2]),
    product("f32-m12-4096-bt", F32, (12, 4096, 4096), Columns, Identity).tier(0).threads(&[1, 2]),
    product("f32-m16-4096", F32, (16, 4096, 4096), Rows, Identity).tier(3).streamed(),
    product("f32-m16-4096-bt", F32, (16, 4096, 4096), Columns, Identity).tier(2).streamed(),
    product("f32-m16-4096-packed", F32, (16, 4096, 4096), Packed, Identity).tier(3).streamed(),
    // 16-bit types.
    square("f16-64", F16, 64).tier(3),
    square("f16-512", F16, 512),
    square("f16-1024", F16, 1024).tier(2).threads(&[1, 2]),
    product("f16-m1-8192-bt", F16, (1, 8192, 4096), Columns, Identity).tier(0).threads(&[1, 2]),
    product("f16-m1374-n1536-k384-bt", F16, (1374, 1536, 384), Columns, Identity).tier(0).threads(&[1, 2]),
    product("f16-m1-4096-bt", F16, (1, 4096, 4096), Columns, Identity).tier(2).streamed(),
    square("bf16-64", Bf16, 64).tier(0).threads(&[1, 2]),
    square("bf16-512", Bf16, 512),
    square("bf16-1024", Bf16, 1024).tier(2),
    product("bf16-m1-8192-bt", Bf16, (1, 8192, 4096), Columns, Identity).tier(0).threads(&[1, 2]),
    product("bf16-m1374-n1536-k384-bt", Bf16, (1374, 1536, 384), Columns, Identity).tier(0).threads(&[1, 2]),
    product("bf16-m8-n1536-k384-bt", Bf16, (8, 1536, 384), Columns, Identity).tier(3),
    product("bf16-m8-n1536-k384-packed", Bf16, (8, 1536, 384), Packed, Identity).tier(3),
    product("bf16-m1-4096-bt", Bf16, (1, 4096, 4096), Columns, Identity).tier(2).streamed().threads(&[1, 2]),
    product("bf16-m16-4096-bt", Bf16, (16, 4096, 4096), Columns, Identity).tier(3).streamed().threads(&[2]),
    // Layers of a language model of width 2560 in blocks: decoding a token, a few tokens, and a prompt.
    blocks("q4_k-m1-n10240-k2560-bt", Q4_K, (1, 10240, 2560)).streamed().threads(&[1, 2]),
    blocks("q4_k-m1-n10240-k2560-bt-resident", Q4_K, (1, 10240, 2560)).tier(2).threads(&[1, 2]),
    blocks("q4_k-m1-n2560-k2560-bt", Q4_K, (1, 2560, 2560)).tier(3).streamed().threads(&[1, 2]),
    blocks("q4_k-m1-n65536-k2560-bt", Q4_K, (1, 65536, 2560)).tier(0).streamed().threads(&[1, 2]),
    blocks("q4_k-m2-n10240-k2560-bt", Q4_K, (2, 10240, 2560)).tier(3).threads(&[1, 2]),
    blocks("q4_k-m4-n10240-k2560-bt", Q4_K, (4, 10240, 2560)).tier(2).threads(&[1, 2]),
    blocks("q4_k-m8-n10240-k2560-bt", Q4_K, (8, 10240, 2560)).tier(3).threads(&[1, 2]),
    blocks("q4_k-m16-n10240-k2560-bt", Q4_K, (16, 10240, 2560)).tier(3).threads(&[1, 2]),
    blocks("q4_k-m32-n10240-k2560-bt", Q4_K, (32, 10240, 2560)).tier(0).threads(&[1, 2]),
    blocks("q4_k-m128-n10240-k2560-bt", Q4_K, (128, 10240, 2560)).tier(2).threads(&[1, 2]),
    blocks("q4_k-m512-n10240-k2560-bt", Q4_K, (512, 10240, 2560)).tier(0).threads(&[1, 2]),
    blocks("q4_k-m512-n2560-k2560-bt", Q4_K, (512, 2560, 2560)).tier(2).threads(&[1, 2]),
    blocks("q5_k-m1-n10240-k2560-bt", Q5_K, (1, 10240, 2560)).tier(3).streamed().threads(&[1, 2]),
    blocks("q5_k-m128-n10240-k2560-bt", Q5_K, (128, 10240, 2560)).tier(3).threads(&[1, 2]),
    blocks("q5_k-m512-n10240-k2560-bt", Q5_K, (512, 10240, 2560)).tier(0).threads(&[1, 2]),
    blocks("q6_k-m1-n10240-k2560-bt", Q6_K, (1, 10240, 2560)).tier(2).streamed().threads(&[1, 2]),
    blocks("q6_k-m128-n10240-k2560-bt", Q6_K, (128, 10240, 2560)).tier(2).threads(&[1, 2]),
    blocks("q6_k-m512-n10240-k2560-bt", Q6_K, (512, 10240, 2560)).tier(0).threads(&[1, 2]),
    blocks("q8_0-m1-n10240-k2560-bt", Q8_0, (1, 10240, 2560)).tier(2).streamed().threads(&[1, 2]),
    blocks("q8_0-m128-n10240-k2560-bt", Q8_0, (128, 10240, 2560)).tier(2).threads(&[1, 2]),
    blocks("q8_0-m512-n10240-k2560-bt", Q8_0, (512, 10240, 2560)).tier(0).threads(&[1, 2]),
    blocks("q4_0-m1-n10240-k2560-bt", Q4_0, (1, 10240, 2560)).tier(3).streamed().threads(&[1, 2]),
    blocks("q4_0-m128-n10240-k2560-bt", Q4_0, (128, 10240, 2560)).tier(3).threads(&[1, 2]),
    blocks("q4_0-m512-n10240-k2560-bt", Q4_0, (512, 10240, 2560)).tier(0).threads(&[1, 2]),
    product("f16-m1-n10240-k2560-bt", F16, (1, 10240, 2560), Columns, Identity).tier(0).streamed().threads(&[1, 2]),
    product("f16-m1-n10240-k2560-bt-resident", F16, (1, 10240, 2560), Columns, Identity).tier(0).threads(&[1, 2]),
    product("f16-m128-n10240-k2560-bt", F16, (128, 10240, 2560), Columns, Identity).tier(0).threads(&[1, 2]),
    product("f16-m512-n10240-k2560-bt", F16, (512, 10240, 2560), Columns, Identity).tier(0).threads(&[1, 2]),
    product("bf16-m1-n10240-k2560-bt", Bf16, (1, 10240, 2560), Columns, Identity).tier(0).streamed().threads(&[1, 2]),
    product("bf16-m1-n10240-k2560-bt-resident", Bf16, (1, 10240, 2560), Columns, Identity).tier(0).threads(&[1, 2]),
    product("bf16-m128-n10240-k2560-bt", Bf16, (128, 10240, 2560), Columns, Identity).tier(0).threads(&[1, 2]),
    // Integer weights: layers of cross-encoders of width 384 and 1024, and of a language model.
    int8("int8-1024-bt", (1024, 1024, 1024)).tier(3),
    int8("int8-m1-n10240-k2560-bt", (1, 10240, 2560)).tier(2).streamed().threads(&[1, 2]),
    int8("int8-m8-n1536-k384-bt", (8, 1536, 384)).tier(2),
    int8("int8-m128-n1536-k384-bt", (128, 1536, 384)).threads(&[1, 2]),
    int8("int8-m512-n384-k1536-bt", (512, 384, 1536)).tier(2).threads(&[1, 2]),
    int8("int8-m128-n4096-k1024-bt", (128, 4096, 1024)).tier(2).threads(&[1, 2]),
    int8("int8-m512-n10240-k2560-bt", (512, 10240, 2560)).tier(0).threads(&[1, 2]),
    product("bf16-m512-n10240-k2560-bt", Bf16, (512, 10240, 2560), Columns, Identity).tier(0).threads(&[1, 2]),
];

/// The case of this name.
pub fn find(name: &str) -> Option<&'static NamedCase<Product>> {
    CASES.iter().find(|case| case.name == name)
}

/// `m`, `n`, `k`, `type` and `b`; `activation`, if there is an epilogue.
impl Parameters for Product {
    fn to_params(&self) -> Params {
        let Shape { m, n, k } = self.shape;
        let params = Params::new().with("m", m).with("n", n).with("k", k);
        let ty = match self.b {
            Blocks(ty) => ty.name(),
            Int8 => "int8",
            _ => self.element.name(),
        };
        let params = params.with("type", ty).with("b", self.b.name());
        match self.activation {
            Identity => params,
            activation => params.with("activation", activation.name()),
        }
    }

    fn from_params(params: &Params) -> Result<Self, ParamError> {
        let shape = Shape { m: params.number("m")?, n: params.number("n")?, k: params.number("k")? };
        let elements = ElementType::ALL.map(|element| ((element, None), element.name()));
        let types = QMatRef::TYPES.map(|ty| ((F32, Some(Blocks(ty))), ty.name()));
        let int8 = ((F32, Some(Int8)), "int8");
        let (element, codes) = params.one_of("type", elements.into_iter().chain(types).chain([int8]))?;
        let b = match codes {
            None => params.one_of("b", Order::WORDS)?,
            Some(codes) => params.one_of("b", [(codes, "columns")])?,
        };
        let activation = match params.get("activation") {
            None => Identity,
            Some(_) => params.one_of("activation", Activation::ALL.map(|function| (function, function.name())))?,
        };
        Ok(Self { shape, element, b, activation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        op::check_table(&CASES).unwrap();
        assert_eq!(find("f32-m8-n1536-k384-packed").map(|case| case.params.b), Some(Packed));
        assert_eq!(find("no such case"), None);
    }

    #[test]
    fn names_say_what_the_parameters_are() {
        for case in &CASES {
            let Product { shape: Shape { m, n, k }, element, b, activation } = case.params;
            let order = match b {
                Rows => "",
                Columns | Blocks(_) | Int8 => "-bt",
                Packed => "-packed",
            };
            let element = match b {
                Blocks(ty) => ty.name().to_lowercase(),
                Int8 => "int8".to_owned(),
                _ => element.to_string(),
            };
            let epilogue = if activation == Gelu { "-gelu" } else { "" };
            let extents = if m == n && n == k { format!("{m}") } else { format!("m{m}-n{n}-k{k}") };
            let name = format!("{element}-{extents}{order}{epilogue}");
            // Squares and long names are exact; of weights of 4096 rows, only m and n are named.
            let short = format!("{element}-m{m}-{n}{order}{epilogue}");
            assert!(
                case.name.trim_end_matches("-resident") == name || (k == 4096 && case.name == short),
                "{} should be {name} or {short}",
                case.name
            );
        }
    }
}
