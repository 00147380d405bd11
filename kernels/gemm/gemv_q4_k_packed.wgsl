// y = x W^T for weights in Q4_K, packed: the quants of all blocks, their scales and their factors each in
// a place of their own.
//
// Sixteen lanes take two blocks of a row at a time, each one vector of 16 bytes of quants: half of the numbers of
// sub-blocks 2 j and 2 j + 1. x is rounded to 8 bits (round.wgsl), so a vector takes eight products of four bytes. The
// minimum of a sub-block is multiplied with the sum of the codes of x, which the rounding has left.
//
// A workgroup of GROUP invocations computes GROUP / 16 times ROWS rows. UNROLL pairs of blocks are in flight at a time:
// all that they need is loaded before anything is computed, without a branch between, so that their latencies overlap.
// With LATE, that is their quants alone: scales and codes, which come from a cache mostly, are loaded where they are
// used, and take no registers before.
//
// Row `group.z` of those of x that are asked for is multiplied; workgroups of several rows share weights in the caches.
//
// Constants: GROUP, ROWS 1 or 2, UNROLL 1 to 5, LATE, BLOCKS of a row.
//
// Indices: blocks below BLOCKS of rows below n, both clamped: what was computed twice is multiplied with zero or dropped.

@group(0) @binding(0) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> codes: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> terms: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;
// Rows; of x the first row and, in the upper half, the rows from one to the next; elements from row to row of y; the
// first row of W that is bound.
@group(0) @binding(4) var<uniform> shape: vec4<u32>;
// For each block four words: scales of sub-blocks 2 j and 2 j + 1, then their minima.
@group(0) @binding(5) var<storage, read> scales: array<u32>;
// For each block d and dmin.
@group(0) @binding(6) var<storage, read> factors: array<u32>;

var<workgroup> sums: array<vec2<f32>, GROUP>;

// A half of two sub-blocks of weights.
struct Quants {
    q: vec4<u32>,
    block: u32,
    scales: u32,
    factors: u32,
}

// The codes of x that belong to it.
struct Codes {
    low: vec4<u32>,
    high: vec4<u32>,
    term: vec4<u32>,
}

fn quants_of(block: u32, lane: u32) -> Quants {
    var w = Quants(weights[block * 8u + (lane & 7u)], block, 0u, 0u);
    if (!LATE) { w = with_scales(w, lane); }
    return w;
}

fn with_scales(v: Quants, lane: u32) -> Quants {
    var w = v;
    w.scales = scales[w.block * 4u + ((lane & 7u) >> 1u)];
    w.factors = factors[w.block];
    return w;
}

fn scales_of(w: Quants, j: u32) -> vec4<f32> {
    return vec4<f32>(unpack4xU8(w.scales));
}

fn factors_of(w: Quants) -> vec2<f32> {
    return unpack2x16float(w.factors);
}

fn codes_of(block: u32, lane: u32, is_new: bool) -> Codes {
    let j = (lane & 7u) >> 1u;
    let at = block * 16u + j * 4u + (lane & 1u);
    var term = terms[block * 4u + j];
    if (!WHOLE) { term.x = select(0u, term.x, is_new); }
    return Codes(codes[at], codes[at + 2u], term);
}

// Weights times codes.
fn product(v: Quants, x: Codes, lane: u32) -> f32 {
    var w = v;
    if (LATE) { w = with_scales(w, lane); }
    let mask = vec4<u32>(0x0f0f0f0fu);
    let ql = w.q & mask;
    let qh = (w.q >> vec4<u32>(4u)) & mask;
    let low = dot4I8Packed(ql.x, x.low.x) + dot4I8Packed(ql.y, x.low.y)
        + dot4I8Packed(ql.z, x.low.z) + dot4I8Packed(ql.w, x.low.w);
    let high = dot4I8Packed(qh.x, x.high.x) + dot4I8Packed(qh.y, x.high.y)
        + dot4I8Packed(qh.z, x.high.z) + dot4I8Packed(qh.w, x.high.w);
    // The sums of this half's codes, from numbers of 16 bits.
    let shift = 16u - (lane & 1u) * 16u;
    let sum_low = f32(bitcast<i32>(x.term.y << shift) >> 16u);
    let sum_high = f32(bitcast<i32>(x.term.w << shift) >> 16u);
    let s = scales_of(w, (lane & 7u) >> 1u);
    let d = factors_of(w);
    let scaled = s.x * f32(low) + s.y * f32(high);
    return bitcast<f32>(x.term.x) * (d.x * scaled - d.y * (s.z * sum_low + s.w * sum_high));
}

