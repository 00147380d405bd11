// y = x W^T for weights in Q6_K, packed: the low four bits of all blocks, their high two bits, their scales and their
// factors, each in a place of its own. A file's blocks of 210 bytes are not whole words.
//
// Sixteen lanes take two blocks of 256 numbers of a row at a time, so a lane has 32 numbers of a block. x is rounded to 8
// bits (round.wgsl). Row `group.z` of those of x that are asked for is multiplied.
//
// Constants: GROUP, ROWS 1 or 2, BLOCKS of 256 of a row.
//
// Indices: blocks below BLOCKS of rows below n, which are clamped: what was computed twice is dropped.

@group(0) @binding(0) var<storage, read> weights: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read> codes: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> terms: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;
// Rows; of x the first row and, in the upper half, the rows from one to the next; elements from row to row of y; the
// first row of W that is bound.
@group(0) @binding(4) var<uniform> shape: vec4<u32>;
@group(0) @binding(5) var<storage, read> high_bits: array<vec2<u32>>;
// For each block sixteen scales of 8 bits.
@group(0) @binding(6) var<storage, read> scales: array<u32>;
// For each two blocks two factors of f16.
@group(0) @binding(7) var<storage, read> factors: array<u32>;

var<workgroup> sums: array<vec2<f32>, GROUP>;

// Eight numbers l of a half of a block, and those 32, 64 and 96 further on. The high nibbles of `a` and `b` are the low
// bits of the last two.
struct Quants {
    a: vec2<u32>,
    b: vec2<u32>,
    high: vec2<u32>,
    scales: vec2<u32>,
    factor: f32,
}

struct Codes {
    x0: vec2<u32>,
    x1: vec2<u32>,
    x2: vec2<u32>,
    x3: vec2<u32>,
    scale: f32,
}

// Lanes 0 to 3 have the first 128 numbers.
fn quants_of(block: u32, lane: u32) -> Quants {
    let half = lane / 4u;
    let part = lane & 3u;
    let low = block * 16u + half * 8u + part;
    let scale = block * 4u + half * 2u;
    let factor = unpack2x16float(factors[block / 2u]);
    return Quants(
        weights[low],
        weights[low + 4u],
        high_bits[block * 8u + half * 4u + part],
        vec2<u32>(scales[scale], scales[scale + 1u]),
        select(factor.x, factor.y, (block & 1u) == 1u),
    );
}

fn codes_of(block: u32, lane: u32) -> Codes {
    let at = block * 32u + lane / 4u * 16u + (lane & 3u);
    let scale = bitcast<f32>(terms[block * 4u].x);
    return Codes(codes[at], codes[at + 4u], codes[at + 8u], codes[at + 12u], scale);
}

// Four codes less 32 in each byte: no byte borrows from the next.
fn centered(q: u32) -> u32 {
    return ((q | 0x80808080u) - 0x20202020u) ^ 0x80808080u;
}

// Eight codes, from nibbles and from two bits at `shift`.
fn dot8(low: vec2<u32>, high: vec2<u32>, x: vec2<u32>) -> f32 {
    let q = (low & vec2<u32>(0x0f0f0f0fu)) | ((high & vec2<u32>(0x03030303u)) << vec2<u32>(4u));
    return f32(dot4I8Packed(centered(q.x), x.x) + dot4I8Packed(centered(q.y), x.y));
}

// Scale `i` of the eight of a half.
fn scale_of(w: Quants, i: u32) -> f32 {
    let word = select(w.scales.x, w.scales.y, i >= 4u);
    return f32(bitcast<i32>(word << (24u - (i & 3u) * 8u)) >> 24u);
}

fn product(w: Quants, x: Codes, lane: u32) -> f32 {
    // Two parts have one scale.
    let i = (lane & 3u) / 2u;
    let y = scale_of(w, i) * dot8(w.a, w.high, x.x0)
        + scale_of(w, i + 2u) * dot8(w.b, w.high >> vec2<u32>(2u), x.x1)
        + scale_of(w, i + 4u) * dot8(w.a >> vec2<u32>(4u), w.high >> vec2<u32>(4u), x.x2)
        + scale_of(w, i + 6u) * dot8(w.b >> vec2<u32>(4u), w.high >> vec2<u32>(6u), x.x3);
    return x.scale * w.factor * y;
}

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
    for (var block = lane / 8u; block < BLOCKS; block += 2u) {
        let y = codes_of(x + block, lane & 7u);
        sum.x += product(quants_of(row_a + block, lane & 7u), y, lane & 7u);
        if (ROWS > 1u) { sum.y += product(quants_of(row_b + block, lane & 7u), y, lane & 7u); }
    }
    sums[t] = sum;
    workgroupBarrier();
    if (lane < ROWS && first + lane < n) {
        var total = 0.0;
        for (var l = 0u; l < 16u; l++) { total += sums[(t & ~15u) + l][lane]; }
        finish(group.z * shape.z + shape.w + first + lane, total);
    }
}
