// Attention of a tile of ROWS queries, for any adapter.
//
// A workgroup walks over the keys that its queries see, KEYS at a time, and keeps of each query the largest score m,
// the sum l of exp2(score - m), and o, the sum of exp2(score - m) v. A larger m scales l and o down.
//
// Both products are register-tiled. A thread has 4 x TALL rows (one or two vectors of rows) and 4 keys; in the second
// product, 4 x SLOTS elements of the head instead of the keys. Operands come through workgroup memory in chunks: DEPTH
// elements of the head of Q and K, both transposed, so that a step of the first product reads rows as vectors; KEYS_V
// keys of V, as they lie.
//
// Constants: ROWS (a multiple of 4 TALL), KEYS and DEPTH (multiples of 4), KEYS_V (divides KEYS), TALL (1 or 2).
// 2 KEYS >= HEAD_DIM, because a thread has at most two slots.
//
// Indices: rows and keys beyond an item are neither read nor written; what stands for them is 0, and not seen.

@group(0) @binding(3) var<storage, read_write> out: array<Quad>;

const ROW_GROUPS = ROWS / 4u;
const KEY_GROUPS = KEYS / 4u;
const ROW_THREADS = ROW_GROUPS / TALL;
const THREADS = ROW_THREADS * KEY_GROUPS;
const SLOTS = (QUADS + KEY_GROUPS - 1u) / KEY_GROUPS;
const CHUNKS = (HEAD_DIM + DEPTH - 1u) / DEPTH;
const DEPTH_QUADS = DEPTH / 4u;
// A stride that is odd in vectors spreads rows over the banks.
const EXCHANGE = KEY_GROUPS + 1u;

// Chunks of Q and K, as element x group; a chunk of V, as key x quad.
var<workgroup> q_chunk: array<vec4<f32>, DEPTH * ROW_GROUPS>;
var<workgroup> kv_chunk: array<vec4<f32>, max(DEPTH * KEY_GROUPS, KEYS_V * QUADS)>;
// Weights as key x row group; before that, what the threads of a row exchange.
var<workgroup> weights: array<vec4<f32>, max(KEYS * ROW_GROUPS, ROW_GROUPS * EXCHANGE)>;

fn query(item: Item, head: u32, row: u32, quad: u32) -> vec4<f32> {
    if (row >= item.queries || quad >= QUADS) {
        return vec4<f32>();
    }
    return widen(q[query_at(item.query_token + row, head, quad)]);
}

fn key(item: Item, kv_head: u32, at: i32, quad: u32) -> vec4<f32> {
    if (at >= item.end || quad >= QUADS) {
        return vec4<f32>();
    }
    return widen(k[key_at(item.key_token + u32(at), kv_head, quad)]);
}

// Blocks of four rows of four elements, transposed.
fn load_queries_and_keys(t: u32, item: Item, head: u32, kv_head: u32, first: i32, chunk: u32) {
    for (var block = t; block < DEPTH_QUADS * ROW_GROUPS; block += THREADS) {
        let group = block % ROW_GROUPS;
        let row = 4u * group;
        let d = block / ROW_GROUPS;
        let quad = chunk * DEPTH_QUADS + d;
        let rows = transpose(mat4x4<f32>(
            query(item, head, row, quad),
            query(item, head, row + 1u, quad),
            query(item, head, row + 2u, quad),
            query(item, head, row + 3u, quad),
        ));
        q_chunk[4u * d * ROW_GROUPS + group] = rows[0];
        q_chunk[(4u * d + 1u) * ROW_GROUPS + group] = rows[1];
        q_chunk[(4u * d + 2u) * ROW_GROUPS + group] = rows[2];
        q_chunk[(4u * d + 3u) * ROW_GROUPS + group] = rows[3];
    }
    for (var block = t; block < DEPTH_QUADS * KEY_GROUPS; block += THREADS) {
        let group = block % KEY_GROUPS;
        let at = first + i32(4u * group);
        let d = block / KEY_GROUPS;
        let quad = chunk * DEPTH_QUADS + d;
        let rows = transpose(mat4x4<f32>(
            key(item, kv_head, at, quad),
            key(item, kv_head, at + 1, quad),
            key(item, kv_head, at + 2, quad),
            key(item, kv_head, at + 3, quad),
        ));
        kv_chunk[4u * d * KEY_GROUPS + group] = rows[0];
        kv_chunk[(4u * d + 1u) * KEY_GROUPS + group] = rows[1];
        kv_chunk[(4u * d + 2u) * KEY_GROUPS + group] = rows[2];
        kv_chunk[(4u * d + 3u) * KEY_GROUPS + group] = rows[3];
    }
}

