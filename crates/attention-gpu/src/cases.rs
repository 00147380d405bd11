//! The named cases of this op on a GPU: shapes that fill one, and small ones that a software adapter runs as well.
//!
//! Names are spelled as in `attention::cases`.

use std::borrow::Cow;

use attention::{
    ElementType::{self, Bf16, F16, F32},
    Mask, Shape,
    cases::Problem,
};
use op::NamedCase;

/// Operations that a software adapter does in about a second.
const SOFTWARE_FLOPS: u64 = 100_000_000;

/// Whether a case is for a software adapter, too, which is a thousand times slower than a GPU.
pub fn is_small(problem: &Problem) -> bool {
    problem.flops() <= SOFTWARE_FLOPS
}

const fn case(name: &'static str, element: ElementType, shape: Shape, mask: Mask) -> NamedCase<Problem> {
    NamedCase::new(name, Problem { shape, element, mask, lengths: Cow::Borrowed(&[]) })
}

const fn own(batch: usize, heads: usize, tokens: usize, head_dim: usize) -> Shape {
    grouped(batch, heads, heads, (tokens, tokens), head_dim)
}

const fn grouped(
    batch: usize,
    heads: usize,
    kv_heads: usize,
    (queries, keys): (usize, usize),
    head_dim: usize,
) -> Shape {
    Shape { batch, queries, keys, heads, kv_heads, head_dim, value_dim: head_dim }
}

/// Texts of 31 to 512 tokens, packed, as in `attention`.
const TEXTS: [usize; 16] = [128, 77, 201, 31, 512, 96, 64, 143, 333, 58, 256, 87, 111, 42, 178, 390];
const TEXT_TOKENS: usize = 2707;

const fn packed(name: &'static str, element: ElementType, heads: usize, head_dim: usize) -> NamedCase<Problem> {
    let (shape, lengths) = (own(1, heads, TEXT_TOKENS, head_dim), Cow::Borrowed(TEXTS.as_slice()));
    NamedCase::new(name, Problem { shape, element, mask: Mask::None, lengths })
}

/// All named cases.
pub static CASES: [NamedCase<Problem>; 21] = [
    // Small.
    case("f32-b1-h2-n96-d64", F32, own(1, 2, 96, 64), Mask::None),
    case("f16-b1-h2-n96-d64-causal", F16, own(1, 2, 96, 64), Mask::Causal),
    case("f16-b1-h8-kv2-q1-n600-d64", F16, grouped(1, 8, 2, (1, 600), 64), Mask::None),
    // One long sequence.
    case("f16-b1-h16-n16384-d128", F16, own(1, 16, 16384, 128), Mask::None),
    case("f16-b1-h16-n16384-d128-causal", F16, own(1, 16, 16384, 128), Mask::Causal),
    case("f16-b1-h16-n16384-d64", F16, own(1, 16, 16384, 64), Mask::None),
    case("f16-b1-h16-n4096-d128", F16, own(1, 16, 4096, 128), Mask::None).tier(2),
    case("f16-b1-h16-n4096-d64", F16, own(1, 16, 4096, 64), Mask::None).tier(2),
    case("f16-b1-h16-n16384-d64-causal", F16, own(1, 16, 16384, 64), Mask::Causal).tier(2),
    case("f16-b1-h16-n65536-d128", F16, own(1, 16, 65536, 128), Mask::None).tier(3),
    case("f32-b1-h16-n4096-d128", F32, own(1, 16, 4096, 128), Mask::None),
    case("f32-b1-h16-n4096-d64", F32, own(1, 16, 4096, 64), Mask::None).tier(2),
    case("f32-b1-h16-n4096-d32", F32, own(1, 16, 4096, 32), Mask::None).tier(3),
    case("bf16-b1-h16-n4096-d128", Bf16, own(1, 16, 4096, 128), Mask::None).tier(3),
    // Many short sequences.
    packed("f16-h12-texts16-d32", F16, 12, 32),
    case("f16-b32-h12-n128-d64", F16, own(32, 12, 128, 64), Mask::None).tier(2),
    // One query for each long KV cache.
    case("f16-b8-h32-kv8-q1-n16384-d128", F16, grouped(8, 32, 8, (1, 16384), 128), Mask::None).streamed(),
    case("f16-b1-h32-kv8-q1-n16384-d128", F16, grouped(1, 32, 8, (1, 16384), 128), Mask::None).streamed().tier(2),
    case("f16-b8-h32-q1-n4096-d128", F16, grouped(8, 32, 32, (1, 4096), 128), Mask::None).streamed().tier(2),
    case("f32-b8-h32-kv8-q1-n8192-d128", F32, grouped(8, 32, 8, (1, 8192), 128), Mask::None).streamed().tier(3),
    case("f16-b8-h32-kv8-q4-n8192-d128-causal", F16, grouped(8, 32, 8, (4, 8192), 128), Mask::Causal)
        .streamed()
        .tier(3),
];

/// The case of this name.
pub fn find(name: &str) -> Option<&'static NamedCase<Problem>> {
    CASES.iter().find(|case| case.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        op::check_table(&CASES).unwrap();
        assert!(CASES.iter().filter(|case| is_small(&case.params)).count() >= 3);
        let texts = find("f16-h12-texts16-d32").unwrap();
        assert_eq!(texts.params.bounds().unwrap().last(), Some(&texts.params.shape.keys));
    }

    #[test]
    fn names_say_what_the_parameters_are() {
        for case in &CASES {
            let Problem { shape, element, mask, lengths } = &case.params;
            let Shape { batch, queries, keys, heads, kv_heads, head_dim, .. } = shape;
            let kv = if kv_heads == heads { String::new() } else { format!("-kv{kv_heads}") };
            let q = if queries == keys { String::new() } else { format!("-q{queries}") };
            let mask = if *mask == Mask::Causal { "-causal" } else { "" };
            let name = match lengths.is_empty() {
                true => format!("{element}-b{batch}-h{heads}{kv}{q}-n{keys}-d{head_dim}{mask}"),
                false => format!("{element}-h{heads}-texts{}-d{head_dim}", lengths.len()),
            };
            assert_eq!(case.name, name);
        }
    }
}
