//! A plan: the dispatches of a problem, before any device memory is taken.

use std::{ops::Range, sync::LazyLock};

use attention::{ElementType, cases::Problem};
use gpu::{Capabilities, Source, grid_of};

use crate::{
    error::AttentionGpuError,
    items::{FAR, Item, items, most_queries, sides},
    variant::{MOST_HEAD_DIM, VARIANTS, Variant, head_of},
};

/// Part of a tensor, in tokens.
pub(crate) type Tokens = Range<u64>;

/// One dispatch of the kernel proper: items whose tensors fit in one binding each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Window {
    /// Words of the uniform buffer.
    pub(crate) params: Vec<u32>,
    /// Words of the list of items.
    pub(crate) items: Vec<u32>,
    pub(crate) grid: [u32; 3],
    /// Of Q and the output.
    pub(crate) queries: Tokens,
    /// Of K and V.
    pub(crate) keys: Tokens,
    /// Workgroups.
    pub(crate) groups: u64,
}

/// The dispatches of a problem.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) variant: Variant,
    /// Each with a merge, if keys are split.
    pub(crate) windows: Vec<(Window, Option<Window>)>,
}

/// Words of an item.
const ITEM_WORDS: u64 = 8;

impl Plan {
    /// Divides a problem that was checked.
    pub(crate) fn new(problem: &Problem, variant: Variant, has: &Capabilities) -> Result<Self, AttentionGpuError> {
        if let Some(reason) = variant.lacks(problem, has) {
            return Err(AttentionGpuError::Variant { variant: variant.name(), reason });
        }
        let shape = problem.shape;
        let bytes_of = |heads: usize| (heads * shape.head_dim * problem.element.bytes()) as u64;
        let limits = Limits {
            query_bytes: bytes_of(shape.heads),
            key_bytes: bytes_of(shape.kv_heads),
            most: has.binding_bytes,
            align: has.binding_align.max(1),
        };
        let mut plan = Self { variant, windows: Vec::new() };
        let rows = if variant.is_decode() { u64::MAX } else { u64::from(variant.rows()) };
        let mut open = Vec::new();
        let mut spans: Option<(Tokens, Tokens)> = None;
        for item in items(problem, rows) {
            let mut wider = limits.wider(spans.clone(), &item);
            if wider.is_none() && !open.is_empty() {
                plan.close(problem, has, std::mem::take(&mut open), &limits, spans);
                wider = limits.wider(None, &item);
            }
            if wider.is_none() {
                return Err(limits.refusal(&item));
            }
            spans = wider;
            open.push(item);
        }
        plan.close(problem, has, open, &limits, spans);
        Ok(plan)
    }

    /// Makes a window of items.
    fn close(
        &mut self,
        problem: &Problem,
        has: &Capabilities,
        mut open: Vec<Item>,
        limits: &Limits,
        spans: Option<(Tokens, Tokens)>,
    ) {
        let Some((queries, keys)) = spans else { return };
        // Bindings begin at aligned bytes.
        let queries = limits.aligned(queries, limits.query_bytes);
        let keys = limits.aligned(keys, limits.key_bytes);
        let (shape, most_queries) = (problem.shape, most_queries(problem));
        let window = |items: Vec<u32>, of_each: u64| {
            let count = items.len() as u64 / ITEM_WORDS;
            let groups = count * of_each;
            let grid = grid_of(groups, has.grid_axis);
            let params = params(problem, count, grid[0], most_queries);
            Window { params, items, grid, queries: queries.clone(), keys: keys.clone(), groups }
        };
        let at = |item: &Item, begin: u64, end: u64| {
            let key_token = item.key_token.wrapping_sub(keys.start) as u32;
            let query_token = (item.query_token - queries.start) as u32;
            [query_token, item.queries as u32, key_token, item.position as u32, begin as u32, end as u32, 0, 0]
        };
        let Variant::Decode { part, groups, .. } = self.variant else {
            // The longest first, so that none begins late.
            open.sort_by_key(|item| std::cmp::Reverse(item.end - item.begin));
            let list = open.iter().flat_map(|item| at(item, item.begin, item.end)).collect();
            self.windows.push((window(list, shape.heads as u64), None));
            return;
        };
        let (mut parts, mut merges) = (Vec::new(), Vec::new());
        for item in open {
            let first = parts.len() as u64 / ITEM_WORDS;
            for part in item.parts(u64::from(part)) {
                parts.extend(at(&part, part.begin, part.end));
            }
            merges.extend(at(&item, first, parts.len() as u64 / ITEM_WORDS));
        }
        let blocks = (most_queries * shape.group() as u64).div_ceil(u64::from(4 * groups));
        let merge = window(merges, most_queries * shape.heads as u64);
        self.windows.push((window(parts, shape.kv_heads as u64 * blocks), Some(merge)));
    }
}

