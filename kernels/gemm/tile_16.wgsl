// C = A B for f16 and bf16 with sums of f32, on any adapter: tile_f32.wgsl with loads of four numbers of 16 bits.
//
// A workgroup of 256 invocations computes 128 rows and 64 COLS4 columns of C; an invocation computes 8 rows (two times
// four neighbors) and 4 COLS4 columns. Its sums are scalars of vec4 that no index touches, so they stay in registers.
//
// The sums run over slices of BK terms. A slice of A is transposed on its way to workgroup memory, so that four rows of
// one term are one vector there; so is a slice of B that is stored column by column (BT). Two slices are kept: while one
// is multiplied, the next is on its way, and one barrier separates two slices.
//
// Neighboring invocations form blocks of 8 x 4 threads, whose reads of a slice are one row of banks each.
//
// Rows are padded with zeros to whole vectors, so terms beyond k add nothing. With EDGES, vectors beyond the matrix are
// taken as zeros and not stored. Without, every tile must be whole: m % 128 = n % (64 COLS4) = k % BK = 0.
//
// Constants: COLS4 2 or 4, BK 8 or 16, BT, EDGES, BF16, and those of epilogue.wgsl.
//
// Indices: rows below m and vectors below lda / 4 of A, likewise of B and C: by EDGES, or because tiles are whole. In a
// slice: term below BK, vector below 32 or 16 COLS4, stage 0 or 1.

@group(0) @binding(0) var<storage, read> matrix_a: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read> matrix_b: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read_write> matrix_c: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> shape: Shape;

const BN = 64u * COLS4;
const A_STRIDE = 33u;
const B_STRIDE = 16u * COLS4 + 1u;
const A_STAGE = BK * A_STRIDE;
const B_STAGE = BK * B_STRIDE;
var<workgroup> slice_a: array<vec4<f32>, 2u * A_STAGE>;
var<workgroup> slice_b: array<vec4<f32>, 2u * B_STAGE>;

// Four numbers of 16 bits.
fn four(x: vec2<u32>) -> vec4<f32> {
    if (BF16) {
        return bitcast<vec4<f32>>(vec4<u32>(x.x << 16u, x.x & 0xffff0000u, x.y << 16u, x.y & 0xffff0000u));
    }
    return vec4<f32>(unpack2x16float(x.x), unpack2x16float(x.y));
}

// Vector `i` of the slice of A that begins at term `k0`.
fn load_a(i: u32, m0: u32, k0: u32, batch: u32) -> vec4<f32> {
    let row = m0 + i / (BK / 4u);
    let k4 = k0 / 4u + i % (BK / 4u);
    if (EDGES) {
        if (row >= shape.m || k4 >= shape.lda / 4u) { return vec4<f32>(0.0); }
    }
    return four(matrix_a[batch * shape.batch_a + row * (shape.lda / 4u) + k4]);
}

fn load_b(i: u32, n0: u32, k0: u32, batch: u32) -> vec4<f32> {
    if (BT) {
        let col = n0 + i / (BK / 4u);
        let k4 = k0 / 4u + i % (BK / 4u);
        if (EDGES) {
            if (col >= shape.n || k4 >= shape.ldb / 4u) { return vec4<f32>(0.0); }
        }
        return four(matrix_b[batch * shape.batch_b + col * (shape.ldb / 4u) + k4]);
    }
    let k = k0 + i / (BN / 4u);
    let n4 = n0 / 4u + i % (BN / 4u);
    if (EDGES) {
        if (k >= shape.k || n4 >= shape.ldb / 4u) { return vec4<f32>(0.0); }
    }
    return four(matrix_b[batch * shape.batch_b + k * (shape.ldb / 4u) + n4]);
}

fn store_a(i: u32, stage: u32, x: vec4<f32>) {
    let row = i / (BK / 4u);
    let at = stage * A_STAGE + (i % (BK / 4u)) * 4u * A_STRIDE + row / 4u;
    slice_a[at][row % 4u] = x.x;
    slice_a[at + A_STRIDE][row % 4u] = x.y;
    slice_a[at + 2u * A_STRIDE][row % 4u] = x.z;
    slice_a[at + 3u * A_STRIDE][row % 4u] = x.w;
}

