// Attention of few queries to a part of the keys: decoding with a long KV cache. `merge.wgsl` combines the parts.
//
// The queries of all heads that share a head of K and V are rows of one product, so K and V are read once for them: a
// workgroup has 4 GROUPS rows and at most PART keys. It reads K in blocks of THREADS keys, coalesced, into workgroup
// memory; then each thread makes the scores of one key for all rows. Once all scores of the part are there, their
// largest m and the sum l of exp2(score - m) are found. Last, each thread sums weight times V for four elements of the
// head and every STEP-th key, reading V coalesced, and the sums of the threads are added in a fixed order.
//
// Constants: THREADS (at least HEAD_DIM / 4), PART (a multiple of THREADS), GROUPS (1 or 2).
//
// A row is query x group + head within the group; rows beyond the last, and keys beyond the part, count as 0.

// Of each workgroup and row: o, not divided by l.
@group(0) @binding(3) var<storage, read_write> sums: array<vec4<f32>>;
// Of each workgroup and row: m and l.
@group(0) @binding(6) var<storage, read_write> scales: array<vec2<f32>>;

// Keys at a time in the second product.
const STEP = THREADS / QUADS;
// A stride that is odd in quads spreads keys over the banks.
const KEY_STRIDE = QUADS | 1u;

// Element x group of rows.
var<workgroup> queries: array<vec4<f32>, HEAD_DIM * GROUPS>;
var<workgroup> keys: array<Quad, THREADS * KEY_STRIDE>;
// Scores, then weights: group of rows x key.
var<workgroup> scores: array<vec4<f32>, GROUPS * PART>;
var<workgroup> exchange: array<vec4<f32>, THREADS>;
var<workgroup> partial: array<mat4x4<f32>, THREADS>;

// One element of a row of Q, times the scale.
fn query_element(item: Item, kv_head: u32, row: u32, d: u32) -> f32 {
    if (row >= item.queries * params.group) {
        return 0.0;
    }
    let head = kv_head * params.group + row % params.group;
    return params.scale * widen(q[query_at(item.query_token + row / params.group, head, d / 4u)])[d % 4u];
}

fn load_queries(t: u32, item: Item, kv_head: u32, first_row: u32) {
    for (var at = t; at < HEAD_DIM * GROUPS; at += THREADS) {
        let d = at / GROUPS;
        let row = first_row + 4u * (at % GROUPS);
        queries[at] = vec4<f32>(
            query_element(item, kv_head, row, d),
            query_element(item, kv_head, row + 1u, d),
            query_element(item, kv_head, row + 2u, d),
            query_element(item, kv_head, row + 3u, d),
        );
    }
}

// The keys from `first` on, a quad by a thread.
fn load_keys(t: u32, item: Item, kv_head: u32, first: i32) {
    for (var at = t; at < THREADS * QUADS; at += THREADS) {
        let key = first + i32(at / QUADS);
        var quad = zero_quad();
        if (key < item.end) {
            quad = k[key_at(item.key_token + u32(key), kv_head, at % QUADS)];
        }
        keys[at / QUADS * KEY_STRIDE + at % QUADS] = quad;
    }
}

// Four rows of group `g` times the key of thread `t`.
fn score(t: u32, g: u32) -> vec4<f32> {
    var s = vec4<f32>();
    for (var quad = 0u; quad < QUADS; quad++) {
        let key = widen(keys[t * KEY_STRIDE + quad]);
        let at = 4u * quad * GROUPS + g;
        s = fma(queries[at], vec4<f32>(key.x), s);
        s = fma(queries[at + GROUPS], vec4<f32>(key.y), s);
        s = fma(queries[at + 2u * GROUPS], vec4<f32>(key.z), s);
        s = fma(queries[at + 3u * GROUPS], vec4<f32>(key.w), s);
    }
    return s;
}

// The positions of the queries of four rows.
fn positions(item: Item, row: u32) -> vec4<i32> {
    let rows = vec4<u32>(row, row + 1u, row + 2u, row + 3u);
    return vec4<i32>(item.position) + vec4<i32>(rows / params.group);
}

// Makes weights of the scores of a group of rows; returns m and l.
fn weigh(t: u32, g: u32) -> mat2x4<f32> {
    var m = vec4<f32>(LOWEST);
    for (var at = t; at < PART; at += THREADS) {
        m = max(m, scores[g * PART + at]);
    }
    exchange[t] = m;
    workgroupBarrier();
    for (var i = 0u; i < THREADS; i++) {
        m = max(m, exchange[i]);
    }
    workgroupBarrier();
    var l = vec4<f32>();
    for (var at = t; at < PART; at += THREADS) {
        let p = weight(scores[g * PART + at], m);
        scores[g * PART + at] = p;
        l += p;
    }
    exchange[t] = l;
    workgroupBarrier();
    l = exchange[0];
    for (var i = 1u; i < THREADS; i++) {
        l += exchange[i];
    }
    workgroupBarrier();
    return mat2x4<f32>(m, l);
}

