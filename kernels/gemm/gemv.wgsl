// y = x W^T for f32, f16 or bf16: a few rows of x against rows of weights as models store them.
//
// A workgroup of GROUP invocations computes ROWS rows of W, for all M rows of x. An invocation takes every GROUP-th
// vector of 16 bytes, four vectors of each row in flight, and reads x, which stays in the caches. At the end the sums
// of the invocations are added in a tree in workgroup memory, whose order is always the same.
//
// Rows are padded with zeros to whole vectors.
//
// Constants: GROUP (a power of two), ROWS 1, 2 or 4, M 1 to 16, FORMAT 0 f32, 1 f16, 2 bf16.
//
// Indices: vectors below `vectors` of rows below n, which are clamped, so the last workgroup computes some rows twice.

@group(0) @binding(0) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> input: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;
// n; vectors of a row of W and of x; elements from row to row of y; the first row of W that is bound.
@group(0) @binding(3) var<uniform> shape: vec4<u32>;

var<workgroup> sums: array<vec4<f32>, GROUP>;

fn numbers(x: vec4<u32>) -> array<vec4<f32>, 2> {
    if (FORMAT == 1u) {
        return array<vec4<f32>, 2>(vec4<f32>(unpack2x16float(x.x), unpack2x16float(x.y)),
            vec4<f32>(unpack2x16float(x.z), unpack2x16float(x.w)));
    }
    if (FORMAT == 2u) {
        let low = bitcast<vec4<f32>>(x << vec4<u32>(16u));
        let high = bitcast<vec4<f32>>(x & vec4<u32>(0xffff0000u));
        return array<vec4<f32>, 2>(vec4<f32>(low.x, high.x, low.y, high.y), vec4<f32>(low.z, high.z, low.w, high.w));
    }
    return array<vec4<f32>, 2>(bitcast<vec4<f32>>(x), vec4<f32>(0.0));
}

fn product(w: vec4<u32>, x: array<vec4<f32>, 2>) -> f32 {
    let numbers_w = numbers(w);
    if (FORMAT == 0u) { return dot(numbers_w[0], x[0]); }
    return dot(numbers_w[0], x[0]) + dot(numbers_w[1], x[1]);
}

@compute @workgroup_size(GROUP)
fn main(
    @builtin(local_invocation_index) t: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let n = shape.x;
    let vectors = shape.y;
    let first = (group.y * groups.x + group.x) * ROWS;
    if (first >= n) { return; }
    let row0 = first * vectors;
    let row1 = min(first + 1u, n - 1u) * vectors;
    let row2 = min(first + 2u, n - 1u) * vectors;
    let row3 = min(first + 3u, n - 1u) * vectors;
    var acc: array<vec4<f32>, M>;
    for (var i = 0u; i < M; i++) { acc[i] = vec4<f32>(0.0); }
    var at = t;
    // Whole rounds of four vectors, then single ones.
    for (; at + 3u * GROUP < vectors; at += 4u * GROUP) {
        let w00 = weights[row0 + at];
        let w01 = weights[row0 + at + GROUP];
        let w02 = weights[row0 + at + 2u * GROUP];
        let w03 = weights[row0 + at + 3u * GROUP];
        var w10: vec4<u32>;
        var w11: vec4<u32>;
        var w12: vec4<u32>;
        var w13: vec4<u32>;
        if (ROWS > 1u) {
            w10 = weights[row1 + at];
            w11 = weights[row1 + at + GROUP];
            w12 = weights[row1 + at + 2u * GROUP];
            w13 = weights[row1 + at + 3u * GROUP];
        }
        var w20: vec4<u32>;
        var w21: vec4<u32>;
        var w22: vec4<u32>;
        var w23: vec4<u32>;
        var w30: vec4<u32>;
        var w31: vec4<u32>;
        var w32: vec4<u32>;
        var w33: vec4<u32>;
        if (ROWS > 2u) {
            w20 = weights[row2 + at];
            w21 = weights[row2 + at + GROUP];
            w22 = weights[row2 + at + 2u * GROUP];
            w23 = weights[row2 + at + 3u * GROUP];
            w30 = weights[row3 + at];
            w31 = weights[row3 + at + GROUP];
            w32 = weights[row3 + at + 2u * GROUP];
            w33 = weights[row3 + at + 3u * GROUP];
        }
        for (var i = 0u; i < M; i++) {
            let place = i * vectors + at;
            let x0 = numbers(input[place]);
            let x1 = numbers(input[place + GROUP]);
            let x2 = numbers(input[place + 2u * GROUP]);
            let x3 = numbers(input[place + 3u * GROUP]);
            acc[i].x += (product(w00, x0) + product(w01, x1)) + (product(w02, x2) + product(w03, x3));
            if (ROWS > 1u) {
                acc[i].y += (product(w10, x0) + product(w11, x1)) + (product(w12, x2) + product(w13, x3));
            }
            if (ROWS > 2u) {
                acc[i].z += (product(w20, x0) + product(w21, x1)) + (product(w22, x2) + product(w23, x3));
                acc[i].w += (product(w30, x0) + product(w31, x1)) + (product(w32, x2) + product(w33, x3));
            }
        }
    }
    for (; at < vectors; at += GROUP) {
        let w0 = weights[row0 + at];
        var w1: vec4<u32>;
        var w2: vec4<u32>;
        var w3: vec4<u32>;
        if (ROWS > 1u) { w1 = weights[row1 + at]; }
        if (ROWS > 2u) {
            w2 = weights[row2 + at];
            w3 = weights[row3 + at];
        }
        for (var i = 0u; i < M; i++) {
            let x = numbers(input[i * vectors + at]);
            acc[i].x += product(w0, x);
            if (ROWS > 1u) { acc[i].y += product(w1, x); }
            if (ROWS > 2u) {
                acc[i].z += product(w2, x);
                acc[i].w += product(w3, x);
            }
        }
    }
    for (var i = 0u; i < M; i++) {
        sums[t] = acc[i];
        workgroupBarrier();
        for (var half = GROUP / 2u; half > 0u; half /= 2u) {
            if (t < half) { sums[t] += sums[t + half]; }
            workgroupBarrier();
        }
        if (t < ROWS && first + t < n) {
            output[i * shape.z + shape.w + first + t] = sums[0][t];
        }
        workgroupBarrier();
    }
}
