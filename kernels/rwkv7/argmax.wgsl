// The token with the largest logit, the first of equal ones; 0 if there is none that is a number. One workgroup.
//
// Constants: GROUP (a power of two), TOKENS. Indices: tokens below TOKENS.

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> chosen: array<u32>;

// That of -infinity, which is not chosen either.
const LEAST = 0x007fffffu;

var<workgroup> keys: array<u32, GROUP>;
var<workgroup> tokens: array<u32, GROUP>;

// A number that is larger where the logit is; the least for what is no number. Both zeros are equal.
fn ordered(logit: f32) -> u32 {
    let bits = bitcast<u32>(logit);
    let magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) { return LEAST; }
    if (magnitude == 0u) { return 0x80000000u; }
    return select(bits | 0x80000000u, ~bits, bits != magnitude);
}

@compute @workgroup_size(GROUP)
fn main(@builtin(local_invocation_index) t: u32) {
    var best = LEAST;
    var token = 0u;
    for (var at = t; at < TOKENS; at += GROUP) {
        let found = ordered(logits[at]);
        if (found > best) {
            best = found;
            token = at;
        }
    }
    keys[t] = best;
    tokens[t] = token;
    workgroupBarrier();
    for (var half = GROUP / 2u; half > 0u; half /= 2u) {
        if (t < half) {
            let other = t + half;
            if (keys[other] > keys[t] || (keys[other] == keys[t] && tokens[other] < tokens[t])) {
                keys[t] = keys[other];
                tokens[t] = tokens[other];
            }
        }
        workgroupBarrier();
    }
    if (t == 0u) { chosen[0] = tokens[0]; }
}
