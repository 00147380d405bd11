// What the attention kernels share: parameters, items of work, bindings, and which keys a row sees.
//
// Tensors are dense, token x head x element, in quads: four stored elements (quad_*.wgsl). Constant: HEAD_DIM, a multiple
// of 4. Scores are in units of log2, so that exp2 makes weights of them.

struct Params {
    heads: u32,
    kv_heads: u32,
    // Heads of Q for each head of K and V.
    group: u32,
    // 1 / sqrt(head_dim) in units of log2.
    scale: f32,
    // Keys that a query sees before and after its own position, at most 2^30.
    left: i32,
    right: i32,
    // Items of the list.
    items: u32,
    // Workgroups in the first dimension of a dispatch; the second holds the rest.
    columns: u32,
    // The most queries of an item.
    most_queries: u32,
    unused_0: u32,
    unused_1: u32,
    unused_2: u32,
}

// Some queries, and the keys that they see. Tokens are counted from the beginning of the bindings; keys, from the first of
// the sequence, which may lie before the binding: the sum of `key_token` and a key that is read wraps around to where
// that key is.
struct Item {
    query_token: u32,
    queries: u32,
    key_token: u32,
    // Of the first query: that of the key at which it stands; negative where there are more queries than keys.
    position: i32,
    // The keys to read: those that any of the queries sees.
    begin: i32,
    end: i32,
    unused_0: u32,
    unused_1: u32,
}

@group(0) @binding(0) var<storage, read> q: array<Quad>;
@group(0) @binding(1) var<storage, read> k: array<Quad>;
@group(0) @binding(2) var<storage, read> v: array<Quad>;
@group(0) @binding(4) var<storage, read> items: array<Item>;
@group(0) @binding(5) var<uniform> params: Params;

const QUADS = HEAD_DIM / 4u;
// The score of a key that is not seen, and the largest score before there is one.
const LOWEST = -3.0e38;

// The index of a quad of a query, and of a key or its value.
fn query_at(token: u32, head: u32, quad: u32) -> u32 { return (token * params.heads + head) * QUADS + quad; }
fn key_at(token: u32, kv_head: u32, quad: u32) -> u32 { return (token * params.kv_heads + kv_head) * QUADS + quad; }

// c + a b^T: column j of c belongs to b[j], its elements to those of a.
fn outer(c: mat4x4<f32>, a: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        fma(a, vec4<f32>(b.x), c[0]),
        fma(a, vec4<f32>(b.y), c[1]),
        fma(a, vec4<f32>(b.z), c[2]),
        fma(a, vec4<f32>(b.w), c[3]),
    );
}

// Every column times the same vector, element by element.
fn columns_times(c: mat4x4<f32>, a: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(c[0] * a, c[1] * a, c[2] * a, c[3] * a);
}

fn largest_column(c: mat4x4<f32>) -> vec4<f32> { return max(max(c[0], c[1]), max(c[2], c[3])); }
fn sum_of_columns(c: mat4x4<f32>) -> vec4<f32> { return (c[0] + c[1]) + (c[2] + c[3]); }

// The scores of four rows for a key; LOWEST for the rows that do not see it.
fn visible(score: vec4<f32>, key: i32, low: vec4<i32>, high: vec4<i32>) -> vec4<f32> {
    return select(vec4<f32>(LOWEST), score, (vec4<i32>(key) >= low) & (vec4<i32>(key) < high));
}

// exp2(score - m), and 0 for a score of LOWEST even where m is LOWEST, too.
fn weight(score: vec4<f32>, m: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(), exp2(score - m), score > vec4<f32>(LOWEST));
}

// Products of 4 rows and 4 keys (one for each column) as scores; those that are not seen are LOWEST.
fn seen(s: mat4x4<f32>, key: i32, low: vec4<i32>, high: vec4<i32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        visible(params.scale * s[0], key, low, high),
        visible(params.scale * s[1], key + 1, low, high),
        visible(params.scale * s[2], key + 2, low, high),
        visible(params.scale * s[3], key + 3, low, high),
    );
}

fn all_weights(s: mat4x4<f32>, m: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(weight(s[0], m), weight(s[1], m), weight(s[2], m), weight(s[3], m));
}
