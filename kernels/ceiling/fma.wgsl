// The most multiply-adds of f32: sixteen independent chains in each invocation, all on the same factor and summand, so
// that no operand but the chain itself is read anew. 1024 rounds of four steps. The chains converge to 1, from starts
// that differ, so nothing overflows and nothing can be computed beforehand.

@group(0) @binding(0) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let at = group.x * 256u + local;
    let start = f32(local) * 0.001;
    let x = vec4<f32>(0.5 + start * 1e-6);
    let y = vec4<f32>(0.5 - start * 1e-6);
    var a = vec4<f32>(start, start + 0.1, start + 0.2, start + 0.3);
    var b = a + 0.01;
    var c = a + 0.02;
    var d = a + 0.03;
    for (var i = 0u; i < 1024u; i++) {
        a = fma(a, x, y);
        b = fma(b, x, y);
        c = fma(c, x, y);
        d = fma(d, x, y);
        a = fma(a, x, y);
        b = fma(b, x, y);
        c = fma(c, x, y);
        d = fma(d, x, y);
        a = fma(a, x, y);
        b = fma(b, x, y);
        c = fma(c, x, y);
        d = fma(d, x, y);
        a = fma(a, x, y);
        b = fma(b, x, y);
        c = fma(c, x, y);
        d = fma(d, x, y);
    }
    let sum = a + b + c + d;
    sums[at] = sum.x + sum.y + sum.z + sum.w;
}
