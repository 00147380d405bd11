//! The named cases of this op: the one home of the shapes that benches, peers and examples use.
//!
//! Names begin with the type of all tensors. `b` is the batch, `h` the heads of Q and `kv` those of K and V if they are
//! fewer, `n` the tokens, `q` the queries if they are fewer, `d` the elements of a head. Tensors are dense, in the
//! order batch, token, head, element.

use std::borrow::Cow;

use op::{NamedCase, ParamError, Parameters, Params};
use simd::ElementType::{self, Bf16, F16, F32};

use crate::{mask::Mask, shape::Shape};

/// The parameters of a case: O = softmax(Q K^T / sqrt(head_dim)) V.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Extents. With packed sequences, the tokens are those of all sequences together.
    pub shape: Shape,
    /// The type of Q, K, V and the output.
    pub element: ElementType,
    /// Which keys each query sees.
    pub mask: Mask,
    /// Lengths of packed sequences; empty if there are none. Queries and keys have the same.
    pub lengths: Cow<'static, [usize]>,
}

impl Problem {
    /// The bounds of the packed sequences, for [`Attention::sequences`](crate::Attention::sequences); `None` if there
    /// are none.
    pub fn bounds(&self) -> Option<Vec<usize>> {
        let mut end = 0;
        let ends = self.lengths.iter().map(|length| {
            end += length;
            end
        });
        (!self.lengths.is_empty()).then(|| std::iter::once(0).chain(ends).collect())
    }

    /// Operations, a multiply-add as two: Q K^T and P V for the pairs of a query and a key that it sees.
    pub fn flops(&self) -> u64 {
        let Shape { batch, queries, keys, heads, head_dim, value_dim, .. } = self.shape;
        let pairs = |queries: usize, keys: usize| self.mask.pairs(queries, keys, keys);
        let pairs = match self.lengths.is_empty() {
            true => batch as u64 * pairs(queries, keys),
            false => self.lengths.iter().map(|&length| pairs(length, length)).sum(),
        };
        2 * (head_dim + value_dim) as u64 * heads as u64 * pairs
    }

    /// Bytes that must move at least: every tensor once.
    pub fn bytes(&self) -> u64 {
        let Shape { batch, queries, keys, heads, kv_heads, head_dim, value_dim } = self.shape;
        let rows = queries * heads + keys * kv_heads;
        (batch * rows * (head_dim + value_dim) * self.element.bytes()) as u64
    }
}

const fn case(name: &'static str, element: ElementType, shape: Shape, mask: Mask) -> NamedCase<Problem> {
    NamedCase::new(name, Problem { shape, element, mask, lengths: Cow::Borrowed(&[]) })
}

/// Self-attention of `heads` heads.
const fn own(batch: usize, heads: usize, tokens: usize, head_dim: usize) -> Shape {
    grouped(batch, heads, heads, (tokens, tokens), head_dim)
}

/// With `kv_heads` heads of K and V, `queries` queries and `keys` keys.
const fn grouped(
    batch: usize,
    heads: usize,
    kv_heads: usize,
    (queries, keys): (usize, usize),
    head_dim: usize,
) -> Shape {
    Shape { batch, queries, keys, heads, kv_heads, head_dim, value_dim: head_dim }
}

/// Sequences of 31 to 512 tokens, as texts in a batch of a reranker.
const TEXTS: [usize; 16] = [128, 77, 201, 31, 512, 96, 64, 143, 333, 58, 256, 87, 111, 42, 178, 390];
const TEXT_TOKENS: usize = 2707;