fn value(item: Item, kv_head: u32, at: u32, quad: u32) -> vec4<f32> {
    let key = item.begin + i32(at);
    if (key >= item.end) {
        return vec4<f32>();
    }
    return widen(v[key_at(item.key_token + u32(key), kv_head, quad)]);
}

fn weight_of(g: u32, at: u32) -> vec4<f32> {
    // A value beyond the part is 0 already.
    return scores[g * PART + min(at, PART - 1u)];
}

// Adds the sums of all threads for a quad, and stores them with m and l.
fn store(t: u32, slot: u32, o: mat4x4<f32>, ml: mat2x4<f32>) {
    partial[t] = o;
    workgroupBarrier();
    if (t < QUADS) {
        var sum = partial[t];
        for (var i = 1u; i < STEP; i++) {
            sum += partial[i * QUADS + t];
        }
        let rows = transpose(sum);
        sums[slot * QUADS + t] = rows[0];
        sums[(slot + 1u) * QUADS + t] = rows[1];
        sums[(slot + 2u) * QUADS + t] = rows[2];
        sums[(slot + 3u) * QUADS + t] = rows[3];
    }
    if (t < 4u) {
        scales[slot + t] = vec2<f32>(ml[0][t], ml[1][t]);
    }
    workgroupBarrier();
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) t: u32, @builtin(workgroup_id) workgroup: vec3<u32>) {
    let blocks = (params.most_queries * params.group + 4u * GROUPS - 1u) / (4u * GROUPS);
    let index = workgroup.y * params.columns + workgroup.x;
    if (index >= params.items * params.kv_heads * blocks) {
        return;
    }
    let first_row = index % blocks * 4u * GROUPS;
    let kv_head = index / blocks % params.kv_heads;
    let item = items[index / blocks / params.kv_heads];

    load_queries(t, item, kv_head, first_row);
    let position_0 = positions(item, first_row);
    let position_1 = positions(item, first_row + 4u);
    for (var block = 0u; block < PART; block += THREADS) {
        let key = item.begin + i32(block + t);
        let end = vec4<i32>(item.end);
        let high_0 = min(position_0 + params.right + 1, end);
        let high_1 = min(position_1 + params.right + 1, end);
        var s_0 = vec4<f32>(LOWEST);
        var s_1 = vec4<f32>(LOWEST);
        if (item.begin + i32(block) < item.end) {
            load_keys(t, item, kv_head, item.begin + i32(block));
            workgroupBarrier();
            s_0 = visible(score(t, 0u), key, position_0 - params.left, high_0);
            if (GROUPS == 2u) {
                s_1 = visible(score(t, GROUPS - 1u), key, position_1 - params.left, high_1);
            }
            workgroupBarrier();
        }
        scores[block + t] = s_0;
        if (GROUPS == 2u) {
            scores[(GROUPS - 1u) * PART + block + t] = s_1;
        }
    }
    // A thread reads the scores that it wrote; the first barrier inside comes before it reads those of others.
    let ml_0 = weigh(t, 0u);
    var ml_1 = ml_0;
    if (GROUPS == 2u) {
        ml_1 = weigh(t, GROUPS - 1u);
    }

    var o_0 = mat4x4<f32>();
    var o_1 = mat4x4<f32>();
    let count = u32(max(item.end - item.begin, 0));
    if (t < STEP * QUADS) {
        let quad = t % QUADS;
        for (var at = t / QUADS; at < count; at += 4u * STEP) {
            let a = value(item, kv_head, at, quad);
            let b = value(item, kv_head, at + STEP, quad);
            let c = value(item, kv_head, at + 2u * STEP, quad);
            let d = value(item, kv_head, at + 3u * STEP, quad);
            o_0 = outer(o_0, weight_of(0u, at), a);
            o_0 = outer(o_0, weight_of(0u, at + STEP), b);
            o_0 = outer(o_0, weight_of(0u, at + 2u * STEP), c);
            o_0 = outer(o_0, weight_of(0u, at + 3u * STEP), d);
            if (GROUPS == 2u) {
                o_1 = outer(o_1, weight_of(GROUPS - 1u, at), a);
                o_1 = outer(o_1, weight_of(GROUPS - 1u, at + STEP), b);
                o_1 = outer(o_1, weight_of(GROUPS - 1u, at + 2u * STEP), c);
                o_1 = outer(o_1, weight_of(GROUPS - 1u, at + 3u * STEP), d);
            }
        }
    }
    store(t, index * 4u * GROUPS, o_0, ml_0);
    if (GROUPS == 2u) {
        store(t, index * 4u * GROUPS + 4u, o_1, ml_1);
    }
}
