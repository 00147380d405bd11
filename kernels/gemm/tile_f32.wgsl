// C = A B for f32 on any adapter, in tiles of registers: tile.wgsl with numbers of 32 bits.
//
// Constants: those of tile.wgsl.
//
// Indices: rows below m and vectors below lda / 4 of A, likewise of B and C: by EDGES, or because tiles are whole.

@group(0) @binding(0) var<storage, read> matrix_a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> matrix_b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> matrix_c: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> shape: Shape;

fn a_at(i: u32) -> vec4<f32> {
    return matrix_a[i];
}

fn b_at(i: u32) -> vec4<f32> {
    return matrix_b[i];
}
