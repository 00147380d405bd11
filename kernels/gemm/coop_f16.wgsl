// C = A B for f16 with sums of f32, by cooperative matrices of 16 x 16.
//
// A subgroup computes 64 x 64 elements of C as 4 x 4 fragments, SUBGROUPS_M x SUBGROUPS_N of them form a workgroup. The
// sums run over slices of BK terms in workgroup memory; each row of a slice is followed by 16 bytes that nothing uses,
// so that the rows of a fragment begin in different banks.
//
// While one slice is multiplied, the next is on its way from memory to registers. With STAGES = 2 there are two slices
// in workgroup memory and one barrier a slice; with 1 there is one slice and two barriers.
//
// A is stored row by row, B row by row or, with BT, column by column. A vector is 8 numbers, 16 bytes; its type is that
// of a matrix, because fragments are loaded from numbers of their own type. Rows are padded with zeros to whole vectors.
// With EDGES, vectors beyond the matrices are taken as zeros, and fragments beyond C are not stored; C has memory for
// whole fragments. Without, every tile is whole.
//
// Constants: SUBGROUP_SIZE, SUBGROUPS_M, SUBGROUPS_N, BK 16 or 32, STAGES, BT, EDGES, BAND.
//
// Indices: as in tile_f32.wgsl. A slice of A has BM rows of BK / 8 vectors, one of B has BK rows of BN / 8 or, with BT,
// BN rows of BK / 8. Fragments begin within C and end within its padding.

enable f16;
enable wgpu_cooperative_matrix;

@group(0) @binding(0) var<storage, read> matrix_a: array<mat2x4<f16>>;
@group(0) @binding(1) var<storage, read> matrix_b: array<mat2x4<f16>>;
@group(0) @binding(2) var<storage, read_write> matrix_c: array<f32>;
@group(0) @binding(3) var<uniform> shape: Shape;

const THREADS = SUBGROUP_SIZE * SUBGROUPS_M * SUBGROUPS_N;
const BM = 64u * SUBGROUPS_M;
const BN = 64u * SUBGROUPS_N;
const A_STRIDE = BK / 8u + 1u;
const B_STRIDE = select(BN, BK, BT) / 8u + 1u;
const A_STAGE = BM * A_STRIDE;
const B_STAGE = select(BK, BN, BT) * B_STRIDE;
const A_LOADS = BM * BK / 8u / THREADS;
const B_LOADS = BN * BK / 8u / THREADS;
var<workgroup> slice_a: array<mat2x4<f16>, STAGES * A_STAGE>;
var<workgroup> slice_b: array<mat2x4<f16>, STAGES * B_STAGE>;

fn load_a(i: u32, m0: u32, k0: u32, batch: u32) -> mat2x4<f16> {
    let row = m0 + i / (BK / 8u);
    let k8 = k0 / 8u + i % (BK / 8u);
    if (EDGES) {
        if (row >= shape.m || k8 >= shape.lda / 8u) { return mat2x4<f16>(); }
    }
    return matrix_a[batch * shape.batch_a + row * (shape.lda / 8u) + k8];
}

fn load_b(i: u32, n0: u32, k0: u32, batch: u32) -> mat2x4<f16> {
    if (BT) {
        let col = n0 + i / (BK / 8u);
        let k8 = k0 / 8u + i % (BK / 8u);
        if (EDGES) {
            if (col >= shape.n || k8 >= shape.ldb / 8u) { return mat2x4<f16>(); }
        }
        return matrix_b[batch * shape.batch_b + col * (shape.ldb / 8u) + k8];
    }
    let k = k0 + i / (BN / 8u);
    let n8 = n0 / 8u + i % (BN / 8u);
    if (EDGES) {
        if (k >= shape.k || n8 >= shape.ldb / 8u) { return mat2x4<f16>(); }
    }
    return matrix_b[batch * shape.batch_b + k * (shape.ldb / 8u) + n8];
}

fn place_a(i: u32, stage: u32) -> u32 {
    return stage * A_STAGE + i / (BK / 8u) * A_STRIDE + i % (BK / 8u);
}

fn place_b(i: u32, stage: u32) -> u32 {
    if (BT) { return stage * B_STAGE + i / (BK / 8u) * B_STRIDE + i % (BK / 8u); }
    return stage * B_STAGE + i / (BN / 8u) * B_STRIDE + i % (BN / 8u);
}