fn store_b(i: u32, stage: u32, x: vec4<f32>) {
    if (BT) {
        let col = i / (BK / 4u);
        let at = stage * B_STAGE + (i % (BK / 4u)) * 4u * B_STRIDE + col / 4u;
        slice_b[at][col % 4u] = x.x;
        slice_b[at + B_STRIDE][col % 4u] = x.y;
        slice_b[at + 2u * B_STRIDE][col % 4u] = x.z;
        slice_b[at + 3u * B_STRIDE][col % 4u] = x.w;
    } else {
        slice_b[stage * B_STAGE + i / (BN / 4u) * B_STRIDE + i % (BN / 4u)] = x;
    }
}

fn put(row: u32, n4: u32, batch: u32, x: vec4<f32>) {
    if (EDGES) {
        if (row >= shape.m || n4 >= shape.ldc / 4u) { return; }
    }
    let at = batch * shape.batch_c + row * (shape.ldc / 4u) + n4;
    matrix_c[at] = finished(x, row, n4, at);
}

@compute @workgroup_size(256)
fn main(
    @builtin(local_invocation_index) t: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let number = group.y * groups.x + group.x;
    let tiles_m = (shape.m + 127u) / 128u;
    let tiles_n = (shape.n + BN - 1u) / BN;
    if (number >= tiles_m * tiles_n) { return; }
    let tile = tile_of(number, tiles_m, tiles_n);
    let m0 = tile.x * 128u;
    let n0 = tile.y * BN;
    let batch = group.z;
    let tx = (t & 7u) + ((t >> 5u) & 1u) * 8u;
    let ty = ((t >> 3u) & 3u) + (t >> 6u) * 4u;
    var c00 = vec4<f32>(0.0); var c01 = vec4<f32>(0.0); var c02 = vec4<f32>(0.0); var c03 = vec4<f32>(0.0);
    var c10 = vec4<f32>(0.0); var c11 = vec4<f32>(0.0); var c12 = vec4<f32>(0.0); var c13 = vec4<f32>(0.0);
    var c20 = vec4<f32>(0.0); var c21 = vec4<f32>(0.0); var c22 = vec4<f32>(0.0); var c23 = vec4<f32>(0.0);
    var c30 = vec4<f32>(0.0); var c31 = vec4<f32>(0.0); var c32 = vec4<f32>(0.0); var c33 = vec4<f32>(0.0);
    var c40 = vec4<f32>(0.0); var c41 = vec4<f32>(0.0); var c42 = vec4<f32>(0.0); var c43 = vec4<f32>(0.0);
    var c50 = vec4<f32>(0.0); var c51 = vec4<f32>(0.0); var c52 = vec4<f32>(0.0); var c53 = vec4<f32>(0.0);
    var c60 = vec4<f32>(0.0); var c61 = vec4<f32>(0.0); var c62 = vec4<f32>(0.0); var c63 = vec4<f32>(0.0);
    var c70 = vec4<f32>(0.0); var c71 = vec4<f32>(0.0); var c72 = vec4<f32>(0.0); var c73 = vec4<f32>(0.0);
    var a0: vec4<f32>; var a1: vec4<f32>; var b0: vec4<f32>; var b1: vec4<f32>;
    var b2: vec4<f32>; var b3: vec4<f32>;

    a0 = load_a(t, m0, 0u, batch);
    if (BK > 8u) { a1 = load_a(t + 256u, m0, 0u, batch); }
    b0 = load_b(t, n0, 0u, batch);
    if (COLS4 * BK > 16u) { b1 = load_b(t + 256u, n0, 0u, batch); }
    if (COLS4 * BK > 32u) {
        b2 = load_b(t + 512u, n0, 0u, batch);
        b3 = load_b(t + 768u, n0, 0u, batch);
    }
    store_a(t, 0u, a0);
    if (BK > 8u) { store_a(t + 256u, 0u, a1); }
    store_b(t, 0u, b0);
    if (COLS4 * BK > 16u) { store_b(t + 256u, 0u, b1); }
    if (COLS4 * BK > 32u) {
        store_b(t + 512u, 0u, b2);
        store_b(t + 768u, 0u, b3);
    }
    workgroupBarrier();
    let slices = (shape.k + BK - 1u) / BK;
    for (var slice = 0u; slice < slices; slice++) {
        let is_last = slice + 1u == slices;
        if (!is_last) {
            let k0 = (slice + 1u) * BK;
            a0 = load_a(t, m0, k0, batch);
            if (BK > 8u) { a1 = load_a(t + 256u, m0, k0, batch); }
            b0 = load_b(t, n0, k0, batch);
            if (COLS4 * BK > 16u) { b1 = load_b(t + 256u, n0, k0, batch); }
            if (COLS4 * BK > 32u) {
                b2 = load_b(t + 512u, n0, k0, batch);
                b3 = load_b(t + 768u, n0, k0, batch);
            }
        }
        let stage = slice & 1u;
        for (var k = 0u; k < BK; k++) {
            let at_a = stage * A_STAGE + k * A_STRIDE + ty;
            let at_b = stage * B_STAGE + k * B_STRIDE + tx;
            let x0 = slice_a[at_a];
            let x1 = slice_a[at_a + 16u];
            let y0 = slice_b[at_b];
            let y1 = slice_b[at_b + 16u];
            c00 = fma(vec4<f32>(x0.x), y0, c00); c01 = fma(vec4<f32>(x0.x), y1, c01);
            c10 = fma(vec4<f32>(x0.y), y0, c10); c11 = fma(vec4<f32>(x0.y), y1, c11);
            c20 = fma(vec4<f32>(x0.z), y0, c20); c21 = fma(vec4<f32>(x0.z), y1, c21);
            c30 = fma(vec4<f32>(x0.w), y0, c30); c31 = fma(vec4<f32>(x0.w), y1, c31);
            c40 = fma(vec4<f32>(x1.x), y0, c40); c41 = fma(vec4<f32>(x1.x), y1, c41);
            c50 = fma(vec4<f32>(x1.y), y0, c50); c51 = fma(vec4<f32>(x1.y), y1, c51);
            c60 = fma(vec4<f32>(x1.z), y0, c60); c61 = fma(vec4<f32>(x1.z), y1, c61);
            c70 = fma(vec4<f32>(x1.w), y0, c70); c71 = fma(vec4<f32>(x1.w), y1, c71);
            if (COLS4 > 2u) {
                let y2 = slice_b[at_b + 32u];
                let y3 = slice_b[at_b + 48u];
                c02 = fma(vec4<f32>(x0.x), y2, c02); c03 = fma(vec4<f32>(x0.x), y3, c03);
                c12 = fma(vec4<f32>(x0.y), y2, c12); c13 = fma(vec4<f32>(x0.y), y3, c13);
                c22 = fma(vec4<f32>(x0.z), y2, c22); c23 = fma(vec4<f32>(x0.z), y3, c23);
                c32 = fma(vec4<f32>(x0.w), y2, c32); c33 = fma(vec4<f32>(x0.w), y3, c33);
                c42 = fma(vec4<f32>(x1.x), y2, c42); c43 = fma(vec4<f32>(x1.x), y3, c43);
                c52 = fma(vec4<f32>(x1.y), y2, c52); c53 = fma(vec4<f32>(x1.y), y3, c53);
                c62 = fma(vec4<f32>(x1.z), y2, c62); c63 = fma(vec4<f32>(x1.z), y3, c63);
                c72 = fma(vec4<f32>(x1.w), y2, c72); c73 = fma(vec4<f32>(x1.w), y3, c73);
            }
        }
        if (!is_last) {
            store_a(t, 1u - stage, a0);
            if (BK > 8u) { store_a(t + 256u, 1u - stage, a1); }
            store_b(t, 1u - stage, b0);
            if (COLS4 * BK > 16u) { store_b(t + 256u, 1u - stage, b1); }
            if (COLS4 * BK > 32u) {
                store_b(t + 512u, 1u - stage, b2);
                store_b(t + 768u, 1u - stage, b3);
            }
        }
        workgroupBarrier();
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
    if (COLS4 > 2u) {
        put(row, n4 + 32u, batch, c02); put(row, n4 + 48u, batch, c03);
        put(row + 1u, n4 + 32u, batch, c12); put(row + 1u, n4 + 48u, batch, c13);
        put(row + 2u, n4 + 32u, batch, c22); put(row + 2u, n4 + 48u, batch, c23);
        put(row + 3u, n4 + 32u, batch, c32); put(row + 3u, n4 + 48u, batch, c33);
        put(row + 64u, n4 + 32u, batch, c42); put(row + 64u, n4 + 48u, batch, c43);
        put(row + 65u, n4 + 32u, batch, c52); put(row + 65u, n4 + 48u, batch, c53);
        put(row + 66u, n4 + 32u, batch, c62); put(row + 66u, n4 + 48u, batch, c63);
        put(row + 67u, n4 + 32u, batch, c72); put(row + 67u, n4 + 48u, batch, c73);
    }
}
