// C = A B for f16 and bf16 with sums of f32 on any adapter, in tiles of registers: tile.wgsl with numbers of 16 bits.
//
// Constants: those of tile.wgsl, and BF16.
//
// Indices: rows below m and vectors below lda / 4 of A, likewise of B and C: by EDGES, or because tiles are whole.

@group(0) @binding(0) var<storage, read> matrix_a: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read> matrix_b: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read_write> matrix_c: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> shape: Shape;

fn a_at(i: u32) -> vec4<f32> {
    return four(matrix_a[i]);
}

fn b_at(i: u32) -> vec4<f32> {
    return four(matrix_b[i]);
}

// Four numbers of 16 bits.
fn four(x: vec2<u32>) -> vec4<f32> {
    if (BF16) {
        return bitcast<vec4<f32>>(vec4<u32>(x.x << 16u, x.x & 0xffff0000u, x.y << 16u, x.y & 0xffff0000u));
    }
    return vec4<f32>(unpack2x16float(x.x), unpack2x16float(x.y));
}
