// y = x W^T for f32, f16 or bf16: a few rows of x against rows of weights as models store them.
//
// A workgroup of GROUP invocations computes ROWS rows of W times M rows of x, those from M `group.z` on. An invocation
// takes every GROUP-th vector of 16 bytes, four vectors of each row in flight, and reads x, which stays in the caches.
// At the end the sums of the invocations are added in a tree in workgroup memory, whose order is always the same.
//
// Rows are padded with zeros to whole vectors.
//
// Constants: GROUP (a power of two), ROWS 1, 2 or 4, M 1 to 4, FORMAT 0 f32, 1 f16, 2 bf16, VECTORS of a row.
//
// Indices: vectors below VECTORS of rows of W below n and of x below m, which are clamped: what is computed twice is
// dropped.

@group(0) @binding(0) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> input: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;
// n; m; elements from row to row of y; the first row of W that is bound.
@group(0) @binding(3) var<uniform> shape: vec4<u32>;

var<workgroup> sums: array<vec4<f32>, GROUP>;

// The first four numbers of a vector; all of f32.
fn low(x: vec4<u32>) -> vec4<f32> {
    if (FORMAT == 0u) { return bitcast<vec4<f32>>(x); }
    if (FORMAT == 1u) { return vec4<f32>(unpack2x16float(x.x), unpack2x16float(x.y)); }
    return bitcast<vec4<f32>>(vec4<u32>(x.x << 16u, x.x & 0xffff0000u, x.y << 16u, x.y & 0xffff0000u));
}

// The last four, of types of 16 bits.
fn high(x: vec4<u32>) -> vec4<f32> {
    return low(x.zwzw);
}

fn product(w: vec4<u32>, x: vec4<u32>) -> f32 {
    if (FORMAT == 0u) { return dot(low(w), low(x)); }
    return dot(low(w), low(x)) + dot(high(w), high(x));
}

// Adds a vector of one row of W times those of up to four rows of x.
fn add(sum: vec4<f32>, w: vec4<u32>, x0: vec4<u32>, x1: vec4<u32>, x2: vec4<u32>, x3: vec4<u32>) -> vec4<f32> {
    var y = sum;
    y.x += product(w, x0);
    if (M > 1u) { y.y += product(w, x1); }
    if (M > 2u) { y.z += product(w, x2); }
    if (M > 3u) { y.w += product(w, x3); }
    return y;
}

// The sums of all invocations, for the first ones.
fn total(t: u32, sum: vec4<f32>) -> vec4<f32> {
    sums[t] = sum;
    workgroupBarrier();
    for (var half = GROUP / 2u; half > 0u; half /= 2u) {
        if (t < half) { sums[t] += sums[t + half]; }
        workgroupBarrier();
    }
    let all = sums[0];
    workgroupBarrier();
    return all;
}

