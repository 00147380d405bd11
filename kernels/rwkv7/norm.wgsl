// Rows normalized: y = (x - mean) / deviation * factors + offsets.
//
// A workgroup writes GROUP channels of row `group.y`; each finds the moments of the whole row by itself, so that none
// waits for another. With PICKED, the first row is the one from which logits are wanted.
//
// Constants: GROUP, CHANNELS, STRIDE from row to row, EPSILON, PICKED.
//
// Indices: channels below CHANNELS of rows of the chunk, as many as there are workgroups along y.

@group(0) @binding(0) var<storage, read> x: array<f32>;
// Factors, then offsets.
@group(0) @binding(1) var<storage, read> affine: array<f32>;
@group(0) @binding(2) var<storage, read_write> normed: array<f32>;
// Tokens of the chunk; the first of them whose logits are wanted.
@group(0) @binding(3) var<uniform> chunk: vec4<u32>;

@compute @workgroup_size(GROUP)
fn main(@builtin(local_invocation_index) t: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let row = group.y + select(0u, chunk.y, PICKED);
    let found = moments(t, row * STRIDE);
    let c = group.x * GROUP + t;
    if (c < CHANNELS) {
        let centered = (x[row * STRIDE + c] - found.x) * found.y;
        normed[group.y * STRIDE + c] = centered * affine[c] + affine[CHANNELS + c];
    }
}
