// y = x W^T for weights in Q8_0 and Q4_0, packed: the quants of all blocks and their scales, each in a place of its own.
// A file's blocks of 34 or 18 bytes are not whole words. Rows are filled up with zeros to blocks of 256 numbers.
//
// Sixteen lanes take two blocks of 256 numbers of a row at a time, so a lane has 32 numbers of a block. x is rounded to 8
// bits (round.wgsl). Row `group.z` of those of x that are asked for is multiplied.
//
// Constants: GROUP, ROWS 1 or 2, BLOCKS of 256 of a row, BITS 8 or 4.
//
// Indices: blocks below BLOCKS of rows below n, which are clamped: what was computed twice is dropped.

@group(0) @binding(0) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> codes: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> terms: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;
// Rows; of x the first row and, in the upper half, the rows from one to the next; elements from row to row of y; the
// first row of W that is bound.
@group(0) @binding(4) var<uniform> shape: vec4<u32>;
// For each two blocks of 32 two scales of f16.
@group(0) @binding(5) var<storage, read> scales: array<u32>;

var<workgroup> sums: array<vec2<f32>, GROUP>;

// 32 numbers with one scale. With 4 bits, `b` is not used: the high nibbles of `a` are the last sixteen.
struct Quants {
    a: vec4<u32>,
    b: vec4<u32>,
    scale: f32,
}

struct Codes {
    a: vec4<u32>,
    b: vec4<u32>,
    term: vec2<u32>,
}

fn quants_of(block: u32, lane: u32) -> Quants {
    let at = block * 8u + lane;
    let pair = unpack2x16float(scales[at / 2u]);
    let scale = select(pair.x, pair.y, (at & 1u) == 1u);
    if (BITS == 8u) { return Quants(weights[at * 2u], weights[at * 2u + 1u], scale); }
    return Quants(weights[at], vec4<u32>(0u), scale);
}

fn codes_of(block: u32, lane: u32) -> Codes {
    let at = block * 8u + lane;
    return Codes(codes[at * 2u], codes[at * 2u + 1u], terms[at]);
}

fn dot16(q: vec4<u32>, x: vec4<u32>) -> i32 {
    return dot4I8Packed(q.x, x.x) + dot4I8Packed(q.y, x.y) + dot4I8Packed(q.z, x.z) + dot4I8Packed(q.w, x.w);
}

fn product(w: Quants, x: Codes, lane: u32) -> f32 {
    let scale = w.scale * bitcast<f32>(x.term.x);
    if (BITS == 8u) { return scale * f32(dot16(w.a, x.a) + dot16(w.b, x.b)); }
    // Codes are 8 too large: eight times the sums of x's codes, which the rounding has left, are taken off.
    let mask = vec4<u32>(0x0f0f0f0fu);
    let sum = (bitcast<i32>(x.term.y << 16u) >> 16u) + (bitcast<i32>(x.term.y) >> 16u);
    let y = dot16(w.a & mask, x.a) + dot16((w.a >> vec4<u32>(4u)) & mask, x.b) - 8 * sum;
    return scale * f32(y);
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
