// Four elements as they are stored: f32.
alias Quad = vec4<f32>;
fn widen(quad: Quad) -> vec4<f32> { return quad; }
fn narrow(values: vec4<f32>) -> Quad { return values; }
fn zero_quad() -> Quad { return vec4<f32>(); }