// Stores a fragment that begins within C. What a store takes are values by themselves: naga 30 does not evaluate terms
// inside its parentheses.
fn put(x: coop_mat16x16<f32, C>, row: u32, col: u32, batch: u32) {
    if (EDGES) {
        if (row >= shape.m || col >= shape.n) { return; }
    }
    let ldc = shape.ldc;
    let at = batch * shape.batch_c + row * ldc + col;
    coopStoreT(x, &matrix_c[at], ldc);
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(local_invocation_index) t: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let number = group.y * groups.x + group.x;
    let tiles_m = (shape.m + BM - 1u) / BM;
    let tiles_n = (shape.n + BN - 1u) / BN;
    if (number >= tiles_m * tiles_n) { return; }
    let tile = tile_of(number, tiles_m, tiles_n);
    let m0 = tile.x * BM;
    let n0 = tile.y * BN;
    let batch = group.z;
    let row = subgroup / SUBGROUPS_N * 64u;
    let col = subgroup % SUBGROUPS_N * 64u;
    var c00 = coop_mat16x16<f32, C>(); var c01 = coop_mat16x16<f32, C>();
    var c02 = coop_mat16x16<f32, C>(); var c03 = coop_mat16x16<f32, C>();
    var c10 = coop_mat16x16<f32, C>(); var c11 = coop_mat16x16<f32, C>();
    var c12 = coop_mat16x16<f32, C>(); var c13 = coop_mat16x16<f32, C>();
    var c20 = coop_mat16x16<f32, C>(); var c21 = coop_mat16x16<f32, C>();
    var c22 = coop_mat16x16<f32, C>(); var c23 = coop_mat16x16<f32, C>();
    var c30 = coop_mat16x16<f32, C>(); var c31 = coop_mat16x16<f32, C>();
    var c32 = coop_mat16x16<f32, C>(); var c33 = coop_mat16x16<f32, C>();
    var a0: mat2x4<f16>; var a1: mat2x4<f16>; var a2: mat2x4<f16>; var a3: mat2x4<f16>;
    var b0: mat2x4<f16>; var b1: mat2x4<f16>; var b2: mat2x4<f16>; var b3: mat2x4<f16>;
    a0 = load_a(t, m0, 0u, batch);
    if (A_LOADS > 1u) { a1 = load_a(t + THREADS, m0, 0u, batch); }
    if (A_LOADS > 2u) {
        a2 = load_a(t + 2u * THREADS, m0, 0u, batch);
        a3 = load_a(t + 3u * THREADS, m0, 0u, batch);
    }
    b0 = load_b(t, n0, 0u, batch);
    if (B_LOADS > 1u) { b1 = load_b(t + THREADS, n0, 0u, batch); }
    if (B_LOADS > 2u) {
        b2 = load_b(t + 2u * THREADS, n0, 0u, batch);
        b3 = load_b(t + 3u * THREADS, n0, 0u, batch);
    }
    if (STAGES == 2u) {
        slice_a[place_a(t, 0u)] = a0;
        if (A_LOADS > 1u) { slice_a[place_a(t + THREADS, 0u)] = a1; }
        if (A_LOADS > 2u) {
            slice_a[place_a(t + 2u * THREADS, 0u)] = a2;
            slice_a[place_a(t + 3u * THREADS, 0u)] = a3;
        }
        slice_b[place_b(t, 0u)] = b0;
        if (B_LOADS > 1u) { slice_b[place_b(t + THREADS, 0u)] = b1; }
        if (B_LOADS > 2u) {
            slice_b[place_b(t + 2u * THREADS, 0u)] = b2;
            slice_b[place_b(t + 3u * THREADS, 0u)] = b3;
        }
        workgroupBarrier();
    }
    let slices = (shape.k + BK - 1u) / BK;
    for (var slice = 0u; slice < slices; slice++) {
        if (STAGES == 1u) {
            workgroupBarrier();
            slice_a[place_a(t, 0u)] = a0;
            if (A_LOADS > 1u) { slice_a[place_a(t + THREADS, 0u)] = a1; }
            if (A_LOADS > 2u) {
                slice_a[place_a(t + 2u * THREADS, 0u)] = a2;
                slice_a[place_a(t + 3u * THREADS, 0u)] = a3;
            }
            slice_b[place_b(t, 0u)] = b0;
            if (B_LOADS > 1u) { slice_b[place_b(t + THREADS, 0u)] = b1; }
            if (B_LOADS > 2u) {
                slice_b[place_b(t + 2u * THREADS, 0u)] = b2;
                slice_b[place_b(t + 3u * THREADS, 0u)] = b3;
            }
            workgroupBarrier();
        }
        let is_last = slice + 1u == slices;
        if (!is_last) {
            let k0 = (slice + 1u) * BK;
            a0 = load_a(t, m0, k0, batch);
            if (A_LOADS > 1u) { a1 = load_a(t + THREADS, m0, k0, batch); }
            if (A_LOADS > 2u) {
                a2 = load_a(t + 2u * THREADS, m0, k0, batch);
                a3 = load_a(t + 3u * THREADS, m0, k0, batch);
            }
            b0 = load_b(t, n0, k0, batch);
            if (B_LOADS > 1u) { b1 = load_b(t + THREADS, n0, k0, batch); }
            if (B_LOADS > 2u) {
                b2 = load_b(t + 2u * THREADS, n0, k0, batch);
                b3 = load_b(t + 3u * THREADS, n0, k0, batch);
            }
        }
        let stage = slice % STAGES;
        for (var k = 0u; k < BK; k += 16u) {
            let at_a = stage * A_STAGE + row * A_STRIDE + k / 8u;
            let x0 = coopLoadT<coop_mat16x16<f16, A>>(&slice_a[at_a][0], 2u * A_STRIDE);
            let x1 = coopLoadT<coop_mat16x16<f16, A>>(&slice_a[at_a + 16u * A_STRIDE][0], 2u * A_STRIDE);
            let x2 = coopLoadT<coop_mat16x16<f16, A>>(&slice_a[at_a + 32u * A_STRIDE][0], 2u * A_STRIDE);
            let x3 = coopLoadT<coop_mat16x16<f16, A>>(&slice_a[at_a + 48u * A_STRIDE][0], 2u * A_STRIDE);
            var y = coop_mat16x16<f16, B>();
            if (BT) {
                y = coopLoad<coop_mat16x16<f16, B>>(
                    &slice_b[stage * B_STAGE + col * B_STRIDE + k / 8u][0], 2u * B_STRIDE);
            } else {
                y = coopLoadT<coop_mat16x16<f16, B>>(
                    &slice_b[stage * B_STAGE + k * B_STRIDE + col / 8u][0], 2u * B_STRIDE);
            }
            c00 = coopMultiplyAdd(x0, y, c00); c10 = coopMultiplyAdd(x1, y, c10);
            c20 = coopMultiplyAdd(x2, y, c20); c30 = coopMultiplyAdd(x3, y, c30);
            if (BT) {
                y = coopLoad<coop_mat16x16<f16, B>>(
                    &slice_b[stage * B_STAGE + (col + 16u) * B_STRIDE + k / 8u][0], 2u * B_STRIDE);
            } else {
                y = coopLoadT<coop_mat16x16<f16, B>>(
                    &slice_b[stage * B_STAGE + k * B_STRIDE + col / 8u + 2u][0], 2u * B_STRIDE);
            }
            c01 = coopMultiplyAdd(x0, y, c01); c11 = coopMultiplyAdd(x1, y, c11);
            c21 = coopMultiplyAdd(x2, y, c21); c31 = coopMultiplyAdd(x3, y, c31);
            if (BT) {
                y = coopLoad<coop_mat16x16<f16, B>>(
                    &slice_b[stage * B_STAGE + (col + 32u) * B_STRIDE + k / 8u][0], 2u * B_STRIDE);
            } else {
                y = coopLoadT<coop_mat16x16<f16, B>>(
                    &slice_b[stage * B_STAGE + k * B_STRIDE + col / 8u + 4u][0], 2u * B_STRIDE);
            }
            c02 = coopMultiplyAdd(x0, y, c02); c12 = coopMultiplyAdd(x1, y, c12);
            c22 = coopMultiplyAdd(x2, y, c22); c32 = coopMultiplyAdd(x3, y, c32);
            if (BT) {
                y = coopLoad<coop_mat16x16<f16, B>>(
                    &slice_b[stage * B_STAGE + (col + 48u) * B_STRIDE + k / 8u][0], 2u * B_STRIDE);
            } else {
                y = coopLoadT<coop_mat16x16<f16, B>>(
                    &slice_b[stage * B_STAGE + k * B_STRIDE + col / 8u + 6u][0], 2u * B_STRIDE);
            }
            c03 = coopMultiplyAdd(x0, y, c03); c13 = coopMultiplyAdd(x1, y, c13);
            c23 = coopMultiplyAdd(x2, y, c23); c33 = coopMultiplyAdd(x3, y, c33);
        }
        if (STAGES == 2u) {
            if (!is_last) {
                slice_a[place_a(t, 1u - stage)] = a0;
                if (A_LOADS > 1u) { slice_a[place_a(t + THREADS, 1u - stage)] = a1; }
                if (A_LOADS > 2u) {
                    slice_a[place_a(t + 2u * THREADS, 1u - stage)] = a2;
                    slice_a[place_a(t + 3u * THREADS, 1u - stage)] = a3;
                }
                slice_b[place_b(t, 1u - stage)] = b0;
                if (B_LOADS > 1u) { slice_b[place_b(t + THREADS, 1u - stage)] = b1; }
                if (B_LOADS > 2u) {
                    slice_b[place_b(t + 2u * THREADS, 1u - stage)] = b2;
                    slice_b[place_b(t + 3u * THREADS, 1u - stage)] = b3;
                }
            }
            workgroupBarrier();
        }
    }

    let top = m0 + row;
    let left = n0 + col;
    put(c00, top, left, batch); put(c01, top, left + 16u, batch);
    put(c02, top, left + 32u, batch); put(c03, top, left + 48u, batch);
    put(c10, top + 16u, left, batch); put(c11, top + 16u, left + 16u, batch);
    put(c12, top + 16u, left + 32u, batch); put(c13, top + 16u, left + 48u, batch);
    put(c20, top + 32u, left, batch); put(c21, top + 32u, left + 16u, batch);
    put(c22, top + 32u, left + 32u, batch); put(c23, top + 32u, left + 48u, batch);
    put(c30, top + 48u, left, batch); put(c31, top + 48u, left + 16u, batch);
    put(c32, top + 48u, left + 32u, batch); put(c33, top + 48u, left + 48u, batch);
}
