// What the cooperative-matrix attention keeps in workgroup memory, and how tiles of keys and rows of lanes come there and
// go from there. Constants as in attention/coop.wgsl. Every function with barriers is called by all invocations.

@group(0) @binding(3) var<storage, read_write> out: array<Quad>;

const LANES = 32u;
const THREADS = LANES * SUBGROUPS;
const KEYS = 32u;
// Rows of a subgroup, and lanes of a row.
const ROWS = 16u * BLOCKS;
const SHARE = LANES / ROWS;
const SLACK = 8.0;
const HEAD_QUADS = HEAD / 4u;
// Strides in vectors: 16 bytes more than the elements spread rows over the banks.
const KV_STRIDE = HEAD_QUADS + 2u;
const P_STRIDE = KEYS / 4u + 2u;
const S_STRIDE = KEYS / 4u + 1u;

var<workgroup> keys: array<vec4<f16>, KEYS * KV_STRIDE>;
var<workgroup> values: array<vec4<f16>, KEYS * KV_STRIDE>;
// Of each subgroup: scores as row x key; also 32 elements of the head of o, on their way to be scaled or stored.
var<workgroup> scores: array<vec4<f32>, SUBGROUPS * ROWS * S_STRIDE>;
// Of each subgroup: weights as row x key; before that, 32 elements of the head of Q.
var<workgroup> weights: array<vec4<f16>, SUBGROUPS * ROWS * P_STRIDE>;
var<workgroup> is_raised: atomic<u32>;

fn load_keys_and_values(t: u32, item: Item, kv_head: u32, first: i32) {
    for (var at = t; at < KEYS * HEAD_QUADS; at += THREADS) {
        let key = first + i32(at / HEAD_QUADS);
        let quad = at % HEAD_QUADS;
        var k_quad = zero_quad();
        var v_quad = zero_quad();
        if (key < item.end && quad < QUADS) {
            let source = key_at(item.key_token + u32(key), kv_head, quad);
            k_quad = k[source];
            v_quad = v[source];
        }
        let to = at / HEAD_QUADS * KV_STRIDE + quad;
        keys[to] = k_quad;
        values[to] = v_quad;
    }
}

// What a lane knows of its row.
struct Row {
    // In the item, and in `scores` and `weights`.
    row: u32,
    slot: u32,
    // The lane's share of the vectors of the row.
    begin: u32,
    end: u32,
    // The keys that it sees.
    low: i32,
    high: i32,
}

// Four scores from key `key` on.
fn scores_at(row: Row, i: u32, first: i32, is_whole: bool) -> vec4<f32> {
    let s = params.scale * scores[row.slot * S_STRIDE + i];
    if (is_whole) {
        return s;
    }
    let key = vec4<i32>(first + i32(4u * i)) + vec4<i32>(0, 1, 2, 3);
    return select(vec4<f32>(LOWEST), s, (key >= vec4<i32>(row.low)) & (key < vec4<i32>(row.high)));
}

// Stores the lane's share of the weights of its row. `ml` is m and l, before and after.
fn weigh(row: Row, first: i32, is_whole: bool, ml: vec2<f32>) -> vec2<f32> {
    var top = vec4<f32>(LOWEST);
    for (var i = 0u; i < KEYS / 4u; i++) {
        top = max(top, scores_at(row, i, first, is_whole));
    }
    let highest = max(max(top.x, top.y), max(top.z, top.w));
    var m = ml.x;
    var l = ml.y;
    if (highest > m + SLACK) {
        l *= exp2(m - highest);
        m = highest;
        atomicStore(&is_raised, 1u);
    }
    for (var i = row.begin; i < row.end; i++) {
        let p = vec4<f16>(weight(scores_at(row, i, first, is_whole), vec4<f32>(m)));
        weights[row.slot * P_STRIDE + i] = p;
        let wide = vec4<f32>(p);
        l += (wide.x + wide.y) + (wide.z + wide.w);
    }
    return vec2<f32>(m, l);
}

// Scales what `store_block` left of the lane's row; between barriers.
fn scale_row(row: Row, factor: f32) {
    workgroupBarrier();
    for (var i = row.begin; i < row.end; i++) {
        scores[row.slot * S_STRIDE + i] *= factor;
    }
    workgroupBarrier();
}

// Writes 32 elements of the head of the lane's row, times a factor; between barriers.
fn store_row(row: Row, item: Item, head: u32, d: u32, factor: f32) {
    workgroupBarrier();
    for (var i = row.begin; i < row.end; i++) {
        let quad = 8u * d + i;
        if (row.row < item.queries && quad < QUADS) {
            out[query_at(item.query_token + row.row, head, quad)] = narrow(factor * scores[row.slot * S_STRIDE + i]);
        }
    }
    workgroupBarrier();
}

// Brings 32 elements of the head of the lane's row of Q; between barriers.
fn load_row(row: Row, item: Item, head: u32, d: u32) {
    workgroupBarrier();
    for (var i = row.begin; i < row.end; i++) {
        let quad = 8u * d + i;
        var value = zero_quad();
        if (row.row < item.queries && quad < QUADS) {
            value = q[query_at(item.query_token + row.row, head, quad)];
        }
        weights[row.slot * P_STRIDE + i] = value;
    }
    workgroupBarrier();
}

// The sum of what the lanes of a row have; between barriers.
fn sum_of_lanes(row: Row, share: u32, mine: f32) -> f32 {
    workgroupBarrier();
    scores[row.slot * S_STRIDE + share] = vec4<f32>(mine);
    workgroupBarrier();
    var sum = scores[row.slot * S_STRIDE].x;
    if (SHARE == 2u) {
        sum += scores[row.slot * S_STRIDE + 1u].x;
    }
    workgroupBarrier();
    return sum;
}
