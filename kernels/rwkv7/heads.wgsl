// The recurrence of a head, and what surrounds it, for all tokens of a chunk: a workgroup has a head.
//
//   kk = k k_k / max(|k k_k|, 1e-12)        k = k (1 + (a - 1) k_a)        v = v + (v of the first layer - v) mix
//
//   removed_i = sum over j of  S_ji (-kk_j)
//   S_ji      = S_ji w_j + v_i k_j + removed_i (kk_j a_j)
//   y_i       = sum over j of  S_ji r_j
//
//   y = (normalized y + v sum(k r r_k)) gate
//
// The state S has value channels i next to each other, so invocations read neighbors. SPLIT invocations share a value
// channel, each with every SPLIT-th key channel j; what they have is added in workgroup memory, in a fixed order. The
// sums over the channels of a head are formed by every invocation for itself.
//
// Constants: SIZE of a head, SPLIT, CHANNELS, STRIDE from row to row.
//
// Indices: channels of the head, of rows below the tokens of the chunk; SIZE x SIZE numbers of the state.

@group(0) @binding(0) var<storage, read> receptance: array<f32>;
@group(0) @binding(1) var<storage, read> key: array<f32>;
@group(0) @binding(2) var<storage, read> value: array<f32>;
// Values of the first layer.
@group(0) @binding(3) var<storage, read> first_value: array<f32>;
// For each token rows of decay, rate, mix and gate.
@group(0) @binding(4) var<storage, read> low_rank: array<f32>;
// k_k, k_a, r_k, factors and offsets of the norm, each CHANNELS numbers.
@group(0) @binding(5) var<storage, read> vectors: array<f32>;
@group(0) @binding(6) var<storage, read_write> state: array<f32>;
@group(0) @binding(7) var<storage, read_write> output: array<f32>;
// Tokens of the chunk; the first of them whose logits are wanted.
@group(0) @binding(8) var<uniform> chunk: vec4<u32>;
// Where the states of the heads begin; whether values are mixed; whether there is a gate.
@group(0) @binding(9) var<uniform> layer: vec4<u32>;

var<workgroup> r: array<f32, SIZE>;
var<workgroup> w: array<f32, SIZE>;
var<workgroup> k: array<f32, SIZE>;
var<workgroup> kk: array<f32, SIZE>;
var<workgroup> rate: array<f32, SIZE>;
var<workgroup> bonus: array<f32, SIZE>;
var<workgroup> y: array<f32, SIZE>;
var<workgroup> parts: array<f32, GROUP>;

const GROUP = SIZE * SPLIT;

// The sum of what the invocations of a value channel have.
fn shared_sum(t: u32, i: u32, part: f32) -> f32 {
    parts[t] = part;
    workgroupBarrier();
    var sum = 0.0;
    for (var s = 0u; s < SPLIT; s++) { sum += parts[s * SIZE + i]; }
    workgroupBarrier();
    return sum;
}

@compute @workgroup_size(GROUP)
fn main(@builtin(local_invocation_index) t: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let i = t % SIZE;
    let part = t / SIZE;
    let c = group.x * SIZE + i;
    let cell = layer.x + group.x * SIZE * SIZE + i;
    for (var token = 0u; token < chunk.x; token++) {
        let at = token * STRIDE + c;
        let low = 4u * token * STRIDE + c;
        if (part == 0u) {
            let a = low_rank[low + STRIDE];
            let raw = key[at];
            r[i] = receptance[at];
            w[i] = low_rank[low];
            k[i] = raw * (1.0 + (a - 1.0) * vectors[CHANNELS + c]);
            kk[i] = raw * vectors[c];
            rate[i] = a;
            bonus[i] = k[i] * r[i] * vectors[2u * CHANNELS + c];
        }
        var v = value[at];
        if (layer.y == 1u) { v += (first_value[at] - v) * low_rank[low + 2u * STRIDE]; }
        workgroupBarrier();
        var squares = 0.0;
        var kept = 0.0;
        for (var j = 0u; j < SIZE; j++) {
            squares += kk[j] * kk[j];
            kept += bonus[j];
        }
        let inverse = 1.0 / max(sqrt(squares), 1e-12);
        var removing = 0.0;
        for (var j = part; j < SIZE; j += SPLIT) { removing -= state[cell + j * SIZE] * (kk[j] * inverse); }
        let removed = shared_sum(t, i, removing);
        var sum = 0.0;
        for (var j = part; j < SIZE; j += SPLIT) {
            let s = state[cell + j * SIZE] * w[j] + v * k[j] + removed * (kk[j] * inverse * rate[j]);
            state[cell + j * SIZE] = s;
            sum += s * r[j];
        }
        let found = shared_sum(t, i, sum);
        if (part == 0u) { y[i] = found; }
        workgroupBarrier();
        var mean = 0.0;
        for (var j = 0u; j < SIZE; j++) { mean += y[j]; }
        mean /= f32(SIZE);
        var variance = 0.0;
        for (var j = 0u; j < SIZE; j++) { variance += (y[j] - mean) * (y[j] - mean); }
        variance /= f32(SIZE);
        if (part == 0u) {
            let normalized = (found - mean) * (1.0 / sqrt(variance + 64e-5));
            var out = normalized * vectors[3u * CHANNELS + c] + vectors[4u * CHANNELS + c] + v * kept;
            if (layer.z == 1u) { out *= low_rank[low + 3u * STRIDE]; }
            output[at] = out;
        }
        // The next token writes what this one reads.
        workgroupBarrier();
    }
}
