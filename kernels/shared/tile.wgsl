// C = A B in tiles of registers, for any type of numbers that `a_at` and `b_at` turn into vectors of f32.
//
// A workgroup of 256 invocations computes 128 x 128 elements of C; an invocation computes 8 x 8, two times four neighbors
// along each axis. Its sums are vectors that no index touches, so they stay in registers.
//
// The sums run over slices of BK terms. A slice of A is transposed on its way to workgroup memory, so that four rows of
// one term are one vector there; so is a slice of B that is stored column by column (BT). While one slice is multiplied,
// the next is on its way from memory to registers. With STAGES = 2 there are two slices in workgroup memory and one
// barrier a slice; with 1 there is one slice and two barriers.
//
// Eight terms are written out, so that the places of their vectors are constants. Neighboring invocations form blocks of
// 8 x 4, whose reads of a slice are one row of banks each.
//
// Rows are padded with zeros to whole vectors, so terms beyond k add nothing. With EDGES, vectors beyond the matrix are
// taken as zeros and not stored. Without, every tile is whole: m % 128 = n % 128 = k % BK = 0.
//
// Constants: BK 8 or 16, STAGES 1 or 2, BT, EDGES, and those of shape.wgsl and epilogue.wgsl.
//
// Indices in a slice: term below BK, vector below 32, stage below STAGES.

const STRIDE = 33u;
const STAGE = BK * STRIDE;
var<workgroup> slice_a: array<vec4<f32>, STAGES * STAGE>;
var<workgroup> slice_b: array<vec4<f32>, STAGES * STAGE>;

// Vector `i` of the slice of A that begins at term `k0`.
fn load_a(i: u32, m0: u32, k0: u32, batch: u32) -> vec4<f32> {
    let row = m0 + i / (BK / 4u);
    let k4 = k0 / 4u + i % (BK / 4u);
    if (EDGES) {
        if (row >= shape.m || k4 >= shape.lda / 4u) { return vec4<f32>(0.0); }
    }
    return a_at(batch * shape.batch_a + row * (shape.lda / 4u) + k4);
}

fn load_b(i: u32, n0: u32, k0: u32, batch: u32) -> vec4<f32> {
    if (BT) {
        let col = n0 + i / (BK / 4u);
        let k4 = k0 / 4u + i % (BK / 4u);
        if (EDGES) {
            if (col >= shape.n || k4 >= shape.ldb / 4u) { return vec4<f32>(0.0); }
        }
        return b_at(batch * shape.batch_b + col * (shape.ldb / 4u) + k4);
    }
    let k = k0 + i / 32u;
    let n4 = n0 / 4u + i % 32u;
    if (EDGES) {
        if (k >= shape.k || n4 >= shape.ldb / 4u) { return vec4<f32>(0.0); }
    }
    return b_at(batch * shape.batch_b + k * (shape.ldb / 4u) + n4);
}

fn store_a(i: u32, stage: u32, x: vec4<f32>) {
    let row = i / (BK / 4u);
    let at = stage * STAGE + (i % (BK / 4u)) * 4u * STRIDE + row / 4u;
    slice_a[at][row % 4u] = x.x;
    slice_a[at + STRIDE][row % 4u] = x.y;
    slice_a[at + 2u * STRIDE][row % 4u] = x.z;
    slice_a[at + 3u * STRIDE][row % 4u] = x.w;
}

fn store_b(i: u32, stage: u32, x: vec4<f32>) {
    if (BT) {
        let col = i / (BK / 4u);
        let at = stage * STAGE + (i % (BK / 4u)) * 4u * STRIDE + col / 4u;
        slice_b[at][col % 4u] = x.x;
        slice_b[at + STRIDE][col % 4u] = x.y;
        slice_b[at + 2u * STRIDE][col % 4u] = x.z;
        slice_b[at + 3u * STRIDE][col % 4u] = x.w;
    } else {
        slice_b[stage * STAGE + i / 32u * STRIDE + i % 32u] = x;
    }
}

fn put(row: u32, n4: u32, batch: u32, x: vec4<f32>) {
    if (EDGES && (row >= shape.m || n4 * 4u >= shape.n)) { return; }
    let at = batch * shape.batch_c + row * (shape.ldc / 4u) + n4;
    // What pads a row stays 0.
    let is_padding = (vec4<u32>(n4 * 4u) + vec4<u32>(0u, 1u, 2u, 3u) >= vec4<u32>(shape.n)) & vec4<bool>(EDGES);
    matrix_c[at] = select(finished(x, row, n4, at), vec4<f32>(), is_padding);
}

