// Combines what `decode.wgsl` left of each part of the keys: sums with different m are brought to the largest, added in
// the order of the parts, and divided by the sum of all weights. Exact: the same as if one workgroup had seen all keys.
//
// A workgroup has one row, that is a query and a head. Of an item, `begin` .. `end` are the items that its parts were.
//
// Constants: MERGE_THREADS (at least HEAD_DIM / 4), GROUPS as in `decode.wgsl`.

@group(0) @binding(3) var<storage, read_write> out: array<Quad>;
@group(0) @binding(6) var<storage, read> sums: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> scales: array<vec2<f32>>;

@compute @workgroup_size(MERGE_THREADS)
fn main(@builtin(local_invocation_index) t: u32, @builtin(workgroup_id) workgroup: vec3<u32>) {
    let blocks = (params.most_queries * params.group + 4u * GROUPS - 1u) / (4u * GROUPS);
    let index = workgroup.y * params.columns + workgroup.x;
    if (index >= params.items * params.most_queries * params.heads || t >= QUADS) {
        return;
    }
    let head = index % params.heads;
    let query = index / params.heads % params.most_queries;
    let item = items[index / params.heads / params.most_queries];
    if (query >= item.queries) {
        return;
    }
    let row = query * params.group + head % params.group;
    let within = (head / params.group * blocks + row / (4u * GROUPS)) * 4u * GROUPS + row % (4u * GROUPS);
    // Slots of one part.
    let stride = params.kv_heads * blocks * 4u * GROUPS;

    var m = LOWEST;
    for (var part = item.begin; part < item.end; part++) {
        m = max(m, scales[u32(part) * stride + within].x);
    }
    var l = 0.0;
    var o = vec4<f32>();
    for (var part = item.begin; part < item.end; part++) {
        let slot = u32(part) * stride + within;
        let scale = scales[slot];
        let factor = exp2(scale.x - m);
        l = fma(scale.y, factor, l);
        o = fma(sums[slot * QUADS + t], vec4<f32>(factor), o);
    }
    out[query_at(item.query_token + query, head, t)] = narrow(select(vec4<f32>(), o / l, vec4<bool>(l > 0.0)));
}