fn load_values(t: u32, item: Item, kv_head: u32, first: i32) {
    for (var at = t; at < KEYS_V * QUADS; at += THREADS) {
        let key = first + i32(at / QUADS);
        var value = vec4<f32>();
        if (key < item.end) {
            value = widen(v[key_at(item.key_token + u32(key), kv_head, at % QUADS)]);
        }
        kv_chunk[at] = value;
    }
}

fn store_weights(x: u32, group: u32, p: mat4x4<f32>) {
    weights[4u * x * ROW_GROUPS + group] = p[0];
    weights[(4u * x + 1u) * ROW_GROUPS + group] = p[1];
    weights[(4u * x + 2u) * ROW_GROUPS + group] = p[2];
    weights[(4u * x + 3u) * ROW_GROUPS + group] = p[3];
}

fn largest_of_row(group: u32) -> vec4<f32> {
    var found = weights[group * EXCHANGE];
    for (var i = 1u; i < KEY_GROUPS; i++) {
        found = max(found, weights[group * EXCHANGE + i]);
    }
    return found;
}

fn sum_of_row(group: u32) -> vec4<f32> {
    var found = weights[group * EXCHANGE];
    for (var i = 1u; i < KEY_GROUPS; i++) {
        found += weights[group * EXCHANGE + i];
    }
    return found;
}

fn store_row(item: Item, head: u32, row: u32, quad: u32, o: vec4<f32>, l: f32) {
    if (row < item.queries && quad < QUADS) {
        // A query that sees no key has the output 0.
        out[query_at(item.query_token + row, head, quad)] = narrow(select(vec4<f32>(), o / l, vec4<bool>(l > 0.0)));
    }
}

