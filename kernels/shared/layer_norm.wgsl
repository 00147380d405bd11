// Mean and inverse deviation of a row of x, the same for every invocation of the workgroup. The order of the sums is
// fixed: each invocation adds every GROUP-th number, and a tree adds what they have.
//
// Constants: GROUP (a power of two), CHANNELS of a row, EPSILON.

var<workgroup> parts: array<f32, GROUP>;

fn total(t: u32, part: f32) -> f32 {
    parts[t] = part;
    workgroupBarrier();
    for (var half = GROUP / 2u; half > 0u; half /= 2u) {
        if (t < half) { parts[t] += parts[t + half]; }
        workgroupBarrier();
    }
    let all = parts[0];
    // Nobody writes again before everybody has read.
    workgroupBarrier();
    return all;
}

fn moments(t: u32, start: u32) -> vec2<f32> {
    var sum = 0.0;
    for (var c = t; c < CHANNELS; c += GROUP) { sum += x[start + c]; }
    let mean = total(t, sum) / f32(CHANNELS);
    var squares = 0.0;
    for (var c = t; c < CHANNELS; c += GROUP) {
        let centered = x[start + c] - mean;
        squares += centered * centered;
    }
    return vec2<f32>(mean, 1.0 / sqrt(total(t, squares) / f32(CHANNELS) + EPSILON));
}
