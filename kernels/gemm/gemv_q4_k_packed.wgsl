// y = x W^T for weights in Q4_K, packed: the quants of all blocks, their scales and their factors in places of their own.
//
// Sixteen lanes take two blocks of a row at a time, each one vector of 16 bytes of quants: half of the numbers of sub-blocks
// 2 j and 2 j + 1. x is rounded to 8 bits (round.wgsl), so a vector takes eight products of four bytes. The minimum of a
// sub-block is multiplied with the sum of the codes of x, which the rounding has left.
//
// A workgroup of GROUP invocations computes GROUP / 16 times ROWS rows. UNROLL pairs of blocks are in flight at a time.
//
// Constants: GROUP, ROWS 1 or 2, UNROLL 1, 2 or 5, M rows of x.
//
// Indices: blocks below `blocks` of rows below n, both clamped: what was computed twice is dropped.

@group(0) @binding(0) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> codes: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> terms: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;
// Rows; blocks of a row; elements from row to row of y; the first row of W that is bound.
@group(0) @binding(4) var<uniform> shape: vec4<u32>;
// For each block four words: scales of sub-blocks 2 j and 2 j + 1, then their minima.
@group(0) @binding(5) var<storage, read> scales: array<u32>;
// For each block d and dmin.
@group(0) @binding(6) var<storage, read> factors: array<u32>;

var<workgroup> sums: array<vec2<f32>, GROUP>;

// One vector of quants times its codes.
fn part(block: u32, q: vec4<u32>, j: u32, low: vec4<u32>, high: vec4<u32>, term: vec4<u32>, half: u32) -> f32 {
    let scale = unpack4xU8(scales[block * 4u + j]);
    let d = unpack2x16float(factors[block]);
    let s = vec4<f32>(scale);
    let mask = vec4<u32>(0x0f0f0f0fu);
    let ql = q & mask;
    let qh = (q >> vec4<u32>(4u)) & mask;
    let sum_low = dot4I8Packed(ql.x, low.x) + dot4I8Packed(ql.y, low.y)
        + dot4I8Packed(ql.z, low.z) + dot4I8Packed(ql.w, low.w);
    let sum_high = dot4I8Packed(qh.x, high.x) + dot4I8Packed(qh.y, high.y)
        + dot4I8Packed(qh.z, high.z) + dot4I8Packed(qh.w, high.w);
    // The sums of this half's codes, from numbers of 16 bits.
    let shift = 16u - half * 16u;
    let x_low = f32(bitcast<i32>(term.y << shift) >> 16u);
    let x_high = f32(bitcast<i32>(term.w << shift) >> 16u);
    let scaled = s.x * f32(sum_low) + s.y * f32(sum_high);
    let least = s.z * x_low + s.w * x_high;
    return bitcast<f32>(term.x) * (d.x * scaled - d.y * least);
}

