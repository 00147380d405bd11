// Attention of a tile of f16 queries by cooperative matrices of 16 x 16 x 16, with sums in f32.
//
// A subgroup of 32 lanes has BLOCKS x 16 rows and keeps o, the sum of exp2(score - m) v, in matrices: o_IJ has block I of
// the rows and elements 16 J and up of the head. The workgroup shares tiles of 32 keys. Which lane holds what of a matrix
// is not known, so all that belongs to rows goes through workgroup memory: scores are stored, lanes make weights of
// them, and those are loaded as the left operand of the second product. A row belongs to 2 / BLOCKS lanes, which need
// nothing from other lanes: each reads all scores of its row to find the largest.
//
// To scale o for each larger score would send all of it through workgroup memory. So m is no running maximum: it is
// raised, and o scaled, only when a score exceeds it by more than SLACK. Weights are at most 2^SLACK, far inside the
// range of f16, and l is the sum of the weights as they were rounded.
//
// Constants: HEAD (64 or 128: HEAD_DIM, rounded up with zeros), SUBGROUPS, BLOCKS (1 or 2). All subgroups of the adapter
// must have 32 lanes. Rows and keys beyond an item are neither read nor written; what stands for them is 0.

enable f16;
enable wgpu_cooperative_matrix;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) t: u32, @builtin(workgroup_id) workgroup: vec3<u32>) {
    let index = workgroup.y * params.columns + workgroup.x;
    if (index >= params.items * params.heads) {
        return;
    }
    let head = index % params.heads;
    let kv_head = head / params.group;
    let item = items[index / params.heads];
    // The first row of the subgroup, which is block 0.
    let rows = t / LANES * ROWS;
    let lane = t % LANES;
    var row: Row;
    row.row = rows + lane % ROWS;
    row.slot = row.row;
    row.begin = lane / ROWS * (KEYS / 4u / SHARE);
    row.end = row.begin + KEYS / 4u / SHARE;
    let position = item.position + i32(row.row);
    row.low = position - params.left;
    row.high = min(position + params.right + 1, item.end);
    // Keys that all rows see.
    let all_low = item.position + i32(item.queries) - 1 - params.left;
    let all_high = min(item.position + params.right + 1, item.end);

    var q_00 = Left(); var q_01 = Left(); var q_02 = Left(); var q_03 = Left();
    var q_04 = Left(); var q_05 = Left(); var q_06 = Left(); var q_07 = Left();
    var q_10 = Left(); var q_11 = Left(); var q_12 = Left(); var q_13 = Left();
    var q_14 = Left(); var q_15 = Left(); var q_16 = Left(); var q_17 = Left();
    var o_00 = Sums(); var o_01 = Sums(); var o_02 = Sums(); var o_03 = Sums();
    var o_04 = Sums(); var o_05 = Sums(); var o_06 = Sums(); var o_07 = Sums();
    var o_10 = Sums(); var o_11 = Sums(); var o_12 = Sums(); var o_13 = Sums();
    var o_14 = Sums(); var o_15 = Sums(); var o_16 = Sums(); var o_17 = Sums();

    load_row(row, item, head, 0u);
    q_00 = row_block(rows, 0u, 0u); q_01 = row_block(rows, 0u, 4u);
    if (BLOCKS == 2u) { q_10 = row_block(rows, 1u, 0u); q_11 = row_block(rows, 1u, 4u); }
    load_row(row, item, head, 1u);
    q_02 = row_block(rows, 0u, 0u); q_03 = row_block(rows, 0u, 4u);
    if (BLOCKS == 2u) { q_12 = row_block(rows, 1u, 0u); q_13 = row_block(rows, 1u, 4u); }
    if (HEAD == 128u) {
        load_row(row, item, head, 2u);
        q_04 = row_block(rows, 0u, 0u); q_05 = row_block(rows, 0u, 4u);
        if (BLOCKS == 2u) { q_14 = row_block(rows, 1u, 0u); q_15 = row_block(rows, 1u, 4u); }
        load_row(row, item, head, 3u);
        q_06 = row_block(rows, 0u, 0u); q_07 = row_block(rows, 0u, 4u);
        if (BLOCKS == 2u) { q_16 = row_block(rows, 1u, 0u); q_17 = row_block(rows, 1u, 4u); }
    }

    var ml = vec2<f32>(LOWEST, 0.0);
    for (var first = item.begin; first < item.end; first += i32(KEYS)) {
        workgroupBarrier();
        load_keys_and_values(t, item, kv_head, first);
        if (t == 0u) {
            atomicStore(&is_raised, 0u);
        }
        workgroupBarrier();

        var s_00 = Sums(); var s_01 = Sums(); var s_10 = Sums(); var s_11 = Sums();
        var a = Right(); var b = Right();
        a = key_block(0u, 0u); b = key_block(1u, 0u);
        s_00 = coopMultiplyAdd(q_00, a, s_00); s_01 = coopMultiplyAdd(q_00, b, s_01);
        if (BLOCKS == 2u) { s_10 = coopMultiplyAdd(q_10, a, s_10); s_11 = coopMultiplyAdd(q_10, b, s_11); }
        a = key_block(0u, 1u); b = key_block(1u, 1u);
        s_00 = coopMultiplyAdd(q_01, a, s_00); s_01 = coopMultiplyAdd(q_01, b, s_01);
        if (BLOCKS == 2u) { s_10 = coopMultiplyAdd(q_11, a, s_10); s_11 = coopMultiplyAdd(q_11, b, s_11); }
        a = key_block(0u, 2u); b = key_block(1u, 2u);
        s_00 = coopMultiplyAdd(q_02, a, s_00); s_01 = coopMultiplyAdd(q_02, b, s_01);
        if (BLOCKS == 2u) { s_10 = coopMultiplyAdd(q_12, a, s_10); s_11 = coopMultiplyAdd(q_12, b, s_11); }
        a = key_block(0u, 3u); b = key_block(1u, 3u);
        s_00 = coopMultiplyAdd(q_03, a, s_00); s_01 = coopMultiplyAdd(q_03, b, s_01);
        if (BLOCKS == 2u) { s_10 = coopMultiplyAdd(q_13, a, s_10); s_11 = coopMultiplyAdd(q_13, b, s_11); }
        if (HEAD == 128u) {
            a = key_block(0u, 4u); b = key_block(1u, 4u);
            s_00 = coopMultiplyAdd(q_04, a, s_00); s_01 = coopMultiplyAdd(q_04, b, s_01);
            if (BLOCKS == 2u) { s_10 = coopMultiplyAdd(q_14, a, s_10); s_11 = coopMultiplyAdd(q_14, b, s_11); }
            a = key_block(0u, 5u); b = key_block(1u, 5u);
            s_00 = coopMultiplyAdd(q_05, a, s_00); s_01 = coopMultiplyAdd(q_05, b, s_01);
            if (BLOCKS == 2u) { s_10 = coopMultiplyAdd(q_15, a, s_10); s_11 = coopMultiplyAdd(q_15, b, s_11); }
            a = key_block(0u, 6u); b = key_block(1u, 6u);
            s_00 = coopMultiplyAdd(q_06, a, s_00); s_01 = coopMultiplyAdd(q_06, b, s_01);
            if (BLOCKS == 2u) { s_10 = coopMultiplyAdd(q_16, a, s_10); s_11 = coopMultiplyAdd(q_16, b, s_11); }
            a = key_block(0u, 7u); b = key_block(1u, 7u);
            s_00 = coopMultiplyAdd(q_07, a, s_00); s_01 = coopMultiplyAdd(q_07, b, s_01);
            if (BLOCKS == 2u) { s_10 = coopMultiplyAdd(q_17, a, s_10); s_11 = coopMultiplyAdd(q_17, b, s_11); }
        }
        store_block(s_00, rows, 0u, 0u); store_block(s_01, rows, 0u, 1u);
        if (BLOCKS == 2u) { store_block(s_10, rows, 1u, 0u); store_block(s_11, rows, 1u, 1u); }
        workgroupBarrier();

        let m = ml.x;
        ml = weigh(row, first, first >= all_low && first + i32(KEYS) <= all_high, ml);
        workgroupBarrier();
        // Before the first tile there is nothing to scale.
        if (atomicLoad(&is_raised) == 1u && first > item.begin) {
            let factor = exp2(m - ml.x);
            store_block(o_00, rows, 0u, 0u); store_block(o_01, rows, 0u, 1u);
            if (BLOCKS == 2u) { store_block(o_10, rows, 1u, 0u); store_block(o_11, rows, 1u, 1u); }
            scale_row(row, factor);
            o_00 = sum_block(rows, 0u, 0u); o_01 = sum_block(rows, 0u, 1u);
            if (BLOCKS == 2u) { o_10 = sum_block(rows, 1u, 0u); o_11 = sum_block(rows, 1u, 1u); }
            workgroupBarrier();
            store_block(o_02, rows, 0u, 0u); store_block(o_03, rows, 0u, 1u);
            if (BLOCKS == 2u) { store_block(o_12, rows, 1u, 0u); store_block(o_13, rows, 1u, 1u); }
            scale_row(row, factor);
            o_02 = sum_block(rows, 0u, 0u); o_03 = sum_block(rows, 0u, 1u);
            if (BLOCKS == 2u) { o_12 = sum_block(rows, 1u, 0u); o_13 = sum_block(rows, 1u, 1u); }
            workgroupBarrier();
            if (HEAD == 128u) {
                store_block(o_04, rows, 0u, 0u); store_block(o_05, rows, 0u, 1u);
                if (BLOCKS == 2u) { store_block(o_14, rows, 1u, 0u); store_block(o_15, rows, 1u, 1u); }
                scale_row(row, factor);
                o_04 = sum_block(rows, 0u, 0u); o_05 = sum_block(rows, 0u, 1u);
                if (BLOCKS == 2u) { o_14 = sum_block(rows, 1u, 0u); o_15 = sum_block(rows, 1u, 1u); }
                workgroupBarrier();
                store_block(o_06, rows, 0u, 0u); store_block(o_07, rows, 0u, 1u);
                if (BLOCKS == 2u) { store_block(o_16, rows, 1u, 0u); store_block(o_17, rows, 1u, 1u); }
                scale_row(row, factor);
                o_06 = sum_block(rows, 0u, 0u); o_07 = sum_block(rows, 0u, 1u);
                if (BLOCKS == 2u) { o_16 = sum_block(rows, 1u, 0u); o_17 = sum_block(rows, 1u, 1u); }
                workgroupBarrier();
            }
        }

        for (var half = 0u; half < 2u; half++) {
            let p_0 = row_block(rows, 0u, 4u * half);
            var p_1 = p_0;
            if (BLOCKS == 2u) { p_1 = row_block(rows, 1u, 4u * half); }
            a = value_block(half, 0u); o_00 = coopMultiplyAdd(p_0, a, o_00);
            if (BLOCKS == 2u) { o_10 = coopMultiplyAdd(p_1, a, o_10); }
            a = value_block(half, 1u); o_01 = coopMultiplyAdd(p_0, a, o_01);
            if (BLOCKS == 2u) { o_11 = coopMultiplyAdd(p_1, a, o_11); }
            a = value_block(half, 2u); o_02 = coopMultiplyAdd(p_0, a, o_02);
            if (BLOCKS == 2u) { o_12 = coopMultiplyAdd(p_1, a, o_12); }
            a = value_block(half, 3u); o_03 = coopMultiplyAdd(p_0, a, o_03);
            if (BLOCKS == 2u) { o_13 = coopMultiplyAdd(p_1, a, o_13); }
            if (HEAD == 128u) {
                a = value_block(half, 4u); o_04 = coopMultiplyAdd(p_0, a, o_04);
                if (BLOCKS == 2u) { o_14 = coopMultiplyAdd(p_1, a, o_14); }
                a = value_block(half, 5u); o_05 = coopMultiplyAdd(p_0, a, o_05);
                if (BLOCKS == 2u) { o_15 = coopMultiplyAdd(p_1, a, o_15); }
                a = value_block(half, 6u); o_06 = coopMultiplyAdd(p_0, a, o_06);
                if (BLOCKS == 2u) { o_16 = coopMultiplyAdd(p_1, a, o_16); }
                a = value_block(half, 7u); o_07 = coopMultiplyAdd(p_0, a, o_07);
                if (BLOCKS == 2u) { o_17 = coopMultiplyAdd(p_1, a, o_17); }
            }
        }
    }

    let l = sum_of_lanes(row, lane / ROWS, ml.y);
    // A query that sees no key has the output 0.
    let factor = select(0.0, 1.0 / l, l > 0.0);
    store_block(o_00, rows, 0u, 0u); store_block(o_01, rows, 0u, 1u);
    if (BLOCKS == 2u) { store_block(o_10, rows, 1u, 0u); store_block(o_11, rows, 1u, 1u); }
    store_row(row, item, head, 0u, factor);
    store_block(o_02, rows, 0u, 0u); store_block(o_03, rows, 0u, 1u);
    if (BLOCKS == 2u) { store_block(o_12, rows, 1u, 0u); store_block(o_13, rows, 1u, 1u); }
    store_row(row, item, head, 1u, factor);
    if (HEAD == 128u) {
        store_block(o_04, rows, 0u, 0u); store_block(o_05, rows, 0u, 1u);
        if (BLOCKS == 2u) { store_block(o_14, rows, 1u, 0u); store_block(o_15, rows, 1u, 1u); }
        store_row(row, item, head, 2u, factor);
        store_block(o_06, rows, 0u, 0u); store_block(o_07, rows, 0u, 1u);
        if (BLOCKS == 2u) { store_block(o_16, rows, 1u, 0u); store_block(o_17, rows, 1u, 1u); }
        store_row(row, item, head, 3u, factor);
    }
}