const WHOLE = BLOCKS % (2u * UNROLL) == 0u;

@compute @workgroup_size(GROUP)
fn main(
    @builtin(local_invocation_index) t: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let lane = t & 15u;
    let n = shape.x;
    let first = ((group.y * groups.x + group.x) * (GROUP / 16u) + t / 16u) * ROWS;
    let row_a = min(first, n - 1u) * BLOCKS;
    let row_b = min(first + 1u, n - 1u) * BLOCKS;
    let x = (group.z * (shape.y >> 16u) + (shape.y & 0xffffu)) * BLOCKS;
    var sum = vec2<f32>(0.0);
    for (var start = lane / 8u; start < BLOCKS + lane / 8u; start += 2u * UNROLL) {
        let b0 = select(min(start, BLOCKS - 1u), start, WHOLE);
        let b1 = select(min(start + 2u, BLOCKS - 1u), start + 2u, WHOLE);
        let b2 = select(min(start + 4u, BLOCKS - 1u), start + 4u, WHOLE);
        let b3 = select(min(start + 6u, BLOCKS - 1u), start + 6u, WHOLE);
        let b4 = select(min(start + 8u, BLOCKS - 1u), start + 8u, WHOLE);
        var x0: Codes; var v0: Quants; var w0: Quants;
        var x1: Codes; var v1: Quants; var w1: Quants;
        var x2: Codes; var v2: Quants; var w2: Quants;
        var x3: Codes; var v3: Quants; var w3: Quants;
        var x4: Codes; var v4: Quants; var w4: Quants;
        v0 = quants_of(row_a + b0, lane);
        if (ROWS > 1u) { w0 = quants_of(row_b + b0, lane); }
        if (!LATE) { x0 = codes_of(x + b0, lane, start < BLOCKS); }
        if (UNROLL > 1u) {
            v1 = quants_of(row_a + b1, lane);
            if (ROWS > 1u) { w1 = quants_of(row_b + b1, lane); }
            if (!LATE) { x1 = codes_of(x + b1, lane, start + 2u < BLOCKS); }
        }
        if (UNROLL > 2u) {
            v2 = quants_of(row_a + b2, lane);
            if (ROWS > 1u) { w2 = quants_of(row_b + b2, lane); }
            if (!LATE) { x2 = codes_of(x + b2, lane, start + 4u < BLOCKS); }
        }
        if (UNROLL > 3u) {
            v3 = quants_of(row_a + b3, lane);
            if (ROWS > 1u) { w3 = quants_of(row_b + b3, lane); }
            if (!LATE) { x3 = codes_of(x + b3, lane, start + 6u < BLOCKS); }
        }
        if (UNROLL > 4u) {
            v4 = quants_of(row_a + b4, lane);
            if (ROWS > 1u) { w4 = quants_of(row_b + b4, lane); }
            if (!LATE) { x4 = codes_of(x + b4, lane, start + 8u < BLOCKS); }
        }
        if (LATE) { x0 = codes_of(x + b0, lane, start < BLOCKS); }
        sum.x += product(v0, x0, lane);
        if (ROWS > 1u) { sum.y += product(w0, x0, lane); }
        if (UNROLL > 1u) {
            if (LATE) { x1 = codes_of(x + b1, lane, start + 2u < BLOCKS); }
            sum.x += product(v1, x1, lane);
            if (ROWS > 1u) { sum.y += product(w1, x1, lane); }
        }
        if (UNROLL > 2u) {
            if (LATE) { x2 = codes_of(x + b2, lane, start + 4u < BLOCKS); }
            sum.x += product(v2, x2, lane);
            if (ROWS > 1u) { sum.y += product(w2, x2, lane); }
        }
        if (UNROLL > 3u) {
            if (LATE) { x3 = codes_of(x + b3, lane, start + 6u < BLOCKS); }
            sum.x += product(v3, x3, lane);
            if (ROWS > 1u) { sum.y += product(w3, x3, lane); }
        }
        if (UNROLL > 4u) {
            if (LATE) { x4 = codes_of(x + b4, lane, start + 8u < BLOCKS); }
            sum.x += product(v4, x4, lane);
            if (ROWS > 1u) { sum.y += product(w4, x4, lane); }
        }
    }
    sums[t] = sum;
    workgroupBarrier();
    if (lane < ROWS && first + lane < n) {
        var total = 0.0;
        for (var l = 0u; l < 16u; l++) { total += sums[(t & ~15u) + l][lane]; }
        finish(group.z * shape.z + shape.w + first + lane, total);
    }
}
