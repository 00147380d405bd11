// Rows normalized, then mixed with the row before: n + (before - n) lerp, for LERPS lerps at once.
//
// A workgroup takes GROUP channels through all tokens of the chunk, so an invocation has the row before in a register:
// the first one's is in the state, and the last one is left there. The moments of a row are found by each workgroup.
//
// Constants: GROUP, CHANNELS, STRIDE from row to row, EPSILON, LERPS.
//
// Indices: channels below CHANNELS of rows below the tokens of the chunk. Row `token` of x has LERPS rows of `mixed`.

@group(0) @binding(0) var<storage, read> x: array<f32>;
// Factors, offsets, then the lerps, each CHANNELS numbers.
@group(0) @binding(1) var<storage, read> vectors: array<f32>;
@group(0) @binding(2) var<storage, read_write> state: array<f32>;
@group(0) @binding(3) var<storage, read_write> mixed: array<f32>;
// Tokens of the chunk; the first of them whose logits are wanted.
@group(0) @binding(4) var<uniform> chunk: vec4<u32>;
// Where the row before the first one is.
@group(0) @binding(5) var<uniform> place: vec4<u32>;

@compute @workgroup_size(GROUP)
fn main(@builtin(local_invocation_index) t: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let c = group.x * GROUP + t;
    let is_channel = c < CHANNELS;
    var before = 0.0;
    if (is_channel) { before = state[place.x + c]; }
    for (var token = 0u; token < chunk.x; token++) {
        let found = moments(t, token * STRIDE);
        if (is_channel) {
            let centered = (x[token * STRIDE + c] - found.x) * found.y;
            let now = centered * vectors[c] + vectors[CHANNELS + c];
            for (var n = 0u; n < LERPS; n++) {
                let lerp = vectors[(2u + n) * CHANNELS + c];
                mixed[(token * LERPS + n) * STRIDE + c] = now + (before - now) * lerp;
            }
            before = now;
        }
    }
    if (is_channel) { state[place.x + c] = before; }
}