/// All named cases.
pub static CASES: [NamedCase<Problem>; 31] = [
    // One sequence, by elements of a head.
    case("f32-b1-h12-n1024-d64", F32, own(1, 12, 1024, 64), Mask::None).threads(&[1, 2]),
    case("f32-b1-h12-n1024-d64-causal", F32, own(1, 12, 1024, 64), Mask::Causal).threads(&[1, 2]),
    case("f32-b1-h12-n1024-d32", F32, own(1, 12, 1024, 32), Mask::None),
    case("f32-b1-h8-n1024-d128", F32, own(1, 8, 1024, 128), Mask::None),
    case("f32-b1-h8-n1024-d128-causal", F32, own(1, 8, 1024, 128), Mask::Causal).tier(2),
    case("f32-b1-h16-n1024-d8", F32, own(1, 16, 1024, 8), Mask::None),
    case("f32-b1-h4-n1024-d256", F32, own(1, 4, 1024, 256), Mask::None).tier(3),
    case("f32-b1-h8-n1000-d80", F32, own(1, 8, 1000, 80), Mask::None).tier(3),
    // By length: layers of text and vision transformers.
    case("f32-b8-h12-n128-d32", F32, own(8, 12, 128, 32), Mask::None).tier(2),
    case("f32-b32-h12-n16-d32", F32, own(32, 12, 16, 32), Mask::None).tier(3),
    case("f32-b1-h6-n1374-d64", F32, own(1, 6, 1374, 64), Mask::None).threads(&[1, 2]).tier(2),
    case("f32-b1-h2-n4096-d64", F32, own(1, 2, 4096, 64), Mask::None).tier(2),
    case("f32-b1-h2-n4096-d128", F32, own(1, 2, 4096, 128), Mask::None).tier(2),
    case("f32-b1-h2-n4096-d32", F32, own(1, 2, 4096, 32), Mask::None).tier(3),
    case("f32-b1-h4-n4096-d64-window256", F32, own(1, 4, 4096, 64), Mask::Window { left: 255, right: 0 }).tier(2),
    case("f32-b1-h1-n16384-d64-causal", F32, own(1, 1, 16384, 64), Mask::Causal).tier(0),
    // Sequences of different lengths, packed.
    packed("f32-h12-texts16-d32", F32, 12, 32).threads(&[1, 2]),
    packed("f32-h12-texts16-d64", F32, 12, 64).tier(3),
    // Grouped queries: a prompt, and its continuation.
    case("f32-b1-h16-kv4-n1024-d128-causal", F32, grouped(1, 16, 4, (1024, 1024), 128), Mask::Causal).tier(2),
    case("bf16-b1-h16-kv4-n1024-d128-causal", Bf16, grouped(1, 16, 4, (1024, 1024), 128), Mask::Causal).tier(2),
    case("f32-b1-h8-q16-n4096-d128-causal", F32, grouped(1, 8, 8, (16, 4096), 128), Mask::Causal).tier(3),
    // One query for a long KV cache.
    case("f32-b1-h8-q1-n8192-d128", F32, grouped(1, 8, 8, (1, 8192), 128), Mask::None).streamed().threads(&[1, 2]),
    case("f16-b1-h8-q1-n8192-d128", F16, grouped(1, 8, 8, (1, 8192), 128), Mask::None).streamed(),
    case("f16-b1-h32-kv8-q1-n8192-d128", F16, grouped(1, 32, 8, (1, 8192), 128), Mask::None).streamed(),
    case("bf16-b1-h32-kv8-q1-n8192-d128", Bf16, grouped(1, 32, 8, (1, 8192), 128), Mask::None).streamed().tier(2),
    case("f16-b1-h8-kv1-q1-n65536-d128", F16, grouped(1, 8, 1, (1, 65536), 128), Mask::None).streamed().tier(2),
    // 16-bit types.
    case("f16-b1-h12-n1024-d64", F16, own(1, 12, 1024, 64), Mask::None),
    case("bf16-b1-h12-n1024-d64", Bf16, own(1, 12, 1024, 64), Mask::None),
    case("f16-b1-h8-n1024-d128", F16, own(1, 8, 1024, 128), Mask::None).tier(2),
    case("bf16-b1-h8-n1024-d128", Bf16, own(1, 8, 1024, 128), Mask::None).tier(2),
    case("bf16-b1-h12-n1024-d32", Bf16, own(1, 12, 1024, 32), Mask::None).tier(3),
];

const fn packed(name: &'static str, element: ElementType, heads: usize, head_dim: usize) -> NamedCase<Problem> {
    let (shape, lengths) = (own(1, heads, TEXT_TOKENS, head_dim), Cow::Borrowed(TEXTS.as_slice()));
    NamedCase::new(name, Problem { shape, element, mask: Mask::None, lengths })
}

/// The case of this name.
pub fn find(name: &str) -> Option<&'static NamedCase<Problem>> {
    CASES.iter().find(|case| case.name == name)
}

