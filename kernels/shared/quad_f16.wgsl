// Four elements as they are stored: f16, two in each word. The adapter need not compute in f16.
alias Quad = vec2<u32>;
fn widen(quad: Quad) -> vec4<f32> { return vec4<f32>(unpack2x16float(quad.x), unpack2x16float(quad.y)); }
fn narrow(values: vec4<f32>) -> Quad { return vec2<u32>(pack2x16float(values.xy), pack2x16float(values.zw)); }
fn zero_quad() -> Quad { return vec2<u32>(); }