@compute @workgroup_size(GROUP)
fn main(
    @builtin(local_invocation_index) t: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let lane = t & 15u;
    let n = shape.x;
    let blocks = shape.y;
    let first = ((group.y * groups.x + group.x) * (GROUP / 16u) + t / 16u) * ROWS;
    let row_a = min(first, n - 1u) * blocks;
    let row_b = min(first + 1u, n - 1u) * blocks;
    let j = (lane & 7u) >> 1u;
    let half = lane & 1u;
    var acc: array<vec2<f32>, M>;
    for (var i = 0u; i < M; i++) { acc[i] = vec2<f32>(0.0); }
    for (var start = 0u; start < blocks; start += 2u * UNROLL) {
        let b0 = min(start + 0u + lane / 8u, blocks - 1u);
        let b1 = min(start + 2u + lane / 8u, blocks - 1u);
        let b2 = min(start + 4u + lane / 8u, blocks - 1u);
        let b3 = min(start + 6u + lane / 8u, blocks - 1u);
        let b4 = min(start + 8u + lane / 8u, blocks - 1u);
        var qa0: vec4<u32>;
        var qb0: vec4<u32>;
        var qa1: vec4<u32>;
        var qb1: vec4<u32>;
        var qa2: vec4<u32>;
        var qb2: vec4<u32>;
        var qa3: vec4<u32>;
        var qb3: vec4<u32>;
        var qa4: vec4<u32>;
        var qb4: vec4<u32>;
        qa0 = weights[(row_a + b0) * 8u + (lane & 7u)];
        if (ROWS > 1u) { qb0 = weights[(row_b + b0) * 8u + (lane & 7u)]; }
        if (UNROLL > 1u) {
            qa1 = weights[(row_a + b1) * 8u + (lane & 7u)];
            if (ROWS > 1u) { qb1 = weights[(row_b + b1) * 8u + (lane & 7u)]; }
        }
        if (UNROLL > 2u) {
            qa2 = weights[(row_a + b2) * 8u + (lane & 7u)];
            if (ROWS > 1u) { qb2 = weights[(row_b + b2) * 8u + (lane & 7u)]; }
        }
        if (UNROLL > 2u) {
            qa3 = weights[(row_a + b3) * 8u + (lane & 7u)];
            if (ROWS > 1u) { qb3 = weights[(row_b + b3) * 8u + (lane & 7u)]; }
        }
        if (UNROLL > 2u) {
            qa4 = weights[(row_a + b4) * 8u + (lane & 7u)];
            if (ROWS > 1u) { qb4 = weights[(row_b + b4) * 8u + (lane & 7u)]; }
        }
        for (var i = 0u; i < M; i++) {
            {
                let x = i * blocks + b0;
                let low = codes[x * 16u + j * 4u + half];
                let high = codes[x * 16u + j * 4u + 2u + half];
                let term = terms[x * 4u + j];
                let is_new = start + 0u + lane / 8u < blocks;
                acc[i].x += select(0.0, part(row_a + b0, qa0, j, low, high, term, half), is_new);
                if (ROWS > 1u) {
                    acc[i].y += select(0.0, part(row_b + b0, qb0, j, low, high, term, half), is_new);
                }
            }
            if (UNROLL > 1u) {
                let x = i * blocks + b1;
                let low = codes[x * 16u + j * 4u + half];
                let high = codes[x * 16u + j * 4u + 2u + half];
                let term = terms[x * 4u + j];
                let is_new = start + 2u + lane / 8u < blocks;
                acc[i].x += select(0.0, part(row_a + b1, qa1, j, low, high, term, half), is_new);
                if (ROWS > 1u) {
                    acc[i].y += select(0.0, part(row_b + b1, qb1, j, low, high, term, half), is_new);
                }
            }
            if (UNROLL > 2u) {
                let x = i * blocks + b2;
                let low = codes[x * 16u + j * 4u + half];
                let high = codes[x * 16u + j * 4u + 2u + half];
                let term = terms[x * 4u + j];
                let is_new = start + 4u + lane / 8u < blocks;
                acc[i].x += select(0.0, part(row_a + b2, qa2, j, low, high, term, half), is_new);
                if (ROWS > 1u) {
                    acc[i].y += select(0.0, part(row_b + b2, qb2, j, low, high, term, half), is_new);
                }
            }
            if (UNROLL > 2u) {
                let x = i * blocks + b3;
                let low = codes[x * 16u + j * 4u + half];
                let high = codes[x * 16u + j * 4u + 2u + half];
                let term = terms[x * 4u + j];
                let is_new = start + 6u + lane / 8u < blocks;
                acc[i].x += select(0.0, part(row_a + b3, qa3, j, low, high, term, half), is_new);
                if (ROWS > 1u) {
                    acc[i].y += select(0.0, part(row_b + b3, qb3, j, low, high, term, half), is_new);
                }
            }
            if (UNROLL > 2u) {
                let x = i * blocks + b4;
                let low = codes[x * 16u + j * 4u + half];
                let high = codes[x * 16u + j * 4u + 2u + half];
                let term = terms[x * 4u + j];
                let is_new = start + 8u + lane / 8u < blocks;
                acc[i].x += select(0.0, part(row_a + b4, qa4, j, low, high, term, half), is_new);
                if (ROWS > 1u) {
                    acc[i].y += select(0.0, part(row_b + b4, qb4, j, low, high, term, half), is_new);
                }
            }
        }
    }
    for (var i = 0u; i < M; i++) {
        sums[t] = acc[i];
        workgroupBarrier();
        if (lane < ROWS && first + lane < n) {
            var sum = 0.0;
            for (var l = 0u; l < 16u; l++) { sum += sums[(t & ~15u) + l][lane]; }
            output[i * shape.z + shape.w + first + lane] = sum;
        }
        workgroupBarrier();
    }
}