@compute @workgroup_size(GROUP)
fn main(
    @builtin(local_invocation_index) t: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let n = shape.x;
    let first = (group.y * groups.x + group.x) * ROWS;
    if (first >= n) { return; }
    let w0 = first * VECTORS;
    let w1 = min(first + 1u, n - 1u) * VECTORS;
    let w2 = min(first + 2u, n - 1u) * VECTORS;
    let w3 = min(first + 3u, n - 1u) * VECTORS;
    let row = group.z * M;
    let last = shape.y - 1u;
    let x0 = row * VECTORS;
    let x1 = min(row + 1u, last) * VECTORS;
    let x2 = min(row + 2u, last) * VECTORS;
    let x3 = min(row + 3u, last) * VECTORS;
    var acc0 = vec4<f32>(0.0);
    var acc1 = vec4<f32>(0.0);
    var acc2 = vec4<f32>(0.0);
    var acc3 = vec4<f32>(0.0);
    // Whole rounds of four vectors, then single ones.
    var at = t;
    for (var round = 0u; round < VECTORS / (4u * GROUP); round++) {
        let a0 = weights[w0 + at];
        let a1 = weights[w0 + at + GROUP];
        let a2 = weights[w0 + at + 2u * GROUP];
        let a3 = weights[w0 + at + 3u * GROUP];
        var b0: vec4<u32>; var b1: vec4<u32>; var b2: vec4<u32>; var b3: vec4<u32>;
        if (ROWS > 1u) {
            b0 = weights[w1 + at];
            b1 = weights[w1 + at + GROUP];
            b2 = weights[w1 + at + 2u * GROUP];
            b3 = weights[w1 + at + 3u * GROUP];
        }
        var c0: vec4<u32>; var c1: vec4<u32>; var c2: vec4<u32>; var c3: vec4<u32>;
        var d0: vec4<u32>; var d1: vec4<u32>; var d2: vec4<u32>; var d3: vec4<u32>;
        if (ROWS > 2u) {
            c0 = weights[w2 + at];
            c1 = weights[w2 + at + GROUP];
            c2 = weights[w2 + at + 2u * GROUP];
            c3 = weights[w2 + at + 3u * GROUP];
            d0 = weights[w3 + at];
            d1 = weights[w3 + at + GROUP];
            d2 = weights[w3 + at + 2u * GROUP];
            d3 = weights[w3 + at + 3u * GROUP];
        }
        let p0 = input[x0 + at];
        var q0: vec4<u32>; var r0: vec4<u32>; var s0: vec4<u32>;
        if (M > 1u) { q0 = input[x1 + at]; }
        if (M > 2u) { r0 = input[x2 + at]; }
        if (M > 3u) { s0 = input[x3 + at]; }
        acc0 = add(acc0, a0, p0, q0, r0, s0);
        if (ROWS > 1u) { acc1 = add(acc1, b0, p0, q0, r0, s0); }
        if (ROWS > 2u) {
            acc2 = add(acc2, c0, p0, q0, r0, s0);
            acc3 = add(acc3, d0, p0, q0, r0, s0);
        }
        let p1 = input[x0 + at + GROUP];
        var q1: vec4<u32>; var r1: vec4<u32>; var s1: vec4<u32>;
        if (M > 1u) { q1 = input[x1 + at + GROUP]; }
        if (M > 2u) { r1 = input[x2 + at + GROUP]; }
        if (M > 3u) { s1 = input[x3 + at + GROUP]; }
        acc0 = add(acc0, a1, p1, q1, r1, s1);
        if (ROWS > 1u) { acc1 = add(acc1, b1, p1, q1, r1, s1); }
        if (ROWS > 2u) {
            acc2 = add(acc2, c1, p1, q1, r1, s1);
            acc3 = add(acc3, d1, p1, q1, r1, s1);
        }
        let p2 = input[x0 + at + 2u * GROUP];
        var q2: vec4<u32>; var r2: vec4<u32>; var s2: vec4<u32>;
        if (M > 1u) { q2 = input[x1 + at + 2u * GROUP]; }
        if (M > 2u) { r2 = input[x2 + at + 2u * GROUP]; }
        if (M > 3u) { s2 = input[x3 + at + 2u * GROUP]; }
        acc0 = add(acc0, a2, p2, q2, r2, s2);
        if (ROWS > 1u) { acc1 = add(acc1, b2, p2, q2, r2, s2); }
        if (ROWS > 2u) {
            acc2 = add(acc2, c2, p2, q2, r2, s2);
            acc3 = add(acc3, d2, p2, q2, r2, s2);
        }
        let p3 = input[x0 + at + 3u * GROUP];
        var q3: vec4<u32>; var r3: vec4<u32>; var s3: vec4<u32>;
        if (M > 1u) { q3 = input[x1 + at + 3u * GROUP]; }
        if (M > 2u) { r3 = input[x2 + at + 3u * GROUP]; }
        if (M > 3u) { s3 = input[x3 + at + 3u * GROUP]; }
        acc0 = add(acc0, a3, p3, q3, r3, s3);
        if (ROWS > 1u) { acc1 = add(acc1, b3, p3, q3, r3, s3); }
        if (ROWS > 2u) {
            acc2 = add(acc2, c3, p3, q3, r3, s3);
            acc3 = add(acc3, d3, p3, q3, r3, s3);
        }
        at += 4u * GROUP;
    }
    for (; at < VECTORS; at += GROUP) {
        let p = input[x0 + at];
        let q = input[x1 + at];
        let r = input[x2 + at];
        let s = input[x3 + at];
        acc0 = add(acc0, weights[w0 + at], p, q, r, s);
        if (ROWS > 1u) { acc1 = add(acc1, weights[w1 + at], p, q, r, s); }
        if (ROWS > 2u) {
            acc2 = add(acc2, weights[w2 + at], p, q, r, s);
            acc3 = add(acc3, weights[w3 + at], p, q, r, s);
        }
    }
    // Component i of y_r is row i of x times row r of W.
    var y0 = vec4<f32>(0.0);
    var y1 = vec4<f32>(0.0);
    var y2 = vec4<f32>(0.0);
    var y3 = vec4<f32>(0.0);
    if (M == 1u) {
        // One row of x: all rows of W at once.
        let y = total(t, vec4<f32>(acc0.x, acc1.x, acc2.x, acc3.x));
        y0.x = y.x;
        y1.x = y.y;
        y2.x = y.z;
        y3.x = y.w;
    } else {
        y0 = total(t, acc0);
        if (ROWS > 1u) { y1 = total(t, acc1); }
        if (ROWS > 2u) {
            y2 = total(t, acc2);
            y3 = total(t, acc3);
        }
    }
    // Four neighbors of y for each row of x.
    if (t < M && row + t <= last) {
        let place = (row + t) * shape.z + shape.w + first;
        output[place] = y0[t];
        if (ROWS > 1u && first + 1u < n) { output[place + 1u] = y1[t]; }
        if (ROWS > 2u && first + 2u < n) { output[place + 2u] = y2[t]; }
        if (ROWS > 2u && first + 3u < n) { output[place + 3u] = y3[t]; }
    }
}
