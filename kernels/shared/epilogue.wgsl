// C <- activation(alpha A B + bias) + residual, four columns at a time.
//
// Constants: BIAS 0 none, 1 per row, 2 per column; ACTIVATION 0 identity, 1 GELU, 2 squared ReLU, 3 tanh; RESIDUAL.
// Without bias and residual, nothing of their bindings is touched; a dense kernel binds C's neighbors then.

@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> residual: array<vec4<f32>>;

// Abramowitz and Stegun 7.1.26 is not enough for GELU's tolerance; this is erf as its Taylor series below 1 and as
// 1 - exp(-x^2) times a fitted fraction above, after W. J. Cody (1969), to a few units in the last place of f32.
fn erf4(x: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(erf1(x.x), erf1(x.y), erf1(x.z), erf1(x.w));
}

fn erf1(x: f32) -> f32 {
    let a = abs(x);
    if (a < 0.5) {
        let z = x * x;
        let p = 3.209377589138469e3 + z * (3.774852376853020e2 + z * (1.138641541510502e2
            + z * (3.161123743870566 + z * 1.857777061846032e-1)));
        let q = 2.844236833439171e3 + z * (1.282616526077372e3 + z * (2.440246379344442e2
            + z * (2.360129095234412e1 + z)));
        return x * p / q;
    }
    if (a > 4.0) { return sign(x); }
    let p = 1.230339354797997e3 + a * (2.051078377826071e3 + a * (1.712047612634071e3 + a * (8.819522212417691e2
        + a * (2.986351381974001e2 + a * (6.611919063714163e1 + a * (8.883149794388376
        + a * (5.641884969886701e-1 + a * 2.153115354744038e-8)))))));
    let q = 1.230339354803749e3 + a * (3.439367674143722e3 + a * (4.362619090143247e3 + a * (3.290799235733460e3
        + a * (1.621389574566690e3 + a * (5.371811018620099e2 + a * (1.176939508913125e2
        + a * (1.574492611070983e1 + a)))))));
    return sign(x) * (1.0 - exp(-a * a) * p / q);
}

fn finished(sum: vec4<f32>, row: u32, n4: u32, at: u32) -> vec4<f32> {
    var x = shape.alpha * sum;
    if (BIAS == 1u) { x += bias[row]; }
    if (BIAS == 2u) {
        let last = shape.n - 1u;
        let j = n4 * 4u;
        x += vec4<f32>(bias[min(j, last)], bias[min(j + 1u, last)], bias[min(j + 2u, last)], bias[min(j + 3u, last)]);
    }
    if (ACTIVATION == 1u) { x = 0.5 * x * (1.0 + erf4(x * 0.7071067811865476)); }
    if (ACTIVATION == 2u) { x = max(x, vec4<f32>(0.0)) * max(x, vec4<f32>(0.0)); }
    // Beyond 9, tanh is 1 in f32, and the function may overflow.
    if (ACTIVATION == 3u) { x = tanh(clamp(x, vec4<f32>(-9.0), vec4<f32>(9.0))); }
    if (RESIDUAL) { x += residual[at]; }
    return x;
}