/// What fits in a binding.
struct Limits {
    /// Bytes of a token of Q and the output.
    query_bytes: u64,
    /// Bytes of a token of K and V.
    key_bytes: u64,
    most: u64,
    align: u64,
}

impl Limits {
    /// Why an item alone does not fit.
    fn refusal(&self, item: &Item) -> AttentionGpuError {
        let queries = item.queries.saturating_mul(self.query_bytes);
        let keys = (item.end - item.begin).saturating_mul(self.key_bytes);
        let (tensor, bytes) = if queries > self.most { ("Q", queries) } else { ("K", keys) };
        AttentionGpuError::Binding { tensor, bytes, most: self.most }
    }

    /// The tokens of a window with one more item; `None` if they do not fit in a binding.
    fn wider(&self, spans: Option<(Tokens, Tokens)>, item: &Item) -> Option<(Tokens, Tokens)> {
        let (queries, keys) = spans.unwrap_or((item.query_tokens(), item.key_tokens()));
        let union = |a: Tokens, b: Tokens| match (a.is_empty(), b.is_empty()) {
            (true, _) => b,
            (_, true) => a,
            _ => a.start.min(b.start)..a.end.max(b.end),
        };
        let (queries, keys) = (union(queries, item.query_tokens()), union(keys, item.key_tokens()));
        let fits = |tokens: &Tokens, bytes: u64| {
            let tokens = self.aligned(tokens.clone(), bytes);
            (tokens.end - tokens.start).saturating_mul(bytes) <= self.most
        };
        (fits(&queries, self.query_bytes) && fits(&keys, self.key_bytes)).then_some((queries, keys))
    }

    /// Tokens whose first byte is at a multiple of the alignment.
    fn aligned(&self, tokens: Tokens, bytes: u64) -> Tokens {
        let step = self.align / gcd(self.align, bytes.max(1));
        tokens.start / step * step..tokens.end
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The uniform buffer of a dispatch.
fn params(problem: &Problem, items: u64, columns: u32, most_queries: u64) -> Vec<u32> {
    let shape = problem.shape;
    let (left, right) = sides(problem.mask);
    let scale = std::f32::consts::LOG2_E / (shape.head_dim.max(1) as f32).sqrt();
    vec![
        shape.heads as u32,
        shape.kv_heads as u32,
        shape.group() as u32,
        scale.to_bits(),
        left as u32,
        right as u32,
        items as u32,
        columns,
        most_queries as u32,
        0,
        0,
        0,
    ]
}

/// Checks what all variants need.
pub(crate) fn check(problem: &Problem) -> Result<(), AttentionGpuError> {
    let shape = problem.shape;
    if shape.head_dim != shape.value_dim || !shape.head_dim.is_multiple_of(4) || shape.head_dim > MOST_HEAD_DIM {
        let (head_dim, value_dim, most) = (shape.head_dim, shape.value_dim, MOST_HEAD_DIM);
        return Err(AttentionGpuError::HeadDim { head_dim, value_dim, most });
    }
    if shape.heads > 0 && (shape.kv_heads == 0 || !shape.heads.is_multiple_of(shape.kv_heads)) {
        return Err(AttentionGpuError::HeadGroups { heads: shape.heads, kv_heads: shape.kv_heads });
    }
    if !problem.lengths.is_empty() {
        let got = problem.lengths.iter().fold(0_usize, |sum, length| sum.saturating_add(*length));
        let (queries, keys, batch) = (shape.queries, shape.keys, shape.batch);
        if got != queries || got != keys || batch != 1 {
            return Err(AttentionGpuError::Lengths { got, queries, keys, batch });
        }
    }
    let product =
        |factors: &[usize]| factors.iter().fold(1_u64, |product, factor| product.saturating_mul(*factor as u64));
    let tokens = product(&[shape.batch, shape.queries.max(shape.keys)]);
    // Quads are counted in 32 bits; workgroups, too.
    let most_quads = u64::from(u32::MAX);
    let quads = product(&[shape.batch, shape.queries.max(shape.keys), shape.heads.max(1), shape.head_dim.max(4) / 4]);
    for (what, got, most) in [
        ("the number of tokens", tokens, FAR as u64 - 1),
        ("the number of quads of a tensor", quads, most_quads),
        ("the number of rows", product(&[shape.batch, shape.queries, shape.heads]), most_quads),
    ] {
        if got > most {
            return Err(AttentionGpuError::TooLarge { what, got, most });
        }
    }
    Ok(())
}

const SHARED: &str = include_str!("../../../kernels/shared/attention.wgsl");

/// Text that declares how four elements are stored.
fn quad(element: ElementType) -> &'static str {
    match element {
        ElementType::F32 => include_str!("../../../kernels/shared/quad_f32.wgsl"),
        ElementType::F16 => include_str!("../../../kernels/shared/quad_f16.wgsl"),
        ElementType::Bf16 => include_str!("../../../kernels/shared/quad_bf16.wgsl"),
    }
}

/// The kernel of a variant.
pub(crate) fn source(variant: Variant, element: ElementType, head_dim: u32) -> Source {
    let of = |name, text, quad| Source::new(name, text).with(quad).with(SHARED).constant("HEAD_DIM", head_dim);
    match variant {
        Variant::Tile { rows, keys, depth, keys_v, tall } => {
            of("attention-tile", include_str!("../../../kernels/attention/tile.wgsl"), quad(element))
                .constant("ROWS", rows)
                .constant("KEYS", keys)
                .constant("DEPTH", depth)
                .constant("KEYS_V", keys_v)
                .constant("TALL", tall)
        }
        Variant::Coop { .. } => {
            let blocks = include_str!("../../../kernels/shared/attention_blocks.wgsl");
            coop_source(variant, head_dim, COOP, blocks)
        }
        Variant::Decode { threads, part, groups } => {
            of("attention-decode", include_str!("../../../kernels/attention/decode.wgsl"), quad(element))
                .constant("THREADS", threads)
                .constant("PART", part)
                .constant("GROUPS", groups)
        }
    }
}

const COOP: &str = include_str!("../../../kernels/attention/coop.wgsl");

fn coop_source(variant: Variant, head_dim: u32, text: &'static str, matrices: &'static str) -> Source {
    let Variant::Coop { subgroups, blocks } = variant else { unreachable!("only for cooperative matrices") };
    Source::new("attention-coop", text)
        .with(include_str!("../../../kernels/shared/quad_native_f16.wgsl"))
        .with(SHARED)
        .with(include_str!("../../../kernels/shared/attention_coop.wgsl"))
        .with(matrices)
        .constant("HEAD_DIM", head_dim)
        .constant("HEAD", head_of(head_dim))
        .constant("SUBGROUPS", subgroups)
        .constant("BLOCKS", blocks)
}

/// The kernel of a variant, with products of matrices by invocations in place of cooperative ones: all else is the same
/// text, so that an adapter without them can prove it.
pub(crate) fn emulated_source(variant: Variant, element: ElementType, head_dim: u32) -> Source {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let text = COOP.replace("enable wgpu_cooperative_matrix;\n", "");
        let text = text.replace("coopMultiplyAdd(", "emulated_multiply_add(");
        text.replacen("    let index", "    begin_emulation(t);\n    let index", 1)
    });
    match variant {
        Variant::Coop { .. } => {
            let blocks = include_str!("../../../kernels/shared/attention_blocks_emulated.wgsl");
            coop_source(variant, head_dim, &TEXT, blocks)
        }
        _ => source(variant, element, head_dim),
    }
}

