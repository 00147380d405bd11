// y = f(x W^T + offset) for up to four matrices of f32, f16 or bf16 at once, each with rows of x, a place in y and a
// function of its own. x is f32.
//
// LANES invocations take a row of weights, each every LANES-th vector of 16 bytes, for row `group.z` of x; the first one
// adds what they have. A workgroup has GROUP / LANES rows, in the order of the matrices.
//
// Rows of weights are padded with zeros to whole vectors, and rows of x with zeros to as many numbers.
//
// Constants: GROUP, LANES (a power of two below GROUP), FINISH as in finish.wgsl.
//
// Indices: vectors of a row below its length, of rows below their number, which are clamped: what is computed twice is
// dropped.

@group(0) @binding(0) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;
// First the rows of all matrices, vectors from row to row of x, numbers from row to row of y. Then for each matrix:
//   its first row and the row behind its last one; its first vector; vectors of a row
//   the format 0 f32, 1 f16, 2 bf16; its first vector of x and its first number of y; the function
//   1 + its first number of the offsets, or 0 for none
@group(0) @binding(3) var<uniform> matrices: array<vec4<u32>, 13>;
@group(0) @binding(4) var<storage, read> offsets: array<f32>;

var<workgroup> sums: array<f32, GROUP>;

// The first four numbers of eight of 16 bits.
fn low(w: vec4<u32>, format: u32) -> vec4<f32> {
    if (format == 1u) { return vec4<f32>(unpack2x16float(w.x), unpack2x16float(w.y)); }
    return bitcast<vec4<f32>>(vec4<u32>(w.x << 16u, w.x & 0xffff0000u, w.y << 16u, w.y & 0xffff0000u));
}

fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(-clamp(x, -80.0, 80.0)));
}

// 0 identity, 1 tanh, 2 sigmoid, 3 the decay of the state: e^(-e^-0.5 sigmoid), with the factor as llama.cpp writes it.
fn applied(function: u32, x: f32) -> f32 {
    // Beyond 9, tanh is 1 in f32, and the function may overflow.
    if (function == 1u) { return tanh(clamp(x, -9.0, 9.0)); }
    if (function == 2u) { return sigmoid(x); }
    if (function == 3u) { return exp(-0.606531 * sigmoid(x)); }
    return x;
}

@compute @workgroup_size(GROUP)
fn main(
    @builtin(local_invocation_index) t: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let all = matrices[0];
    let lane = t % LANES;
    let row = (group.y * groups.x + group.x) * (GROUP / LANES) + t / LANES;
    let taken = min(row, all.x - 1u);
    var at = 1u;
    for (var next = 4u; next < 13u; next += 3u) {
        if (taken >= matrices[next].x) { at = next; }
    }
    let place = matrices[at];
    let kind = matrices[at + 1u];
    let w = place.z + (taken - place.x) * place.w;
    let x = group.z * all.y + kind.y;
    var sum = 0.0;
    if (kind.x == 0u) {
        for (var i = lane; i < place.w; i += LANES) {
            sum += dot(bitcast<vec4<f32>>(weights[w + i]), input[x + i]);
        }
    } else {
        for (var i = lane; i < place.w; i += LANES) {
            let eight = weights[w + i];
            sum += dot(low(eight, kind.x), input[x + 2u * i]) + dot(low(eight.zwzw, kind.x), input[x + 2u * i + 1u]);
        }
    }
    sums[t] = sum;
    workgroupBarrier();
    if (lane == 0u && row < all.x) {
        var whole = 0.0;
        for (var l = 0u; l < LANES; l++) { whole += sums[t + l]; }
        let number = row - place.x;
        let offset = matrices[at + 2u].x;
        if (offset > 0u) { whole += offsets[offset - 1u + number]; }
        finish(group.z * all.z + kind.z + number, applied(kind.w, whole));
    }
}
