// Four elements as they are stored: bf16, two in each word. A bf16 is the upper half of an f32; it is rounded to nearest,
// ties to even, and a NaN stays one.
alias Quad = vec2<u32>;
fn widen_pair(pair: u32) -> vec2<f32> { return vec2<f32>(bitcast<f32>(pair << 16u), bitcast<f32>(pair & 0xffff0000u)); }
fn widen(quad: Quad) -> vec4<f32> { return vec4<f32>(widen_pair(quad.x), widen_pair(quad.y)); }
fn narrow_one(value: f32) -> u32 {
    let bits = bitcast<u32>(value);
    let rounded = bits + 0x7fffu + ((bits >> 16u) & 1u);
    return select(rounded, bits | 0x400000u, (bits & 0x7fffffffu) > 0x7f800000u) >> 16u;
}
fn narrow(values: vec4<f32>) -> Quad {
    let x = narrow_one(values.x) | (narrow_one(values.y) << 16u);
    let y = narrow_one(values.z) | (narrow_one(values.w) << 16u);
    return vec2<u32>(x, y);
}
fn zero_quad() -> Quad { return vec2<u32>(); }