fn store(item: Item, head: u32, group: u32, quad: u32, o: mat4x4<f32>, l: vec4<f32>) {
    let rows = transpose(o);
    store_row(item, head, 4u * group, quad, rows[0], l.x);
    store_row(item, head, 4u * group + 1u, quad, rows[1], l.y);
    store_row(item, head, 4u * group + 2u, quad, rows[2], l.z);
    store_row(item, head, 4u * group + 3u, quad, rows[3], l.w);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) t: u32, @builtin(workgroup_id) workgroup: vec3<u32>) {
    let index = workgroup.y * params.columns + workgroup.x;
    if (index >= params.items * params.heads) {
        return;
    }
    let head = index % params.heads;
    let kv_head = head / params.group;
    let item = items[index / params.heads];
    let x = t % KEY_GROUPS;
    // The two groups of rows of this thread.
    let y = t / KEY_GROUPS;
    let z = y + ROW_THREADS;

    let position_y = vec4<i32>(item.position + i32(4u * y)) + vec4<i32>(0, 1, 2, 3);
    let position_z = position_y + i32(4u * ROW_THREADS);
    let high_y = min(position_y + params.right + 1, vec4<i32>(item.end));
    let high_z = min(position_z + params.right + 1, vec4<i32>(item.end));

    var m_y = vec4<f32>(LOWEST);
    var m_z = vec4<f32>(LOWEST);
    var l_y = vec4<f32>();
    var l_z = vec4<f32>();
    // Of each group of rows, one or two slots of the head.
    var o_y0 = mat4x4<f32>();
    var o_y1 = mat4x4<f32>();
    var o_z0 = mat4x4<f32>();
    var o_z1 = mat4x4<f32>();

    for (var first = item.begin; first < item.end; first += i32(KEYS)) {
        var s_y = mat4x4<f32>();
        var s_z = mat4x4<f32>();
        for (var chunk = 0u; chunk < CHUNKS; chunk++) {
            load_queries_and_keys(t, item, head, kv_head, first, chunk);
            workgroupBarrier();
            for (var d = 0u; d < DEPTH; d++) {
                let keys = kv_chunk[d * KEY_GROUPS + x];
                s_y = outer(s_y, q_chunk[d * ROW_GROUPS + y], keys);
                if (TALL == 2u) {
                    s_z = outer(s_z, q_chunk[d * ROW_GROUPS + z], keys);
                }
            }
            workgroupBarrier();
        }

        let at = first + i32(4u * x);
        s_y = seen(s_y, at, position_y - params.left, high_y);
        weights[y * EXCHANGE + x] = largest_column(s_y);
        if (TALL == 2u) {
            s_z = seen(s_z, at, position_z - params.left, high_z);
            weights[z * EXCHANGE + x] = largest_column(s_z);
        }
        workgroupBarrier();
        let above_y = max(m_y, largest_of_row(y));
        var above_z = m_z;
        if (TALL == 2u) {
            above_z = max(m_z, largest_of_row(z));
        }
        workgroupBarrier();
        let p_y = all_weights(s_y, above_y);
        store_weights(x, y, p_y);
        let shrink_y = exp2(m_y - above_y);
        m_y = above_y;
        l_y = fma(l_y, shrink_y, sum_of_columns(p_y));
        o_y0 = columns_times(o_y0, shrink_y);
        o_y1 = columns_times(o_y1, shrink_y);
        if (TALL == 2u) {
            let p_z = all_weights(s_z, above_z);
            store_weights(x, z, p_z);
            let shrink_z = exp2(m_z - above_z);
            m_z = above_z;
            l_z = fma(l_z, shrink_z, sum_of_columns(p_z));
            o_z0 = columns_times(o_z0, shrink_z);
            o_z1 = columns_times(o_z1, shrink_z);
        }

        for (var some = 0u; some < KEYS; some += KEYS_V) {
            load_values(t, item, kv_head, first + i32(some));
            workgroupBarrier();
            for (var i = 0u; i < KEYS_V; i++) {
                let p_y = weights[(some + i) * ROW_GROUPS + y];
                let v_0 = kv_chunk[i * QUADS + min(x, QUADS - 1u)];
                // Without a second slot, or a second group of rows, this is the first again, and its result unused.
                let v_1 = kv_chunk[i * QUADS + min(x + (SLOTS - 1u) * KEY_GROUPS, QUADS - 1u)];
                o_y0 = outer(o_y0, p_y, v_0);
                if (SLOTS == 2u) {
                    o_y1 = outer(o_y1, p_y, v_1);
                }
                if (TALL == 2u) {
                    let p_z = weights[(some + i) * ROW_GROUPS + z];
                    o_z0 = outer(o_z0, p_z, v_0);
                    if (SLOTS == 2u) {
                        o_z1 = outer(o_z1, p_z, v_1);
                    }
                }
            }
            workgroupBarrier();
        }
    }

    weights[y * EXCHANGE + x] = l_y;
    if (TALL == 2u) {
        weights[z * EXCHANGE + x] = l_z;
    }
    workgroupBarrier();
    l_y = sum_of_row(y);
    store(item, head, y, x, o_y0, l_y);
    if (SLOTS == 2u) {
        store(item, head, y, x + KEY_GROUPS, o_y1, l_y);
    }
    if (TALL == 2u) {
        l_z = sum_of_row(z);
        store(item, head, z, x, o_z0, l_z);
        if (SLOTS == 2u) {
            store(item, head, z, x + KEY_GROUPS, o_z1, l_z);
        }
    }
}
