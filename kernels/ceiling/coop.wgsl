// The most products of f16 matrices of 16 x 16 with sums of f32: eight independent chains in each subgroup, all factors in
// registers. 1024 rounds. Each workgroup stores one result, so that nothing is left out.

enable f16;
enable wgpu_cooperative_matrix;

@group(0) @binding(0) var<storage, read_write> sums: array<f32>;
var<workgroup> tile: array<f16, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3<u32>) {
    tile[local] = f16(f32((local * 37u + group.x) & 63u) * 0.0009765625 - 0.03);
    workgroupBarrier();
    let a0 = coopLoadT<coop_mat16x16<f16, A>>(&tile[0], 16u);
    let a1 = coopLoad<coop_mat16x16<f16, A>>(&tile[0], 16u);
    let b0 = coopLoadT<coop_mat16x16<f16, B>>(&tile[0], 16u);
    let b1 = coopLoad<coop_mat16x16<f16, B>>(&tile[0], 16u);
    var c0 = coop_mat16x16<f32, C>();
    var c1 = coop_mat16x16<f32, C>();
    var c2 = coop_mat16x16<f32, C>();
    var c3 = coop_mat16x16<f32, C>();
    var c4 = coop_mat16x16<f32, C>();
    var c5 = coop_mat16x16<f32, C>();
    var c6 = coop_mat16x16<f32, C>();
    var c7 = coop_mat16x16<f32, C>();
    for (var i = 0u; i < 1024u; i++) {
        c0 = coopMultiplyAdd(a0, b0, c0);
        c1 = coopMultiplyAdd(a1, b0, c1);
        c2 = coopMultiplyAdd(a0, b1, c2);
        c3 = coopMultiplyAdd(a1, b1, c3);
        c4 = coopMultiplyAdd(a0, b0, c4);
        c5 = coopMultiplyAdd(a1, b0, c5);
        c6 = coopMultiplyAdd(a0, b1, c6);
        c7 = coopMultiplyAdd(a1, b1, c7);
    }
    c0 = c0 + c1;
    c2 = c2 + c3;
    c4 = c4 + c5;
    c6 = c6 + c7;
    c0 = c0 + c2;
    c4 = c4 + c6;
    c0 = c0 + c4;
    coopStoreT(c0, &sums[group.x * 256u], 16u);
}
