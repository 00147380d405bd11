// Four elements as they are stored: f16, of an adapter that computes in f16.
alias Quad = vec4<f16>;
fn widen(quad: Quad) -> vec4<f32> { return vec4<f32>(quad); }
fn narrow(values: vec4<f32>) -> Quad { return vec4<f16>(values); }
fn zero_quad() -> Quad { return vec4<f16>(); }