/// `batch`, `queries`, `keys`, `heads`, `kv_heads`, `head_dim`, `value_dim`, `type`, `mask` (`none`, `causal` or
/// `window`), `left` and `right` of a window, and `lengths` of packed sequences, separated by commas.
impl Parameters for Problem {
    fn to_params(&self) -> Params {
        let Shape { batch, queries, keys, heads, kv_heads, head_dim, value_dim } = self.shape;
        let params = Params::new().with("batch", batch).with("queries", queries).with("keys", keys);
        let params = params.with("heads", heads).with("kv_heads", kv_heads);
        let params = params.with("head_dim", head_dim).with("value_dim", value_dim);
        let params = params.with("type", self.element.name());
        let params = match self.mask {
            Mask::None => params.with("mask", "none"),
            Mask::Causal => params.with("mask", "causal"),
            Mask::Window { left, right } => params.with("mask", "window").with("left", left).with("right", right),
        };
        if self.lengths.is_empty() {
            return params;
        }
        let lengths: Vec<String> = self.lengths.iter().map(usize::to_string).collect();
        params.with("lengths", lengths.join(","))
    }

    fn from_params(params: &Params) -> Result<Self, ParamError> {
        let shape = Shape {
            batch: params.number("batch")?,
            queries: params.number("queries")?,
            keys: params.number("keys")?,
            heads: params.number("heads")?,
            kv_heads: params.number("kv_heads")?,
            head_dim: params.number("head_dim")?,
            value_dim: params.number("value_dim")?,
        };
        let element = params.one_of("type", ElementType::ALL.map(|element| (element, element.name())))?;
        let mask = match params.one_of("mask", [(0, "none"), (1, "causal"), (2, "window")])? {
            0 => Mask::None,
            1 => Mask::Causal,
            _ => Mask::Window { left: params.number("left")?, right: params.number("right")? },
        };
        let lengths = match params.get("lengths") {
            None => Vec::new(),
            Some(value) => {
                let wanted = "whole numbers, separated by commas";
                let kind = |_| ParamError::Kind { name: "lengths".to_owned(), got: value.clone(), wanted };
                params.text("lengths")?.split(',').map(str::parse).collect::<Result<_, _>>().map_err(kind)?
            }
        };
        Ok(Self { shape, element, mask, lengths: lengths.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        op::check_table(&CASES).unwrap();
        assert_eq!(find("f32-b1-h12-n1024-d64-causal").map(|case| case.params.mask), Some(Mask::Causal));
        assert_eq!(find("no such case"), None);
    }

    #[test]
    fn names_say_what_the_parameters_are() {
        for case in &CASES {
            let Problem { shape, element, mask, lengths } = &case.params;
            let Shape { batch, queries, keys, heads, kv_heads, head_dim, value_dim } = shape;
            let kv = if kv_heads == heads { String::new() } else { format!("-kv{kv_heads}") };
            let q = if queries == keys { String::new() } else { format!("-q{queries}") };
            let mask = match mask {
                Mask::None => String::new(),
                Mask::Causal => "-causal".to_owned(),
                Mask::Window { left, .. } => format!("-window{}", left + 1),
            };
            let name = match lengths.is_empty() {
                true => format!("{element}-b{batch}-h{heads}{kv}{q}-n{keys}-d{head_dim}{mask}"),
                false => format!("{element}-h{heads}-texts{}-d{head_dim}", lengths.len()),
            };
            assert_eq!(case.name, name);
            assert_eq!(head_dim, value_dim, "{name}");
        }
    }

    #[test]
    fn work_is_counted_exactly() {
        let flops = |name: &str| find(name).unwrap().params.flops();
        assert_eq!(flops("f32-b1-h12-n1024-d64"), 4 * 64 * 12 * 1024 * 1024);
        assert_eq!(flops("f32-b1-h12-n1024-d64-causal"), 4 * 64 * 12 * (1024 * 1025 / 2));
        let window = 256 * 257 / 2 + (4096 - 256) * 256;
        assert_eq!(flops("f32-b1-h4-n4096-d64-window256"), 4 * 64 * 4 * window);
        let squares: u64 = TEXTS.iter().map(|&length| (length * length) as u64).sum();
        assert_eq!(flops("f32-h12-texts16-d32"), 4 * 32 * 12 * squares);
        let decoding = find("f16-b1-h32-kv8-q1-n8192-d128").unwrap();
        assert_eq!(decoding.params.bytes(), 2 * 2 * 128 * (32 + 8 * 8192));
    }

    #[test]
    fn packed_sequences_fill_the_tensors() {
        let packed = find("f32-h12-texts16-d32").unwrap();
        let bounds = packed.params.bounds().unwrap();
        assert_eq!((bounds.len(), bounds[0], bounds[1]), (17, 0, 128));
        assert_eq!(bounds.last(), Some(&packed.params.shape.keys));
        assert_eq!(find("f32-b1-h12-n1024-d32").unwrap().params.bounds(), None);
    }
}