/// Invocations of a workgroup of `merge.wgsl`: as many as the largest head has quads.
const MERGE_THREADS: u32 = MOST_HEAD_DIM as u32 / 4;

/// The kernel that merges what parts left.
pub(crate) fn merge_source(element: ElementType, head_dim: u32, groups: u32) -> Source {
    Source::new("attention-merge", include_str!("../../../kernels/attention/merge.wgsl"))
        .with(quad(element))
        .with(SHARED)
        .constant("HEAD_DIM", head_dim)
        .constant("MERGE_THREADS", MERGE_THREADS)
        .constant("GROUPS", groups)
}

/// The kernels of all variants, for these heads: what tests validate, and what a cache key hashes.
pub fn sources(head_dims: &[u32]) -> Vec<Source> {
    let mut all = Vec::new();
    for &head_dim in head_dims {
        for element in ElementType::ALL {
            for (_, variant) in VARIANTS {
                let is_coop = matches!(variant, Variant::Coop { .. });
                let is_wide = matches!(variant, Variant::Tile { keys, .. } if head_dim > 2 * keys);
                if !is_wide && (!is_coop || element == ElementType::F16) {
                    all.push(source(variant, element, head_dim));
                }
            }
            all.extend([1, 2].map(|groups| merge_source(element, head_dim, groups)));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of workgroup memory that a variant is said to need are those that its kernel declares.
    #[test]
    fn workgroup_memory_is_counted_as_declared() {
        for (name, variant) in VARIANTS {
            let is_coop = matches!(variant, Variant::Coop { .. });
            for element in ElementType::ALL.into_iter().filter(|element| !is_coop || *element == ElementType::F16) {
                for head_dim in [32, 80, 128] {
                    let text = source(variant, element, head_dim).wgsl();
                    let module = naga::front::wgsl::parse_str(&text).unwrap();
                    let mut layouts = naga::proc::Layouter::default();
                    layouts.update(module.to_ctx()).unwrap();
                    let of_workgroup = module.global_variables.iter().map(|(_, variable)| variable);
                    let of_workgroup = of_workgroup.filter(|variable| variable.space == naga::AddressSpace::WorkGroup);
                    let declared: u32 = of_workgroup.map(|variable| layouts[variable.ty].size).sum();
                    assert_eq!(variant.workgroup_bytes(element, head_dim), declared, "{name} {element} {head_dim}");
                }
            }
        }
    }
}
