// Rounds activations to 8 bits: what weights in blocks are multiplied with.
//
// A workgroup of 64 invocations takes 256 numbers of a row, four each. SPAN numbers have one scale: 256 for K types,
// where the number of largest magnitude, the first of equals, gets the code -127; 32 for the others, where it gets 127
// or -127. Codes are the nearest integers, ties to even.
//
// Each 32 numbers have a term of two words: the bits of the scale, and the sums of the first and of the last 16 codes as
// two numbers of 16 bits. A number that is not finite makes the scale a NaN.
//
// Rows are padded with zeros to whole vectors; what is beyond a row counts as zeros.
//
// Constants: SPAN. Indices: blocks below `blocks` of rows below m; vectors below `vectors` of a row.

@group(0) @binding(0) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> codes: array<u32>;
@group(0) @binding(2) var<storage, read_write> terms: array<vec2<u32>>;
// Blocks of 256 of a row; vectors of a row of the input; rows.
@group(0) @binding(3) var<uniform> shape: vec4<u32>;

var<workgroup> peaks: array<f32, 64>;
var<workgroup> partial: array<i32, 64>;

fn magnitude(x: f32) -> u32 {
    return bitcast<u32>(x) & 0x7fffffffu;
}

// The one of larger magnitude; a NaN is the largest. Of equals, the first.
fn larger(x: f32, y: f32) -> f32 {
    return select(x, y, magnitude(y) > magnitude(x));
}

@compute @workgroup_size(64)
fn main(
    @builtin(local_invocation_index) t: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let number = group.y * groups.x + group.x;
    if (number >= shape.x * shape.z) { return; }
    let vector = number % shape.x * 64u + t;
    var x = vec4<f32>(0.0);
    if (vector < shape.y) { x = input[number / shape.x * shape.y + vector]; }
    peaks[t] = larger(larger(x.x, x.y), larger(x.z, x.w));
    workgroupBarrier();
    // Neighbors first, so that the first of equals stays the first.
    for (var step = 1u; step < SPAN / 4u; step *= 2u) {
        if (t % (2u * step) == 0u) { peaks[t] = larger(peaks[t], peaks[t + step]); }
        workgroupBarrier();
    }
    let peak = peaks[t / (SPAN / 4u) * (SPAN / 4u)];
    var inverse = select(127.0, -127.0, SPAN == 256u) / select(abs(peak), peak, SPAN == 256u);
    var scale = select(abs(peak) / 127.0, 1.0 / inverse, SPAN == 256u);
    var scale_bits = bitcast<u32>(scale);
    // Where the inverse overflows, the numbers count as zeros.
    if (magnitude(inverse) >= 0x7f800000u || magnitude(peak) == 0u) {
        inverse = 0.0;
        scale_bits = 0u;
    }
    if (magnitude(peak) >= 0x7f800000u) {
        inverse = 0.0;
        scale_bits = 0x7fc00000u;
        x = vec4<f32>(0.0);
    }
    let rounded = clamp(vec4<i32>(round(inverse * x)), vec4<i32>(-127), vec4<i32>(127));
    codes[number * 64u + t] = pack4xI8(rounded);
    partial[t] = rounded.x + rounded.y + rounded.z + rounded.w;
    workgroupBarrier();
    if (t % 8u == 0u) {
        let low = partial[t] + partial[t + 1u] + partial[t + 2u] + partial[t + 3u];
        let high = partial[t + 4u] + partial[t + 5u] + partial[t + 6u] + partial[t + 7u];
        terms[number * 8u + t / 8u] = vec2<u32>(scale_bits, (u32(low) & 0xffffu) | (u32(high) << 16u));
    }
}