@compute @workgroup_size(256)
fn main(
    @builtin(local_invocation_index) t: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let number = group.y * groups.x + group.x;
    let tiles_m = (shape.m + 127u) / 128u;
    let tiles_n = (shape.n + 127u) / 128u;
    if (number >= tiles_m * tiles_n) { return; }
    let tile = tile_of(number, tiles_m, tiles_n);
    let m0 = tile.x * 128u;
    let n0 = tile.y * 128u;
    let batch = group.z;
    let tx = (t & 7u) + ((t >> 5u) & 1u) * 8u;
    let ty = ((t >> 3u) & 3u) + (t >> 6u) * 4u;
    var c00 = vec4<f32>(); var c01 = vec4<f32>(); var c10 = vec4<f32>(); var c11 = vec4<f32>();
    var c20 = vec4<f32>(); var c21 = vec4<f32>(); var c30 = vec4<f32>(); var c31 = vec4<f32>();
    var c40 = vec4<f32>(); var c41 = vec4<f32>(); var c50 = vec4<f32>(); var c51 = vec4<f32>();
    var c60 = vec4<f32>(); var c61 = vec4<f32>(); var c70 = vec4<f32>(); var c71 = vec4<f32>();
    var a0: vec4<f32>; var a1: vec4<f32>; var b0: vec4<f32>; var b1: vec4<f32>;
    a0 = load_a(t, m0, 0u, batch);
    b0 = load_b(t, n0, 0u, batch);
    if (BK > 8u) {
        a1 = load_a(t + 256u, m0, 0u, batch);
        b1 = load_b(t + 256u, n0, 0u, batch);
    }
    if (STAGES == 2u) {
        store_a(t, 0u, a0);
        store_b(t, 0u, b0);
        if (BK > 8u) {
            store_a(t + 256u, 0u, a1);
            store_b(t + 256u, 0u, b1);
        }
        workgroupBarrier();
    }
    let slices = (shape.k + BK - 1u) / BK;
    for (var slice = 0u; slice < slices; slice++) {
        if (STAGES == 1u) {
            workgroupBarrier();
            store_a(t, 0u, a0);
            store_b(t, 0u, b0);
            if (BK > 8u) {
                store_a(t + 256u, 0u, a1);
                store_b(t + 256u, 0u, b1);
            }
            workgroupBarrier();
        }
        let is_last = slice + 1u == slices;
        if (!is_last) {
            let k0 = (slice + 1u) * BK;
            a0 = load_a(t, m0, k0, batch);
            b0 = load_b(t, n0, k0, batch);
            if (BK > 8u) {
                a1 = load_a(t + 256u, m0, k0, batch);
                b1 = load_b(t + 256u, n0, k0, batch);
            }
        }
        let stage = slice % STAGES;
        for (var k = 0u; k < BK; k += 8u) {
            let at_a = stage * STAGE + k * STRIDE + ty;
            let at_b = stage * STAGE + k * STRIDE + tx;
            let x0 = slice_a[at_a]; let y0 = slice_b[at_b];
            let u0 = slice_a[at_a + 16u]; let v0 = slice_b[at_b + 16u];
            c00 = fma(vec4<f32>(x0.x), y0, c00); c01 = fma(vec4<f32>(x0.x), v0, c01);
            c10 = fma(vec4<f32>(x0.y), y0, c10); c11 = fma(vec4<f32>(x0.y), v0, c11);
            c20 = fma(vec4<f32>(x0.z), y0, c20); c21 = fma(vec4<f32>(x0.z), v0, c21);
            c30 = fma(vec4<f32>(x0.w), y0, c30); c31 = fma(vec4<f32>(x0.w), v0, c31);
            c40 = fma(vec4<f32>(u0.x), y0, c40); c41 = fma(vec4<f32>(u0.x), v0, c41);
            c50 = fma(vec4<f32>(u0.y), y0, c50); c51 = fma(vec4<f32>(u0.y), v0, c51);
            c60 = fma(vec4<f32>(u0.z), y0, c60); c61 = fma(vec4<f32>(u0.z), v0, c61);
            c70 = fma(vec4<f32>(u0.w), y0, c70); c71 = fma(vec4<f32>(u0.w), v0, c71);
            let x1 = slice_a[at_a + 33u]; let y1 = slice_b[at_b + 33u];
            let u1 = slice_a[at_a + 49u]; let v1 = slice_b[at_b + 49u];
            c00 = fma(vec4<f32>(x1.x), y1, c00); c01 = fma(vec4<f32>(x1.x), v1, c01);
            c10 = fma(vec4<f32>(x1.y), y1, c10); c11 = fma(vec4<f32>(x1.y), v1, c11);
            c20 = fma(vec4<f32>(x1.z), y1, c20); c21 = fma(vec4<f32>(x1.z), v1, c21);
            c30 = fma(vec4<f32>(x1.w), y1, c30); c31 = fma(vec4<f32>(x1.w), v1, c31);
            c40 = fma(vec4<f32>(u1.x), y1, c40); c41 = fma(vec4<f32>(u1.x), v1, c41);
            c50 = fma(vec4<f32>(u1.y), y1, c50); c51 = fma(vec4<f32>(u1.y), v1, c51);
            c60 = fma(vec4<f32>(u1.z), y1, c60); c61 = fma(vec4<f32>(u1.z), v1, c61);
            c70 = fma(vec4<f32>(u1.w), y1, c70); c71 = fma(vec4<f32>(u1.w), v1, c71);
            let x2 = slice_a[at_a + 66u]; let y2 = slice_b[at_b + 66u];
            let u2 = slice_a[at_a + 82u]; let v2 = slice_b[at_b + 82u];
            c00 = fma(vec4<f32>(x2.x), y2, c00); c01 = fma(vec4<f32>(x2.x), v2, c01);
            c10 = fma(vec4<f32>(x2.y), y2, c10); c11 = fma(vec4<f32>(x2.y), v2, c11);
            c20 = fma(vec4<f32>(x2.z), y2, c20); c21 = fma(vec4<f32>(x2.z), v2, c21);
            c30 = fma(vec4<f32>(x2.w), y2, c30); c31 = fma(vec4<f32>(x2.w), v2, c31);
            c40 = fma(vec4<f32>(u2.x), y2, c40); c41 = fma(vec4<f32>(u2.x), v2, c41);
            c50 = fma(vec4<f32>(u2.y), y2, c50); c51 = fma(vec4<f32>(u2.y), v2, c51);
            c60 = fma(vec4<f32>(u2.z), y2, c60); c61 = fma(vec4<f32>(u2.z), v2, c61);
            c70 = fma(vec4<f32>(u2.w), y2, c70); c71 = fma(vec4<f32>(u2.w), v2, c71);
            let x3 = slice_a[at_a + 99u]; let y3 = slice_b[at_b + 99u];
            let u3 = slice_a[at_a + 115u]; let v3 = slice_b[at_b + 115u];
            c00 = fma(vec4<f32>(x3.x), y3, c00); c01 = fma(vec4<f32>(x3.x), v3, c01);
            c10 = fma(vec4<f32>(x3.y), y3, c10); c11 = fma(vec4<f32>(x3.y), v3, c11);
            c20 = fma(vec4<f32>(x3.z), y3, c20); c21 = fma(vec4<f32>(x3.z), v3, c21);
            c30 = fma(vec4<f32>(x3.w), y3, c30); c31 = fma(vec4<f32>(x3.w), v3, c31);
            c40 = fma(vec4<f32>(u3.x), y3, c40); c41 = fma(vec4<f32>(u3.x), v3, c41);
            c50 = fma(vec4<f32>(u3.y), y3, c50); c51 = fma(vec4<f32>(u3.y), v3, c51);
            c60 = fma(vec4<f32>(u3.z), y3, c60); c61 = fma(vec4<f32>(u3.z), v3, c61);
            c70 = fma(vec4<f32>(u3.w), y3, c70); c71 = fma(vec4<f32>(u3.w), v3, c71);
            let x4 = slice_a[at_a + 132u]; let y4 = slice_b[at_b + 132u];
            let u4 = slice_a[at_a + 148u]; let v4 = slice_b[at_b + 148u];
            c00 = fma(vec4<f32>(x4.x), y4, c00); c01 = fma(vec4<f32>(x4.x), v4, c01);
            c10 = fma(vec4<f32>(x4.y), y4, c10); c11 = fma(vec4<f32>(x4.y), v4, c11);
            c20 = fma(vec4<f32>(x4.z), y4, c20); c21 = fma(vec4<f32>(x4.z), v4, c21);
            c30 = fma(vec4<f32>(x4.w), y4, c30); c31 = fma(vec4<f32>(x4.w), v4, c31);
            c40 = fma(vec4<f32>(u4.x), y4, c40); c41 = fma(vec4<f32>(u4.x), v4, c41);
            c50 = fma(vec4<f32>(u4.y), y4, c50); c51 = fma(vec4<f32>(u4.y), v4, c51);
            c60 = fma(vec4<f32>(u4.z), y4, c60); c61 = fma(vec4<f32>(u4.z), v4, c61);
            c70 = fma(vec4<f32>(u4.w), y4, c70); c71 = fma(vec4<f32>(u4.w), v4, c71);
            let x5 = slice_a[at_a + 165u]; let y5 = slice_b[at_b + 165u];
            let u5 = slice_a[at_a + 181u]; let v5 = slice_b[at_b + 181u];
            c00 = fma(vec4<f32>(x5.x), y5, c00); c01 = fma(vec4<f32>(x5.x), v5, c01);
            c10 = fma(vec4<f32>(x5.y), y5, c10); c11 = fma(vec4<f32>(x5.y), v5, c11);
            c20 = fma(vec4<f32>(x5.z), y5, c20); c21 = fma(vec4<f32>(x5.z), v5, c21);
            c30 = fma(vec4<f32>(x5.w), y5, c30); c31 = fma(vec4<f32>(x5.w), v5, c31);
            c40 = fma(vec4<f32>(u5.x), y5, c40); c41 = fma(vec4<f32>(u5.x), v5, c41);
            c50 = fma(vec4<f32>(u5.y), y5, c50); c51 = fma(vec4<f32>(u5.y), v5, c51);
            c60 = fma(vec4<f32>(u5.z), y5, c60); c61 = fma(vec4<f32>(u5.z), v5, c61);
            c70 = fma(vec4<f32>(u5.w), y5, c70); c71 = fma(vec4<f32>(u5.w), v5, c71);
            let x6 = slice_a[at_a + 198u]; let y6 = slice_b[at_b + 198u];
            let u6 = slice_a[at_a + 214u]; let v6 = slice_b[at_b + 214u];
            c00 = fma(vec4<f32>(x6.x), y6, c00); c01 = fma(vec4<f32>(x6.x), v6, c01);
            c10 = fma(vec4<f32>(x6.y), y6, c10); c11 = fma(vec4<f32>(x6.y), v6, c11);
            c20 = fma(vec4<f32>(x6.z), y6, c20); c21 = fma(vec4<f32>(x6.z), v6, c21);
            c30 = fma(vec4<f32>(x6.w), y6, c30); c31 = fma(vec4<f32>(x6.w), v6, c31);
            c40 = fma(vec4<f32>(u6.x), y6, c40); c41 = fma(vec4<f32>(u6.x), v6, c41);
            c50 = fma(vec4<f32>(u6.y), y6, c50); c51 = fma(vec4<f32>(u6.y), v6, c51);
            c60 = fma(vec4<f32>(u6.z), y6, c60); c61 = fma(vec4<f32>(u6.z), v6, c61);
            c70 = fma(vec4<f32>(u6.w), y6, c70); c71 = fma(vec4<f32>(u6.w), v6, c71);
            let x7 = slice_a[at_a + 231u]; let y7 = slice_b[at_b + 231u];
            let u7 = slice_a[at_a + 247u]; let v7 = slice_b[at_b + 247u];
            c00 = fma(vec4<f32>(x7.x), y7, c00); c01 = fma(vec4<f32>(x7.x), v7, c01);
            c10 = fma(vec4<f32>(x7.y), y7, c10); c11 = fma(vec4<f32>(x7.y), v7, c11);
            c20 = fma(vec4<f32>(x7.z), y7, c20); c21 = fma(vec4<f32>(x7.z), v7, c21);
            c30 = fma(vec4<f32>(x7.w), y7, c30); c31 = fma(vec4<f32>(x7.w), v7, c31);
            c40 = fma(vec4<f32>(u7.x), y7, c40); c41 = fma(vec4<f32>(u7.x), v7, c41);
            c50 = fma(vec4<f32>(u7.y), y7, c50); c51 = fma(vec4<f32>(u7.y), v7, c51);
            c60 = fma(vec4<f32>(u7.z), y7, c60); c61 = fma(vec4<f32>(u7.z), v7, c61);
            c70 = fma(vec4<f32>(u7.w), y7, c70); c71 = fma(vec4<f32>(u7.w), v7, c71);
        }
        if (STAGES == 2u) {
            if (!is_last) {
                store_a(t, 1u - stage, a0);
                store_b(t, 1u - stage, b0);
                if (BK > 8u) {
                    store_a(t + 256u, 1u - stage, a1);
                    store_b(t + 256u, 1u - stage, b1);
                }
            }
            workgroupBarrier();
        }
    }

    let row = m0 + ty * 4u;
    let n4 = n0 / 4u + tx;
    put(row, n4, batch, c00); put(row, n4 + 16u, batch, c01);
    put(row + 1u, n4, batch, c10); put(row + 1u, n4 + 16u, batch, c11);
    put(row + 2u, n4, batch, c20); put(row + 2u, n4 + 16u, batch, c21);
    put(row + 3u, n4, batch, c30); put(row + 3u, n4 + 16u, batch, c31);
    put(row + 64u, n4, batch, c40); put(row + 64u, n4 + 16u, batch, c41);
    put(row + 65u, n4, batch, c50); put(row + 65u, n4 + 16u, batch, c51);
    put(row + 66u, n4, batch, c60); put(row + 66u, n4 + 16u, batch, c61);
    put(row + 67u, n4, batch, c70); put(row + 67u, n4 + 16u, batch, c71);
}
